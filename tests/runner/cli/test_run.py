"""``headway run``: a folder's pipeline on this machine, as a person calls it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.builds.buildkit import Builder
from runner.docker.client import Engine
from tests.support.engine import eventually
from tests.support.plans import secrets_hex
from tests.support.registry import LOGIN, Registry
from tests.support.repos import WHO
from tests.support.terminal import in_terminal

pytestmark = pytest.mark.engine

HEADWAY = str(Path(sys.executable).with_name("headway"))
SHOW = "steps:\n  - name: show\n    image: busybox\n    commands:\n      - {}\n"


class Tree:
    """A working folder, and a place for what the command leaves behind."""

    def __init__(self, folder: Path, left: Path) -> None:
        self.folder = folder
        self.left = left
        folder.mkdir()
        left.mkdir()

    def write(self, files: Mapping[str, str]) -> "Tree":
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return self

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self.env()).stdout

    def commit(self) -> "Tree":
        self.git("init", "-q", "--initial-branch=main")
        self.git("add", ".")
        self.git("commit", "-qm", "the first")
        return self

    def env(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        return {**kept, **WHO, "TMPDIR": str(self.left), **more}

    def run(self, *arguments: str, command: str = "run", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [HEADWAY, command, *arguments], cwd=self.folder, env=self.env(**env), capture_output=True, text=True,
            check=False, timeout=100, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def said(self, *arguments: str, **env: str) -> list[str]:
        """The lines that the step ``show`` wrote, of a run that passed."""
        done = self.run(*arguments, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [line.partition("show | ")[2] for line in done.stdout.splitlines() if line.startswith("show | ")]
        return [line for line in lines if not line.startswith("+ ")]


@pytest.fixture
def tree(tmp_path: Path, engine: Engine) -> Iterator[Tree]:
    made = Tree(tmp_path / "my app", tmp_path / "left")
    yield made
    eventually(lambda: not list(made.left.iterdir()))


def contents(folder: Path) -> dict[str, bytes | str]:
    """All that is in a folder, git's own files but for its index included."""
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        found[name] = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else "folder"
    return found


ONE_FILE = """steps:
  - {name: app, build: .}
  - include: ci/ask.yml
    with: {WORD: made}
  - {name: shaky, image: busybox, retry: 1, commands: [mkdir tried && exit 3; true]}
services:
  web: {image: {build: app}, commands: ['while true; do nc -l -p 5432 < /made; done'], ready: {port: 5432}}
"""
FRAGMENT = """inputs: {WORD: {required: true}}
steps:
  - name: ask
    image: busybox
    commands: ['until nc -w 3 web 5432 < /dev/null | grep "$WORD"; do sleep 0.2; done']
    environment: {WORD: "${WORD}"}
    resources: {memory: 64m, pids: 50}
"""


def test_fragments_services_in_the_image_just_built_and_retries_work_without_a_server(
    tree: Tree, engine: Engine
) -> None:
    dockerfile = "FROM busybox\nRUN echo made > /made\n"
    done = tree.write({".headway.yml": ONE_FILE, "ci/ask.yml": FRAGMENT, "Dockerfile": dockerfile}).commit().run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  ask | made" in done.stdout
    assert "passed on attempt 2 of 2" in done.stdout
    # A rootless engine without delegation has no control groups, and so no figures.
    assert (" of processor time" in done.stdout) is bool(engine.info()["MemoryLimit"])


def test_a_pipeline_that_passes_is_0_in_plain_lines(tree: Tree) -> None:
    done = tree.write({".headway.yml": SHOW.format("echo hello")}).commit().run()
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.splitlines()[:2] == ["show | + echo hello", "show | hello"]
    assert "show passed in" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_step_that_fails_is_1_with_its_exit_code(tree: Tree) -> None:
    done = tree.write({".headway.yml": SHOW.format("exit 7")}).run()
    assert done.returncode == 1
    assert "exited with 7" in done.stdout


def test_a_broken_pipeline_file_is_2_with_its_place(tree: Tree) -> None:
    done = tree.write({".headway.yml": SHOW.format("true").replace("commands", "comands")}).run()
    assert done.returncode == 2
    assert ".headway.yml:4:5" in done.stderr
    assert "did you mean 'commands'" in done.stderr


def test_nothing_to_run_is_2_with_the_remedy(tree: Tree) -> None:
    done = tree.write({"README": ""}).run()
    assert done.returncode == 2
    assert "headway init" in done.stderr


