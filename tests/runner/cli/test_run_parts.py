"""``headway run`` of a part of a pipeline, of several workflows at once, and again after a change of a file."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.docker.client import Engine
from tests.support.engine import eventually
from tests.support.repos import WHO
from tests.support.terminal import in_terminal

pytestmark = pytest.mark.engine

HEADWAY = str(Path(sys.executable).with_name("headway"))
STEP = "image: busybox, commands: ['echo said $CI_COMMIT_TAG NAME', 'cat word']"
LINE = "".join(f"  - {{name: {name}, {STEP.replace('NAME', name)}}}\n" for name in ("one", "two", "three"))


class Tree:
    """A working folder, and the environment of its runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.left = folder / "app", folder / "left"
        self.left.mkdir()
        self.write("word", "first")
        self.write(".headway.yml", f"steps:\n{LINE}")
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        cache = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
        self.env = {**kept, **WHO, **cache, "TMPDIR": str(self.left)}

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [HEADWAY, "run", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False, timeout=110,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    @contextmanager
    def running(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        with subprocess.Popen(
            [HEADWAY, "run", *arguments], cwd=self.folder, env=self.env, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture
def tree(tmp_path: Path, engine: Engine) -> Iterator[Tree]:
    made = Tree(tmp_path)
    yield made
    eventually(lambda: not list(made.left.iterdir()))


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.partition("said ")[2] for line in done.stdout.splitlines() if "| said" in line]


def test_a_part_of_a_pipeline_runs_by_the_names_of_its_steps(tree: Tree) -> None:
    assert said(tree.run("--step", "two")) == ["one", "two"]
    done = tree.run("--from", "two", "--tag", "v1")
    assert said(done) == ["v1 two", "v1 three"]
    assert done.stdout.startswith("note: steps before 'two' do not run")
    wrong = tree.run("--step", "twoo")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("headway: no step 'twoo' runs here; did you mean 'two'?")


def test_workflows_run_at_once(tree: Tree) -> None:
    """Each of the two waits for what the other does, which never comes where one runs after the other."""
    (tree.folder / ".headway.yml").unlink()
    volume = f"headway-test-{os.getpid()}"
    for mine, other in (("a", "b"), ("b", "a")):
        wait = f"touch /meet/{mine}; until [ -e /meet/{other} ]; do sleep 0.1; done; echo said"
        step = f"{{name: meet, image: busybox, volumes: ['{volume}:/meet'], commands: ['{wait}']}}"
        tree.write(f".headway/{mine}.yml", f"steps:\n  - {step}\n")
    try:
        done = tree.run("--jobs", "2")
    finally:
        remove = ["docker", "volume", "rm", "-f", volume]
        eventually(lambda: not subprocess.run(remove, check=False, capture_output=True).returncode)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"a/meet | said", "b/meet | said"} <= set(done.stdout.splitlines())


def test_it_runs_again_when_a_file_changes_until_ctrl_c(tree: Tree) -> None:
    with tree.running("--watch", "--step", "one") as process:
        assert process.stdout
        seen = []
        for line in process.stdout:
            seen.append(line.rstrip("\n"))
            if line.startswith("waiting for a change"):
                if "runs again: word changed" in seen:
                    break
                tree.write("word", "second")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    words = [line.removeprefix("one | ") for line in seen if line.startswith("one | ")]
    assert [word for word in words if word in {"first", "second"}] == ["first", "second"]


def test_on_a_terminal_a_failed_steps_last_lines_come_at_the_end(tree: Tree) -> None:
    tree.write(".headway.yml", "steps: [{name: unit, image: busybox, commands: ['echo the cause', 'exit 3']}]")
    with in_terminal([HEADWAY, "run"], tree.folder, {**tree.env, "TERM": "xterm"}) as program:
        shown = program.read_all()
    assert program.process.returncode == 1
    assert b"the cause" in shown.partition(b"the last lines of unit:")[2]


@pytest.mark.parametrize("ends", ["true", "exit 3"])
def test_on_a_terminal_a_failure_is_followed_by_how_to_go_on(tree: Tree, ends: str) -> None:
    """It names the first step whose failure counts, quoted for a shell, and nothing is said of a run that passes."""
    ignored = "{name: lint, image: busybox, commands: 'false', failure: ignore}"
    tree.write(".headway.yml", f"steps: [{ignored}, {{name: unit tests, image: busybox, commands: {ends}}}]")
    with in_terminal([HEADWAY, "run"], tree.folder, {**tree.env, "TERM": "xterm"}) as program:
        shown = program.read_all()
    expected = b"next time: --from 'unit tests' begins there; --keep-on-failure keeps it for `headway shell`"
    assert (expected in shown) is (ends == "exit 3")
    assert (b"next time:" in shown) is (ends == "exit 3")
