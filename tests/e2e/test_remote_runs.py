"""`headway run --remote` against a whole server: the uncommitted tree runs there, and its log comes back."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.stack import HEADWAY, Repository, Stack, git, until

PIPELINE = """\
when: {event: [push, manual]}
inputs: {a: {default: x}}
steps:
  - name: show
    image: busybox
    commands:
      - echo "$CI_COMMIT_BRANCH $(cat state) token=${TOKEN:-none}" | rev
      - ls -A
      - test ! -e slow || sleep 60
      - exit $(cat status)
"""


@pytest.fixture(scope="module")
def repo(stack: Stack) -> Repository:
    repo = Repository(stack, "team/laptop")
    stack.headway("secret", "set", "team/laptop", "TOKEN", stdin="hunter2")
    files = {".headway.yml": PIPELINE, "state": "old", "status": "0", ".gitignore": "ignored\n"}
    assert repo.ended(repo.push(files))["state"] == "passed"
    git(repo.work, "fetch", "--quiet", "origin")
    return repo


@pytest.fixture(autouse=True)
def clean(repo: Repository) -> None:
    git(repo.work, "checkout", "--quiet", "-B", "main", "origin/main")
    git(repo.work, "reset", "--quiet", "--hard")
    git(repo.work, "clean", "-fdxq")


def command(repo: Repository, *arguments: str) -> list[str]:
    return [str(HEADWAY), "run", "--remote", *arguments, str(repo.work)]


def environment(repo: Repository) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWAY_", "GIT_"))}
    return own | {"HOME": str(repo.stack.folder), "HEADWAY_SERVER": repo.stack.url, "HEADWAY_TOKEN": repo.stack.token}


def remote(repo: Repository, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = command(repo, "--repo", repo.name, *arguments)
    return subprocess.run(words, env=environment(repo), capture_output=True, text=True, check=False, timeout=120)


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the commands printed, without themselves."""
    return [line for line in done.stdout.splitlines() if not line.startswith("+ ")]


def number_of(said: str) -> int:
    return int(said.split("/runs/")[1].split(maxsplit=1)[0])


def only_mirror(repo: Repository) -> Path | None:
    mirrors = [path for path in (repo.stack.data / "mirrors").glob("*.git") if path.is_dir()]
    return mirrors[0] if len(mirrors) == 1 else None


def test_the_uncommitted_tree_runs_without_secrets_and_no_other_run_sees_it(repo: Repository) -> None:
    (repo.work / "state").write_text("new")
    (repo.work / "ignored").write_text("mine")
    (repo.work / "added").write_text("")
    before = (
        git(repo.work, "status", "--porcelain"),
        git(repo.work, "for-each-ref"),
        (repo.work / ".git/index").read_bytes(),
    )
    objects = sorted(path for path in (repo.work / ".git" / "objects").rglob("*") if path.is_file())
    done = remote(repo)
    assert done.returncode == 0, done.stderr
    shown, *names = lines(done)
    assert shown[::-1] == "main new token=none"
    assert names == [".git", ".gitignore", ".headway.yml", "added", "state", "status"]
    run = repo.run(number_of(done.stderr))
    assert run["title"] == f"Uncommitted tree of admin, on top of {repo.sha[:10]}"
    assert (run["state"], run["branch"]) == ("passed", "")
    assert run["untrusted"] == "it was sent from a working tree, and is no commit of the repository"
    after = (
        git(repo.work, "status", "--porcelain"),
        git(repo.work, "for-each-ref"),
        (repo.work / ".git/index").read_bytes(),
    )
    assert after == before
    assert objects == sorted(path for path in (repo.work / ".git" / "objects").rglob("*") if path.is_file())
    # The one of the sent commit is removed when its job has ended, which may be after the log.
    mirror = until("the sent commit is not removed", lambda: only_mirror(repo))
    asked = ["git", "--git-dir", str(mirror), "cat-file", "-e", run["sha"]]
    assert subprocess.run(asked, check=False, capture_output=True).returncode, "the commit is in no mirror"


def test_a_step_that_needs_a_secret_does_not_get_it(repo: Repository) -> None:
    step = "{name: show, image: busybox, environment: {TOKEN: {from_secret: TOKEN}}, commands: 'echo $TOKEN | rev'}"
    (repo.work / ".headway.yml").write_text(f"steps: [{step}]\n")
    done = remote(repo)
    assert (done.returncode, "2retnuh" in done.stdout) == (1, False)
    assert "an untrusted run gets no secrets (it was sent from a working tree" in done.stderr


def test_the_exit_status_is_that_of_the_run_and_it_can_be_repeated(repo: Repository) -> None:
    (repo.work / "status").write_text("7")
    done = remote(repo, "--branch", "topic", "--input", "a=b")
    assert done.returncode == 1, done.stderr
    number = number_of(done.stderr)
    again = repo.stack.api(f"/repos/{repo.name}/runs/{number}/rerun", method="POST")
    run = repo.ended(again.json["run"])
    assert repo.run(number)["state"] == "failed", done
    assert (run["state"], run["event"]) == ("failed", "manual"), run["sentence"]
    assert repo.step(run["number"], "show"), run
    assert b"cipot" in repo.log(repo.step(run["number"], "show"))


def test_commits_that_were_not_pushed_are_a_part_of_it(repo: Repository) -> None:
    (repo.work / "state").write_text("committed")
    git(repo.work, "commit", "--quiet", "-am", "mine alone")
    done = remote(repo)
    assert (done.returncode, lines(done)[0][::-1]) == (0, "main committed token=none"), done.stderr


def test_ctrl_c_cancels_the_run(repo: Repository) -> None:
    (repo.work / "slow").write_text("")
    words = command(repo, "--repo", repo.name)
    with subprocess.Popen(words, env=environment(repo), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
        assert process.wait(30) == 130
    assert repo.ended(number_of(said))["state"] == "canceled"


def test_a_tree_that_is_too_large_is_refused_with_a_sentence(repo: Repository) -> None:
    (repo.work / "large").write_bytes(os.urandom(33 * 1024**2))
    done = remote(repo)
    assert (done.returncode, done.stdout) == (2, "")
    assert "The body is larger than 33,554,432 bytes, the limit of HEADWAY_SENT_TREE_BYTES_MAX." in done.stderr


def test_a_repository_that_the_server_does_not_have_is_said_with_the_option_that_names_it(repo: Repository) -> None:
    done = remote(repo, "--repo", "team/other")
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no repository named team/other here. If the server has it under another name: --repo NAME." in (
        done.stderr
    )
