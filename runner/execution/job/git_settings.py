"""Lets git work in all folders of a step's container, with any owner and any user of the step.

Git refuses a repository of another user ("dubious ownership"). A checkout may be one: of a laptop's user in a root
image, of root in an image that was built from it, of another step's user. Git from 2.38 on takes ``safe.directory``
from the environment too; older ones and libgit2 read it from the files of the system and of the user alone. So it is
in both: in variables behind the step's own, and at the end of the system's file, which stays an ordinary file. Where
the container's first process may write that file, it does: a request to the engine takes as long as half a start.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from runner.docker.client import Engine
from runner.docker.containers.specs import ContainerSpec
from runner.docker.init_program import GATE_ENTRYPOINT, GIT_GATE_ENTRYPOINT
from runner.errors import StepError

SYSTEM_FILE = "/etc/gitconfig"
FILE_BYTES_MAX = 1024 * 1024
_SETTING = b"[safe]\n\tdirectory = *\n"
_COUNT = "GIT_CONFIG_COUNT"
_ROOT = frozenset({"", "0", "root"})


def git_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables to add to a container's whole environment, behind settings that it has in the same way."""
    count = environment.get(_COUNT, "") or "0"
    if not count.isascii() or not count.isdigit():
        return {}  # git says what is wrong with it
    number = int(count)
    return {
        _COUNT: str(number + 1),
        f"GIT_CONFIG_KEY_{number}": "safe.directory",
        f"GIT_CONFIG_VALUE_{number}": "*",
    }


def hides_system_file(spec: ContainerSpec) -> bool:
    """True if something is mounted at the system's file or above: it may be a folder of the host."""
    targets = [each.split(":")[1] if ":" in each else each for each in spec.binds]
    targets += [each.partition(":")[0] for each in spec.tmpfs] + [each.target for each in spec.folders]
    return any(PurePosixPath(SYSTEM_FILE).is_relative_to(PurePosixPath("/", target)) for target in targets)


def written_at_start(spec: ContainerSpec, user: str, volumes: Iterable[str]) -> ContainerSpec:
    """``spec`` with a gate that writes the setting, if ``user`` is root and the file is the container's own.

    ``user`` is what the step or else its image names; ``volumes`` are its image's.
    """
    is_root = user.partition(":")[0] in _ROOT
    if spec.entrypoint != GATE_ENTRYPOINT or not is_root or _is_hidden(spec, volumes):
        return spec
    return replace(spec, entrypoint=GIT_GATE_ENTRYPOINT)


class SystemFiles:
    """Adds the setting to the system's file of new containers that do not do it themselves.

    Asks for an image's own file once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._own: dict[str, bytes] = {}

    def write(self, container: str, spec: ContainerSpec, volumes: Iterable[str]) -> None:
        """Called before the container starts. ``volumes`` are its image's. Does nothing where that is not possible."""
        if spec.entrypoint == GIT_GATE_ENTRYPOINT or _is_hidden(spec, volumes):
            return
        try:
            if spec.image not in self._own:
                self._own[spec.image] = self._engine.read_file(container, SYSTEM_FILE, FILE_BYTES_MAX) or b""
            own = self._own[spec.image]
            self._engine.write_file(container, SYSTEM_FILE, (own and own.rstrip(b"\n") + b"\n") + _SETTING)
        except StepError:
            return  # there is no folder for it, as in an image of one program: nor is there a git


def _is_hidden(spec: ContainerSpec, volumes: Iterable[str]) -> bool:
    return hides_system_file(spec) or any(map(_is_above, volumes))


def _is_above(volume: str) -> bool:
    return PurePosixPath(SYSTEM_FILE).is_relative_to(PurePosixPath("/", volume))
