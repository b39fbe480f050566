"""``headway run --keep-on-failure`` and ``headway shell``, as a person calls them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pipelines.plan import JobPlan
from runner.cleanup.leftovers import JobLeftovers, find_leftovers
from runner.cli.shell.keeping import FailureKeeping
from runner.cli.shell.kept_failure import KeptFailure, KeptFailures
from runner.docker.client import Engine
from runner.docker.containers.specs import JOB_LABEL
from runner.execution.job.set_aside import FailedContainer, SetAside
from tests.support.engine import eventually
from tests.support.repos import WHO
from tests.support.terminal import in_terminal

pytestmark = pytest.mark.engine

HEADWAY = str(Path(sys.executable).with_name("headway"))
FILE = """\
steps:
  - name: unit
    image: busybox
    directory: sub
    environment: {COLOR: green, KEY: {from_secret: key}, PATH: /opt/none}
    commands: ['/bin/touch /tmp/made ../made', '/bin/nc -w 3 web 5432 < /dev/null > web-said', exit 7]
services:
  web: {image: busybox, commands: ['while true; do echo served | nc -l -p 5432; done'], ready: {port: 5432}}
"""


class Folder:
    """A working folder, the environment of its runs, and what they keep."""

    def __init__(self, folder: Path) -> None:
        self.path, self.left = folder / "app", folder / "left"
        self.left.mkdir()
        (self.path / "sub").mkdir(parents=True)
        (self.path / "sub" / "file").write_text("")
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        cache = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
        self.env = {**kept, **WHO, **cache, "TMPDIR": str(self.left), "KEY": "hunter2hunter2"}
        self.failures = KeptFailures(folder / "cache" / "headway" / "kept")

    def call(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [HEADWAY, *arguments], cwd=self.path, env=self.env, capture_output=True, text=True, check=False,
            timeout=110, input=given,
        )  # fmt: skip

    def keep(self, pipeline: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (self.path / ".headway.yml").write_text(pipeline)
        return self.call("run", "--keep-on-failure", *arguments)

    @property
    def kept(self) -> KeptFailure:
        found = self.failures.of(str(self.path.resolve()))
        assert found
        return found


@pytest.fixture
def folder(tmp_path: Path, engine: Engine) -> Iterator[Folder]:
    made = Folder(tmp_path)
    try:
        yield made
    finally:
        known = made.failures.all()
        made.call("shell", "--remove")
    for each in known:
        eventually(partial(is_gone, engine, each))
    assert made.failures.all() == []
    eventually(lambda: not list(made.left.iterdir()))


def is_gone(engine: Engine, kept: KeptFailure) -> bool:
    found = find_leftovers(engine, kept.leftovers)
    return not any((found.containers, found.networks, found.image_names, Path(kept.folder).exists()))


@pytest.mark.both_stores
def test_a_shell_is_where_the_step_failed_with_its_files_variables_and_services(folder: Folder) -> None:
    done = folder.keep(FILE, "--secret", "key")
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("kept until ")
    assert last.endswith(" or the next `headway run`: unit of headway, as it failed. Look at it: headway shell")
    asked = "echo $COLOR $KEY $PATH $CI; pwd; /bin/ls ..; /bin/cat web-said; [ -e /tmp/made ] && /bin/busybox id -u\n"
    asked += "/bin/nc -w 3 web 5432 < /dev/null\n/bin/touch again\nexit 5\n"
    said = folder.call("shell", given=asked)
    assert said.returncode == 5, said.stdout + said.stderr
    first, place, *rest = said.stdout.splitlines()
    assert first.startswith("green hunter2hunter2 /opt/none ")
    assert place.endswith("/sub")
    assert rest == ["made", "sub", "served", "0", "served"]
    assert said.stderr.startswith("unit of ")
    again = folder.call("shell", given="/bin/ls again; echo wrong >&2; /bin/false")
    assert (again.returncode, again.stdout) == (1, "again\n")
    assert again.stderr.endswith("wrong\n")
    assert "hunter2" not in json.dumps(folder.failures.path(folder.kept.repository).read_text())


def test_a_terminal_has_a_shell_with_its_size(folder: Folder) -> None:
    folder.keep("steps: [{name: unit, image: 'python:3.13-slim', commands: [exit 1]}]")
    with in_terminal([HEADWAY, "shell"], folder.path, {**folder.env, "TERM": "xterm"}) as program:
        program.read_until(b"# ")
        program.resize(91, 33)
        program.press(b"echo ${BASH_VERSION:+is}-bash\r")
        program.read_until(b"is-bash\r\n")
        program.press(b"until [ \"$(stty size)\" = '33 91' ]; do sleep 0.1; done; echo re''sized; exit 4\r")
        program.read_all()
    assert b"resized" in program.shown
    assert program.process.returncode == 4


def test_the_end_of_the_command_ends_what_runs_in_the_container(folder: Folder, engine: Engine) -> None:
    folder.keep("steps: [{name: unit, image: busybox, commands: [exit 1]}]")
    with in_terminal([HEADWAY, "shell"], folder.path, {**folder.env, "TERM": "xterm"}) as program:
        program.read_until(b"# ")
        program.press(b"sleep 1000 & echo be''gun\r")
        program.read_until(b"begun")
        second = folder.call("shell")
        assert second.returncode == 2
        assert "another `headway shell` is open in it" in second.stderr
        program.process.kill()
    assert engine.wait(folder.kept.container, 60) is not None


def test_a_removal_ends_an_open_shell_with_a_sentence(folder: Folder) -> None:
    folder.keep("steps: [{name: unit, image: busybox, commands: [exit 1]}]")
    with in_terminal([HEADWAY, "shell"], folder.path, {**folder.env, "TERM": "xterm"}) as program:
        program.read_until(b"# ")
        program.press(b"echo be''gun\r")
        program.read_until(b"begun")
        assert folder.call("shell", "--remove").returncode == 0
        program.read_all()
    assert b"the container has ended while the shell was open" in program.shown
    assert program.process.returncode == 3


def test_the_next_run_replaces_what_is_kept_and_one_that_passes_removes_it(folder: Folder, engine: Engine) -> None:
    step = "steps: [{name: unit, image: busybox, commands: ['[ ! -e bad ]']}]"
    (folder.path / "bad").touch()
    folder.keep(step)
    first = folder.kept
    folder.keep(step)
    second = folder.kept
    assert second.key != first.key
    eventually(lambda: is_gone(engine, first))
    (folder.path / "bad").unlink()
    assert folder.call("run").returncode == 0
    eventually(lambda: is_gone(engine, second))
    none = folder.call("shell")
    assert (none.returncode, none.stdout) == (2, "")
    assert none.stderr.startswith(f"headway: nothing is kept of {folder.path.resolve()}; ")
    assert folder.call("shell", "--remove").returncode == 2


def test_only_the_failed_container_and_services_stay_and_the_last_attempt_counts(
    folder: Folder, engine: Engine
) -> None:
    first = "  - {name: first, image: busybox, commands: ['true']}\n"
    last = "  - {name: last, image: busybox, commands: ['true'], when: {status: failure}}\n"
    pipeline = FILE.replace("exit 7]", "exit 7]\n    retry: 1")
    pipeline = pipeline.replace("steps:\n", f"steps:\n{first}").replace("services:\n", f"{last}services:\n")
    done = folder.keep(pipeline, "--secret", "key")
    assert "last passed" in done.stdout
    kept = folder.kept
    found = engine.containers_labelled(f"{JOB_LABEL}={kept.key}")
    assert {each["Id"] for each in found} == {kept.container, *kept.services}
    assert not Path(kept.folder, "scratch").exists()
    assert folder.call("shell", "--remove").stdout.startswith("removed: unit of ")


def test_of_a_build_nothing_is_kept_and_a_container_that_was_removed_is_said(folder: Folder, engine: Engine) -> None:
    (folder.path / "Dockerfile").write_text("FROM busybox\nRUN exit 3\n")
    done = folder.keep("steps: [{name: image, build: .}]")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("nothing is kept: no step with commands has failed")
    assert folder.failures.all() == []
    folder.keep("steps: [{name: unit, image: busybox, commands: [exit 1]}]")
    engine.remove(folder.kept.container)
    gone = folder.call("shell")
    assert gone.returncode == 2
    assert "the container of unit is not in this Docker Engine (any more)" in gone.stderr
    away = subprocess.run(
        [HEADWAY, "shell"], cwd=folder.path, env={**folder.env, "DOCKER_HOST": "unix:///nowhere"}, check=False,
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert away.returncode == 3
    assert "unix:///nowhere" in away.stderr


def test_caches_are_there_and_files_of_secrets_are_not(folder: Folder) -> None:
    step = """\