def test_an_event_that_there_is_not_is_2(tree: Tree) -> None:
    done = tree.write({".headway.yml": SHOW.format("true")}).run("--event", "pushed")
    assert done.returncode == 2
    assert "there is no event 'pushed'" in done.stderr


def test_no_engine_is_3_with_a_sentence(tree: Tree, tmp_path: Path) -> None:
    done = tree.write({".headway.yml": SHOW.format("true")}).run(DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 3
    assert f"no Docker Engine answers at unix://{tmp_path}/none.sock" in done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def in_a_step(tree: Tree, engine: Engine) -> Iterator[subprocess.Popen[str]]:
    """A run whose step is at work. Afterwards nothing of it is left."""
    tree.write({".headway.yml": SHOW.format("echo up && sleep 1000")})
    with subprocess.Popen(
        [HEADWAY, "run"], cwd=tree.folder, env=tree.env(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        while process.stdout.readline().strip() != "show | up":
            assert process.poll() is None
        (folder,) = tree.left.iterdir()
        label = f"headway.job={folder.name.removeprefix('headway-')}"
        assert engine.containers_labelled(label)
        yield process
    eventually(lambda: not engine.containers_labelled(label) and not engine.networks_labelled(label))


def test_ctrl_c_is_130_and_leaves_nothing(tree: Tree, engine: Engine) -> None:
    with in_a_step(tree, engine) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout
        assert "canceled by Ctrl-C" in process.stdout.read()
        assert process.wait(60) == 130


def test_a_run_that_is_killed_leaves_nothing(tree: Tree, engine: Engine) -> None:
    with in_a_step(tree, engine) as process:
        process.kill()


def test_what_an_earlier_run_could_not_clean_up_is_said_once(tree: Tree) -> None:
    tree.write({".headway.yml": SHOW.format("true"), "state/headway/left-behind.txt": "the network x\n"})
    state = str(tree.folder / "state")
    assert "an earlier run could not clean up: the network x" in tree.run(XDG_STATE_HOME=state).stderr
    assert tree.run(XDG_STATE_HOME=state).stderr == ""


def test_the_working_tree_is_what_runs(tree: Tree) -> None:
    look = "find . -path ./.git -prune -o -type f -print | sort; cat changed"
    tree.write(
        {".headway.yml": SHOW.format(look), ".gitignore": "*.log\n", "changed": "old\n", "deleted": "", "kept": ""}
    )
    tree.commit()
    tree.write({"changed": "new\n", "new": "", "folder/new": "", "ignored.log": ""})
    (tree.folder / "deleted").unlink()
    files = ["./.gitignore", "./.headway.yml", "./changed", "./folder/new", "./kept", "./new"]
    assert tree.said() == [*files, "new"]


def test_names_links_and_modes_are_kept(tree: Tree) -> None:
    look = "./run; readlink link; cat -- '-n' \"it's\" ü"
    tree.write({".headway.yml": SHOW.format(look), "run": "#!/bin/sh\necho ran\n"})
    tree.write({"-n": "1\n", "it's": "2\n", "ü": "3\n"})
    (tree.folder / "run").chmod(0o755)
    (tree.folder / "link").symlink_to("../nowhere")
    assert tree.said() == ["ran", "../nowhere", "1", "2", "3"]
    tree.commit()
    assert tree.said() == ["ran", "../nowhere", "1", "2", "3"]


def test_what_a_step_does_to_its_files_leaves_the_tree_alone(tree: Tree) -> None:
    damage = "rm -rf * .git .headway.yml; echo new > made; mkdir folder; echo changed > kept"
    tree.write({".headway.yml": SHOW.format(damage), "kept": "kept\n", "folder/inner": "kept\n"}).commit()
    tree.write({"staged": "1"}).git("add", "staged")
    before = contents(tree.folder)
    assert tree.said() == []
    assert contents(tree.folder) == before


def test_git_inside_a_step_knows_the_commit(tree: Tree) -> None:
    text = "steps:\n  - name: show\n    image: python:3.13-slim\n    commands:\n      - {}\n"
    look = "git log --oneline --format=%s; git status --porcelain"
    tree.write({".headway.yml": text.format(look), "changed": "1"}).commit().write({"changed": "2", "new": ""})
    assert tree.said() == ["the first", " M changed", "?? new"]


def test_a_folder_below_the_root_of_a_repository_runs(tree: Tree) -> None:
    tree.write({"part/.headway.yml": SHOW.format("ls -A"), "part/a": "", "beside": ""}).commit()
    assert tree.said("part") == [".headway.yml", "a"]


def test_a_folder_without_git_runs_whole(tree: Tree) -> None:
    tree.write({".headway.yml": SHOW.format("ls; echo $CI_COMMIT_BRANCH"), "a/b": ""})
    assert tree.said() == ["a", "main"]
    assert tree.said("--branch", "other") == ["a", "other"]


def test_a_machine_without_git_runs_too(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    tree.write({".headway.yml": SHOW.format("ls"), "a": ""}).commit()
    assert tree.said(PATH=str(tmp_path / "bin")) == ["a"]


def test_inside_a_git_hook_the_repository_is_left_alone(tree: Tree) -> None:
    tree.write({".headway.yml": SHOW.format("cat a"), "a": "1\n"}).commit()
    tree.write({"b": ""}).git("add", "b")
    before = contents(tree.folder)
    strange = {
        "GIT_DIR": str(tree.folder / ".git"),
        "GIT_INDEX_FILE": str(tree.folder / ".git/index"),
        "GIT_PREFIX": "",
    }
    assert tree.said(**strange) == ["1"]
    assert contents(tree.folder) == before


def test_a_dockerfile_alone_is_built(tree: Tree) -> None:
    done = tree.write({"Dockerfile": "FROM busybox\nCOPY a /\n", "a": ""}).run()
    assert done.returncode == 0
    assert "built sha256:" in done.stdout


def test_a_dockerfile_that_fails_is_1(tree: Tree, builder: Builder) -> None:
    done = tree.write({"Dockerfile": f"FROM busybox\nRUN exit 9 # {secrets_hex()}\n"}).run()
    assert done.returncode == 1
    # The client of Docker 20.10 does not say where.
    assert ("Dockerfile:2" if builder.rawjson else "RUN exit 9") in done.stdout


def test_images_are_pushed_only_when_asked(tree: Tree, registry: Registry) -> None:
    repo = f"{registry.host}/laptop/{secrets_hex()}"
    text = f"steps:\n  - name: build\n    build: .\n  - name: push\n    push:\n      repo: {repo}\n      tags: [a, b]\n"
    tree.write({".headway.yml": text, "Dockerfile": "FROM busybox\nLABEL a=b\n"})
    done = tree.run()
    assert done.returncode == 0
    assert f"as {repo}:a" in done.stdout
    assert "pushes only with --push" in done.stdout
    assert not registry.has(repo, "a")
    done = tree.run("--push")
    assert done.returncode == 0
    for tag in ("a", "b"):
        assert f"pushed {repo}:{tag}@{registry.manifest(repo, tag)[0]}" in done.stdout


def test_a_login_that_docker_keeps_is_used(tree: Tree, locked_registry: Registry) -> None:
    repo = f"{locked_registry.host}/laptop/{secrets_hex()}"
    text = f"steps: [{{name: build, build: .}}, {{name: push, push: {{repo: {repo}, tags: [a]}}}}]\n"
    tree.write({".headway.yml": text, "Dockerfile": "FROM busybox\n", "home/config.json": "{}"})
    refused = tree.run("--push", DOCKER_CONFIG=str(tree.folder / "home"))
    assert refused.returncode == 1
    assert "log in" in refused.stdout
    tree.write({"home/config.json": json.dumps({"auths": {locked_registry.host: {"auth": LOGIN.basic()}}})})
    assert tree.run("--push", DOCKER_CONFIG=str(tree.folder / "home")).returncode == 0
    assert locked_registry.has(repo, "a")


def test_a_secret_comes_from_the_environment_and_is_masked(tree: Tree) -> None:
    text = SHOW.format("echo $TOKEN") + "    environment:\n      TOKEN:\n        from_secret: my_token\n"
    tree.write({".headway.yml": text})
    assert tree.said("--secret", "my_token", MY_TOKEN="abcd-efgh") == ["********"]
    done = tree.run("--secret", "my_token")
    assert done.returncode == 2
    assert "MY_TOKEN" in done.stderr
    done = tree.run()
    assert done.returncode == 1
    assert "'my_token'" in done.stdout
    assert "run `headway run --secret my_token` with its value in the environment (MY_TOKEN)" in done.stdout
    tree.write({".headway.yml": "when: {event: tag}\n" + text})
    done = tree.run()
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "nothing ran: the conditions (`when`) left out every workflow and step",
    )
    said = tree.run("--secret", "my_token", MY_TOKEN="abc").stderr
    assert "the secret 'my_token': it has 3 bytes, and logs show values of fewer than 4 bytes" in said


def test_names_that_are_no_utf_8_reach_steps_and_images(tree: Tree) -> None:
    look = "ls | od -An -c | head -n 1; cat *.x"
    tree.write({".headway.yml": SHOW.format(look)})
    (tree.folder / os.fsdecode(b"\xff.x")).write_text("here\n")
    assert tree.commit().said()[-1] == "here"
    dockerfile = f"FROM busybox\nCOPY . /a\nRUN cat /a/*.x # {secrets_hex()}\n"
    done = tree.write({".headway.yml": "steps: [{build: .}]\n", "Dockerfile": dockerfile}).run()
    # BuildKit of Docker 28 and newer takes no such name.
    assert "here" in done.stdout or "a file name that is not UTF-8, \\xff.x, which this BuildKit" in done.stdout


def test_inputs_are_checked_and_reach_the_steps(tree: Tree) -> None:
    tree.write({".headway.yml": "inputs: {LEVEL: {choices: [smoke, full], default: smoke}}\n" + SHOW.format(
        'echo "$CI_PIPELINE_EVENT $LEVEL"'
    )})  # fmt: skip
    assert tree.said() == ["push smoke"]
    assert tree.said("--input", "LEVEL=full") == ["manual full"]
    for given, sentence in (
        ("LEVEL=max", "it is one of smoke, full"),
        ("OTHER=1", "the input OTHER is not declared"),
        ("BASH_ENV=$(id)", "takes code from the variable of this name"),
        ("LEVEL", "the input 'LEVEL' is not NAME=VALUE"),
    ):
        done = tree.run(f"--input={given}")
        assert done.returncode == 2
        assert sentence in done.stderr


def test_workflows_run_in_the_order_of_their_needs(tree: Tree) -> None:
    tree.write({
        ".headway/a.yml": "depends_on: [b]\n" + SHOW.format("echo a"), ".headway/b.yml": SHOW.format("echo b"),
    })  # fmt: skip
    assert tree.said() == ["b", "a"]
    tree.write({".headway/b.yml": SHOW.format("exit 3")})
    done = tree.run()
    assert done.returncode == 1
    assert "echo a" not in done.stdout


def test_what_a_workflow_needs_decides_for_its_steps(tree: Tree) -> None:
    """Woodpecker's issue 4355: after a failed workflow, the step for failures runs, not the one for success."""
    step = "  - {{name: {0}, image: busybox, commands: [echo told $CI_PIPELINE_STATUS], when: {{status: {0}}}}}\n"
    plain = "  - {name: plain, image: busybox, commands: [echo told $CI_PIPELINE_STATUS]}\n"
    told = "depends_on: [build]\nsteps:\n" + plain + step.format("success") + step.format("failure")
    tree.write({
        ".headway/build.yml": SHOW.format("exit 3"),
        ".headway/both.yml": f"runs_on: [success, failure]\n{told}",
        ".headway/only.yml": f"when: {{status: failure}}\n{told}",
        ".headway/deploy.yml": "depends_on: [build]\n" + SHOW.format("echo never"),
    })  # fmt: skip
    done = tree.run()
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "deploy skipped: It needs build, which did not pass." in lines
    assert lines.count("  plain | told failure") == 2
    assert lines.count("failure | told failure") == 2
    assert "success | told failure" not in lines
    skipped = "- success skipped: it runs only after success (`when: status`), and workflow 'build' did not pass"
    assert lines.count(skipped) == 2
    tree.write({".headway/build.yml": SHOW.format("true")})
    lines = tree.run().stdout.splitlines()
    assert "only skipped: It runs only after a failure, and all that it needs passed." in lines
    assert [line for line in lines if "| told" in line] == ["  plain | told success", "success | told success"]


def test_on_a_terminal_the_steps_are_shown_and_the_status_is_the_same(tree: Tree) -> None:
    tree.write({".headway.yml": SHOW.format("echo hello; exit 3")})
    env = tree.env(TERM="xterm-256color", COLUMNS="100", LINES="30")
    with in_terminal([HEADWAY, "run"], tree.folder, env) as program:
        shown = program.read_all()
    assert program.process.returncode == 1
    assert b"hello" in shown
    assert b"exited with 3" in shown
    assert b"\x1b[" in shown


def test_lint_shows_all_problems(tree: Tree) -> None:
    tree.write({".headway.yml": SHOW.format("true")})
    assert tree.run(command="lint").returncode == 0
    tree.write({".headway.yml": "steps:\n  - name: a\n    imag: busybox\n    comands: [x]\n"})
    done = tree.run(command="lint")
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count(".headway.yml:") >= 2


def test_init_writes_a_first_pipeline_that_is_right(tree: Tree) -> None:
    assert tree.write({"Dockerfile": "FROM busybox\n"}).run(command="init").returncode == 0
    assert tree.run(command="lint").returncode == 0
    assert tree.run().returncode == 0
    again = tree.run(command="init")
    assert again.returncode == 1
    assert "already exists" in again.stderr


def test_a_cache_is_there_in_the_next_run_of_this_folder(tree: Tree, tmp_path: Path) -> None:
    command = "'ls data; [ -e data/x ] || echo x > data/x'"
    tree.write({".headway.yml": SHOW.format(command) + "    cache: [data]\n"})
    home = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    size = r"headway: cache data: data \([0-9.]+ kB\)"
    assert tree.said(**home)[0] == "headway: cache data: nothing is kept for data yet"
    first, *listed = tree.said(**home)
    assert re.fullmatch(size, first)
    assert listed == ["x"]
    store = tmp_path / "cache/headway/caches"
    assert [len(list((store / name).iterdir())) for name in ("layers", "views", "gone")] == [1, 0, 0]


def test_a_workflow_a_combination_and_secrets_of_a_file(tree: Tree, tmp_path: Path) -> None:
    step = "matrix: {A: ['1', '2']}\n" + SHOW.format('echo "$A $TOKEN" | tr a-z A-Z')
    step += "    environment: {TOKEN: {from_secret: token}}\n"
    tree.write({".headway/a.yml": step, ".headway/b.yml": SHOW.format("exit 1")})
    (tmp_path / "secrets").write_text("TOKEN='hidden-value'\n")
    chosen = ("--workflow", "a", "--matrix", "A=2", "--secrets-file", str(tmp_path / "secrets"))
    assert tree.said(*chosen) == ["2 HIDDEN-VALUE"]
    done = tree.run("--workflow", "x")
    assert (done.returncode, done.stderr) == (
        2,
        "headway: no workflow 'x' runs here; the jobs are: 'a 1', 'a 2', 'b'\n",
    )


def test_json_lines_are_all_of_the_output(tree: Tree) -> None:
    tree.write({".headway.yml": SHOW.format("printf 'h\\303\\266'; exit 3")})
    done = tree.run("--json")
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [each["event"] for each in found if each["event"] not in {"output", "note"}]
    assert kinds == ["job_started", "step_started", "step_finished", "job_finished", "run_finished"]
    written = "".join(each["text"] for each in found if each["event"] == "output" and each["stream"] == "stdout")
    assert written.endswith("h\N{LATIN SMALL LETTER O WITH DIAERESIS}")
    finished = next(each for each in found if each["event"] == "step_finished")
    assert (finished["job"], finished["step"], finished["state"], finished["exit_code"]) == (
        "headway", "show", "failed", 3,
    )  # fmt: skip
    assert found[-1] == {"event": "run_finished", "state": "failed"}
    tree.write({".headway.yml": f"when: {{event: tag}}\n{SHOW.format('ls')}"})
    (left, *_, last) = [json.loads(line) for line in tree.run("--json").stdout.splitlines()]
    assert (left["event"], last) == ("left_out", {"event": "run_finished", "state": "skipped"})
    done = tree.run("--json", DOCKER_HOST="unix:///nowhere.sock")
    assert (done.returncode, done.stdout) == (0, f"{json.dumps(left)}\n{json.dumps(last)}\n")
    tree.write({".headway.yml": SHOW.format("ls")})
    done = tree.run("--json", DOCKER_HOST="unix:///nowhere.sock")
    assert done.returncode == 3
    assert json.loads(done.stdout.splitlines()[-1]) == {"event": "run_finished", "state": "broken"}
