"""Reads fragments that are in other repositories: which of them a run may ask, with which login."""

from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import urlsplit

from pipelines.clone_address import SCP
from pipelines.parser.fragment_addresses import Address
from pipelines.state import Reason
from runner.errors import DiskNearlyFullError, MachineError, StepError
from runner.source.git.foreign import ForeignServer, foreign_server
from runner.source.git.git import GitLogin, origin
from runner.source.git.reach import Reach
from runner.source.git.server import TransientGitError
from runner.source.mirrors.mirror import Mirror
from runner.source.mirrors.mirror_removal import in_use

OpenMirror = Callable[[str, GitLogin | None, ForeignServer], Mirror]
REPOSITORIES_COUNT_MAX = 5
"""Of one pipeline: each may be a clone that the run waits for."""


class OtherRepositories:
    """Reads files of commits of other repositories, each through a mirror of its own.

    ``own`` is the address of the run's repository. ``open_mirror`` opens the mirror of an address, with a login or
    without. Only where the run is ``trusted`` it may use what opens more than anyone can read: the repository's
    ``login``, at its own scheme, host and port alone, and the machine's keys for ssh, at its own host alone. The
    machine itself, and the metadata service of its cloud, are asked only where the run ``reaches_host``.
    """

    def __init__(
        self,
        own: str,
        open_mirror: OpenMirror,
        login: GitLogin | None,
        *,
        trusted: bool,
        reaches_host: bool = False,
    ) -> None:
        self._own, self._open_mirror = own, open_mirror
        self._login = login if trusted else None
        self._trusted = trusted
        self._reach = Reach(own, trusted=trusted, reaches_host=reaches_host)
        self._mirrors: dict[str, Mirror] = {}

    def read(self, address: Address) -> bytes:
        """The file. Raises StepError where it cannot be had, and MachineError where it may be had later."""
        mirror = self._mirror(address.repo)
        try:
            with ExitStack() as used:
                used.enter_context(in_use(mirror.path))
                mirror.fetch(address.sha)
                return mirror.read(address.sha, address.path)
        except (TransientGitError, DiskNearlyFullError):
            raise
        except MachineError as error:
            if error.reason is Reason.DISK_FULL:
                raise
            raise StepError(Reason.INVALID_PIPELINE, f"{address.name}: {error}") from error

    def _mirror(self, repo: str) -> Mirror:
        if repo not in self._mirrors:
            self._check(repo)
            own = origin(self._own) if urlsplit(self._own).scheme in {"http", "https"} else ""
            login = self._login if origin(repo) == own else None
            self._mirrors[repo] = self._open_mirror(repo, login, foreign_server(self._reach))
        return self._mirrors[repo]

    def _check(self, repo: str) -> None:
        if len(self._mirrors) >= REPOSITORIES_COUNT_MAX:
            why = f"it is in one more than {REPOSITORIES_COUNT_MAX} other repositories"
        elif urlsplit(repo).scheme == "https":
            if not (why := self._reach.refusal(repo)):
                return
        elif not self._trusted and urlsplit(repo).scheme != "http":
            why = "an untrusted run reads other repositories by https:// alone, without the machine's keys"
        elif _host(repo) != _host(self._own):
            why = "at another host than that of this repository, fragments are read by https:// alone"
        else:
            return
        raise StepError(Reason.INVALID_PIPELINE, f"{repo}: {why}")


def _host(url: str) -> str:
    """Host and port; of both spellings of ssh the same."""
    if SCP.fullmatch(url):
        return url.partition("@")[2].partition(":")[0].lower()
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
