"""What a repository's branches and tags point to: asked with limits of time and size."""

import os
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.limited_git import GitLimits, NoAnswerError, TooMuchOutputError, execute_limited
from runner.source.mirrors.heads import remote_tips
from tests.support.repos import Repo

BYTES = 1024**2


def limits(seconds: float = 30, output_bytes_max: int = BYTES) -> GitLimits:
    return GitLimits(time.monotonic() + seconds, output_bytes_max)


def test_branches_and_tags_are_told_with_the_commits_of_annotated_tags(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "app.git")
    commit = repo.commit({"a": "1"})
    repo.git("tag", "--annotate", "--message=one", "v1", commit)
    repo.git("update-ref", "refs/pull/1/head", commit)
    tips = remote_tips(repo.url, None, {}, "app", limits())
    tag = repo.git("rev-parse", "refs/tags/v1")
    assert tag != commit
    assert {ref: (tip.sha, tip.commit) for ref, tip in tips.items()} == {
        "refs/heads/main": (commit, commit),
        "refs/tags/v1": (tag, commit),
    }


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_a_branch_with_a_separator_in_its_name_moves_no_other(tmp_path: Path, separator: str) -> None:
    """Else a push of it would start a run of main."""
    repo = Repo(tmp_path / "app.git")
    commit = repo.commit({"a": "1"})
    odd = f"refs/heads/main{separator}x"
    other = repo.commit({"a": "2"}, commit, ref=odd)
    tips = remote_tips(repo.url, None, {}, "app", limits())
    assert {ref: tip.sha for ref, tip in tips.items()} == {"refs/heads/main": commit, odd: other}


def test_an_answer_up_to_the_limit_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "app.git")
    line = f"{repo.commit({'a': '1'})}\trefs/heads/main\n"
    assert remote_tips(repo.url, None, {}, "app", limits(output_bytes_max=len(line)))
    with pytest.raises(TooMuchOutputError, match="more than 56 bytes"):
        remote_tips(repo.url, None, {}, "app", limits(output_bytes_max=len(line) - 1))


def test_a_server_that_accepts_and_says_nothing_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/app.git"
        with pytest.raises(NoAnswerError):
            remote_tips(url, None, {}, "app", limits(0.2))


def test_a_program_of_git_that_wants_more_memory_than_allowed_fails() -> None:
    """An answer without end must not take the memory of the scheduler's machine."""
    command = [sys.executable, "-c", "import time; time.sleep(0.1); bytes(128 * 1024**2); print('enough')"]
    enough = GitLimits(time.monotonic() + 30, BYTES, memory_bytes_max=256 * 1024**2)
    status, output, _ = execute_limited(command, {}, enough)
    assert (status, output) == (0, b"enough\n")
    status, _, errors = execute_limited(command, {}, replace(enough, memory_bytes_max=64 * 1024**2))
    assert (status, "MemoryError" in errors) == (1, True)


def test_output_is_cut_at_its_limit_where_that_is_asked_for() -> None:
    cut = GitLimits(time.monotonic() + 30, 6, cuts=True)
    assert execute_limited(["sh", "-c", "printf 123456; exit 3"], {}, cut)[:2] == (3, b"123456")
    assert execute_limited(["sh", "-c", "printf 1234567; sleep 600"], {}, cut)[:2] == (0, b"123456")


def test_errors_without_end_fill_no_disk() -> None:
    command = ["sh", "-c", "sleep 0.1; head -c 1024 /dev/zero >&2 && echo enough"]
    enough = GitLimits(time.monotonic() + 30, BYTES, file_bytes_max=1024)
    assert execute_limited(command, {}, enough)[:2] == (0, b"enough\n")
    status, output, errors = execute_limited(command, {}, replace(enough, file_bytes_max=1023))
    assert (status != 0, output, len(errors) <= 1023) == (True, b"", True)


def test_what_git_has_started_ends_with_it(tmp_path: Path) -> None:
    """Else a program that holds the output open would hold the caller."""
    held = tmp_path / "pid"
    command = ["sh", "-c", f"sleep 600 & echo $! > {held}; wait"]
    with pytest.raises(NoAnswerError, match="did not answer in time"):
        execute_limited(command, {}, limits(0.3))
    child = int(held.read_text())
    ended = threading.Event()
    for _ in range(500):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            ended.set()
            break
        time.sleep(0.01)
    if not ended.is_set():
        os.kill(child, 9)
    assert ended.is_set()


def test_without_git_it_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepError, match="git is not installed") as raised:
        remote_tips("https://git.test/app.git", None, {}, "app", limits())
    assert raised.value.reason is Reason.INTERNAL


def test_an_address_that_could_run_a_program_is_refused() -> None:
    with pytest.raises(StepError, match="not a URL that Headway clones from"):
        remote_tips("ext::sh -c id", None, {}, "app", limits())
