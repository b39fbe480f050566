"""Git works in a step with any user, and any owner of the files."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.state import State
from runner.docker.client import Engine
from runner.docker.containers.folders import Folder
from runner.docker.containers.specs import ContainerSpec
from runner.docker.init_program import GATE_ENTRYPOINT, GIT_GATE_ENTRYPOINT, RUN_ENTRYPOINT
from runner.execution.job.git_settings import SystemFiles, git_variables, hides_system_file, written_at_start
from tests.support.engine import JobRunner
from tests.support.plans import build, container, shell
from tests.support.repos import WHO

GIT_IMAGE = "python:3.13-slim"
OF_A_LAPTOP = 1000


@pytest.mark.parametrize(
    ("known", "added"),
    [
        ({}, {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}),
        (
            {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "a.b"},
            {"GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_2": "safe.directory", "GIT_CONFIG_VALUE_2": "*"},
        ),
        ({"GIT_CONFIG_COUNT": ""}, {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
                                    "GIT_CONFIG_VALUE_0": "*"}),
        ({"GIT_CONFIG_COUNT": "many"}, {}),
        ({"GIT_CONFIG_COUNT": "-1"}, {}),
        ({"GIT_CONFIG_COUNT": "²"}, {}),
    ],
)  # fmt: skip
def test_variables_come_behind_those_that_are_there(known: dict[str, str], added: dict[str, str]) -> None:
    assert git_variables(known) == added


@pytest.mark.parametrize(
    ("binds", "tmpfs", "hidden"),
    [
        ((), (), False),
        (("/srv/etc:/etc",), (), True),
        (("/srv/g:/etc/gitconfig:ro",), (), True),
        (("/etc",), (), True),
        ((), ("/etc:size=1m",), True),
        (("/etc:/host/etc", "/srv/x:/etcetera"), ("/tmp",), False),
    ],
)
def test_what_is_mounted_there_is_left_alone(binds: tuple[str, ...], tmpfs: tuple[str, ...], hidden: bool) -> None:
    spec = ContainerSpec("image", {}, "none", binds=binds, tmpfs=tmpfs)
    assert hides_system_file(spec) is hidden


def test_a_workspace_there_is_left_alone() -> None:
    assert hides_system_file(ContainerSpec("image", {}, "none", folders=(Folder(Path("/w"), "/etc"),)))


GATE = ContainerSpec("image", {}, "none", entrypoint=GATE_ENTRYPOINT)


@pytest.mark.parametrize("user", ["", "0", "root", "0:0", "root:staff"])
def test_the_gate_of_root_writes_the_file(user: str) -> None:
    assert written_at_start(GATE, user, ()).entrypoint == GIT_GATE_ENTRYPOINT


@pytest.mark.parametrize(
    ("spec", "user", "volumes"),
    [
        (GATE, "1000", ()),
        (GATE, "nobody:root", ()),
        (GATE, "", ("/etc",)),
        (replace(GATE, binds=("/srv/g:/etc/gitconfig:ro",)), "", ()),
        (replace(GATE, entrypoint=(*RUN_ENTRYPOINT, "sh")), "", ()),
    ],
)
def test_no_gate_writes_where_it_may_not(spec: ContainerSpec, user: str, volumes: tuple[str, ...]) -> None:
    assert written_at_start(spec, user, volumes) == spec


@pytest.mark.engine
def test_an_image_that_keeps_a_volume_there_is_left_alone(engine: Engine) -> None:
    SystemFiles(engine).write("no-such-container", ContainerSpec("image", {}, "none"), ["/etc"])


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


def of_a_laptop(target: Path, dockerfile: str = "FROM scratch") -> None:
    """A checkout with a submodule, all of a user that the step's image does not have."""
    inner = target / "lib"
    inner.mkdir(parents=True)
    (target / "Dockerfile").write_text(dockerfile)
    (target / ".gitmodules").write_text('[submodule "lib"]\n\tpath = lib\n\turl = ./lib\n')
    env = {"PATH": os.environ["PATH"], **WHO}
    for words in (
        *(("-C", str(each), *more) for each in (inner, target)
          for more in (("init", "-q"), ("add", "."), ("commit", "-qm", "m", "--allow-empty"))),
        ("-C", str(target), "submodule", "--quiet", "absorbgitdirs"),
    ):  # fmt: skip
        subprocess.run(["git", *words], env=env, check=True, capture_output=True)
    for path in (target, *target.rglob("*")):
        os.chown(path, OF_A_LAPTOP, OF_A_LAPTOP, follow_symlinks=False)


TREE = "git worktree prune; rm -rf /tmp/tree; git worktree add -q --detach /tmp/tree"
LOOK = "for each in . lib /tmp/tree; do git -C $each log -1 --format=%s && git -C $each status --porcelain; done"
ONLY_FILE, ONLY_VARIABLES = "export GIT_CONFIG_COUNT=0", "export GIT_CONFIG_NOSYSTEM=1"


@as_root
@pytest.mark.engine
@pytest.mark.slow
def test_git_works_with_any_user(ran: JobRunner) -> None:
    boxes = [container(GIT_IMAGE, user=user) for user in ("", "1234", "nobody")]
    steps = [
        shell(*words, TREE, LOOK, box=box)
        for box in boxes
        for words in ((ONLY_FILE, "unset HOME XDG_CONFIG_HOME"), (ONLY_VARIABLES,))
    ]
    job = ran(*steps, files=of_a_laptop)
    assert job.states == [State.PASSED] * len(steps), job.everything()


@as_root
@pytest.mark.engine
@pytest.mark.slow
def test_git_works_in_the_image_just_built_with_a_user_of_its_own(ran: JobRunner) -> None:
    lines = [f"FROM {GIT_IMAGE}", "COPY . /app", "RUN printf '[alias]\\n\\tmine = version' > /etc/gitconfig"]
    lines += ["ENV GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=alias.also GIT_CONFIG_VALUE_0=version", "USER 4321"]
    looks = ("git mine", "git also", "git -C /app log -1 --format=%s", "git -C /app/lib log -1 --format=%s")
    job = ran(
        build(),
        shell(*looks, box=container(1)),
        shell("export GIT_CONFIG_COUNT=0", looks[0], *looks[2:], box=container(1)),
        shell("git config --system user.name ada && git config user.name", looks[0], box=container(1, user="0")),
        files=lambda target: of_a_laptop(target, "\n".join(lines)),
    )
    assert job.states == [State.PASSED] * 4, job.everything()


@pytest.mark.engine
@pytest.mark.slow
def test_a_link_to_settings_elsewhere_keeps_them(ran: JobRunner) -> None:
    line = "RUN printf '[alias]\\n\\tmine = version\\n' > /srv/settings && ln -s ../srv/settings /etc/gitconfig"
    job = ran(
        build(),
        shell("git mine", "git config --system safe.directory", box=container(1)),
        files={"Dockerfile": f"FROM {GIT_IMAGE}\n{line}"},
    )
    assert job.states == [State.PASSED] * 2, job.everything()
