"""``headway run --watch``: which changes of a folder start a run."""

import json
import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.cli import exit_status
from runner.cli.run.watching import NAMES_SHOWN_MAX, Files, _counts, files_of, run_and_watch, wait_for_change
from runner.errors import StepError
from runner.source.working_tree import working_tree
from tests.runner.reuse.test_working_files import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "tree").mkdir()
    folder = Folder(tmp_path / "tree")
    folder.write(".gitignore", "*.log\nout/\n")
    folder.write("src/a.c", "a")
    folder.commit()
    return folder


def files(folder: Path) -> Files:
    return files_of(working_tree(folder))


def changed(folder: Path, later: Callable[[int], None], before: Files | None = None) -> list[str]:
    """What changes when ``later`` is called with 1, and then with 2, 3, ... after each look at the folder."""
    looks = 0

    def look() -> Files:
        nonlocal looks
        looks += 1
        found = files(folder)
        if looks > 1:
            later(looks)
        return found

    return wait_for_change(folder, before if before is not None else files(folder), look, lambda: later(1))


def test_the_files_of_a_repository_are_those_that_git_does_not_ignore(folder: Folder) -> None:
    folder.write("new.txt", "n")
    folder.write("x.log", "x")
    folder.write("out/made", "x")
    assert sorted(files(folder.path)) == [".gitignore", "new.txt", "other", "src/a", "src/a.c", "src/b"]


def test_outside_of_a_repository_all_files_count_but_those_of_running_jobs(tmp_path: Path) -> None:
    for name in ("a", "b/c", ".git/HEAD", "headway-local-1/src/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    assert sorted(files(tmp_path)) == ["a", "b/c", "link"]


def test_what_changed_while_the_run_took_place_is_seen_at_once(folder: Folder) -> None:
    before = files(folder.path)
    folder.write("src/a.c", "longer")
    assert changed(folder.path, lambda _: None, before) == ["src/a.c"]


def test_a_later_change_is_seen(folder: Folder) -> None:
    def later(_: int) -> None:
        folder.write("new.txt", "n")
        (folder.path / "src/a.c").unlink(missing_ok=True)

    assert {*changed(folder.path, later)} <= {"new.txt", "src/a.c"}


def test_an_ignored_file_and_git_itself_start_no_run(folder: Folder) -> None:
    seen = []

    def later(time: int) -> None:
        seen.append(time)
        if time == 1:
            folder.write("x.log", "x")
            folder.write(".git/anything", "x")
        else:  # the look at the folder after the ignored file
            folder.write("src/b.c", "b")

    assert changed(folder.path, later) == ["src/b.c"]
    assert seen[:2] == [1, 2]


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/a/src/x", True),
        ("/a/.gitignore", True),
        ("/a/.git/index", False),
        ("/a/b/.git", False),
        ("/a/headway-local-1-1/src/x", False),
    ],
)
def test_events_of_git_itself_and_of_running_jobs_are_not_looked_at(path: str, counts: bool) -> None:
    assert _counts(None, path) is counts


def test_a_mode_that_changes_is_a_change(folder: Folder) -> None:
    before = files(folder.path)
    (folder.path / "src/a.c").chmod(0o755)
    assert changed(folder.path, lambda _: None, before) == ["src/a.c"]


def test_a_folder_that_cannot_be_watched_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="gone is not a folder any more"):
        wait_for_change(tmp_path / "gone", {}, dict, lambda: None)


def test_a_kernel_that_watches_no_more_is_an_error_with_what_to_do(tmp_path: Path) -> None:
    wait_for_change(tmp_path, {"a": (1,)}, dict, lambda: None)  # all is loaded
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(StepError, match=r"cannot be watched: .*max_user_instances"):
            wait_for_change(tmp_path, {}, dict, lambda: None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def runs(folder: Path, *statuses: int, **options: bool) -> int:
    """Runs that end with these statuses, during each of which a file changes."""
    left = list(statuses)

    def run() -> int:
        for number in range(NAMES_SHOWN_MAX + 1):
            (folder / f"src{number}\x1b[2J").write_text("x" * len(left))
        return left.pop(0)

    status = run_and_watch(folder, run, json=options.get("json", False))
    assert left == []
    return status


def test_it_runs_again_after_each_change_until_it_is_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = runs(tmp_path, exit_status.FAILED, exit_status.USAGE, exit_status.BROKEN, exit_status.INTERRUPTED)
    assert ended == exit_status.INTERRUPTED
    said = capsys.readouterr().out
    names = ", ".join(f"src{number}\\x1b[2J" for number in range(NAMES_SHOWN_MAX))
    assert said.splitlines() == [f"runs again: {names} and 1 more changed"] * 3


def test_programs_get_an_object_for_each_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs(tmp_path, exit_status.DONE, exit_status.INTERRUPTED, json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["event"] == "changed"


def test_ctrl_c_ends_the_wait_for_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()

    def interrupt() -> None:
        os.read(read, 100)  # the line that says that the folder is watched
        os.kill(os.getpid(), signal.SIGINT)

    with os.fdopen(write, "w") as out, os.fdopen(read), ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr("sys.stdout", out)
        sent = pool.submit(interrupt)
        assert run_and_watch(tmp_path, lambda: exit_status.DONE, json=False) == exit_status.INTERRUPTED
        sent.result()


def test_a_folder_that_is_not_there_is_a_wrong_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_and_watch(tmp_path / "gone", lambda: exit_status.DONE, json=False) == exit_status.USAGE
    assert "is not a folder" in capsys.readouterr().err