steps:
  - name: unit
    image: busybox
    cache: {key: x, paths: [/var/stuff]}
    secrets: [{source: key, file: /run/keys/key}]
    commands: ['wc -c < /run/keys/key', 'echo word >> /var/stuff/file', exit STATUS]
"""
    (folder.path / ".headway.yml").write_text(step.replace("STATUS", "0"))
    assert folder.call("run", "--secret", "key").returncode == 0
    assert folder.keep(step.replace("STATUS", "4"), "--secret", "key").returncode == 1
    said = folder.call("shell", given="cat /var/stuff/file; ls /run/keys")
    assert (said.returncode, said.stdout) == (0, "word\nword\n")
    assert "note: files of secrets are gone, as all that was in memory: /run/keys/key" in said.stderr


def test_a_run_in_lines_of_json_says_what_is_kept(folder: Folder) -> None:
    done = folder.keep("steps: [{name: unit, image: busybox, commands: [exit 1]}]", "--json")
    *_, note, last = map(json.loads, done.stdout.splitlines())
    assert note["event"] == "note"
    assert note["text"].endswith("headway shell")
    assert last["event"] == "run_finished"


def test_a_job_that_cannot_be_kept_is_removed(tmp_path: Path, engine: Engine) -> None:
    """Its record cannot be written: where its folder should be is a file."""
    (tmp_path / "kept").write_text("")
    removed, said = list[JobLeftovers](), list[str]()
    keeping = FailureKeeping(
        KeptFailures(tmp_path / "kept"), "/src/app", lambda: engine, removed.append, lambda *_: None, said.append
    )
    aside, job = SetAside(chosen=FailedContainer("unit", "c", "")), JobLeftovers("none-1", tmp_path / "none")
    plan = JobPlan(number=1, name="test", file="test.yml", steps=())
    keeping.end(plan, aside, job)
    assert (removed, aside.kept, keeping.kept) == ([job], False, None)
    assert said[0].startswith("the failed job cannot be kept, and is removed: ")
