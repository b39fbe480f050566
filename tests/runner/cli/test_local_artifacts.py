"""Artifacts of `headway run` in the user's cache."""

import stat
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest

from pipelines.plan import Artifacts
from runner.artifacts.files import FoundFile
from runner.cli.cache_folder import cache_folder
from runner.cli.run.artifacts import LISTED_COUNT_MAX, LocalArtifacts
from tests.support.builders import job_plan

ASKED = Artifacts(name="results", paths=("**",))


def found(path: str, content: bytes = b"content", *, executable: bool = False) -> FoundFile:
    return FoundFile(path, len(content), executable, partial(BytesIO, content))


def test_the_cache_is_where_the_user_wants_it() -> None:
    assert cache_folder({"HOME": "/home/ada"}, "artifacts") == Path("/home/ada/.cache/headway/artifacts")
    assert cache_folder({"HOME": "/home/ada", "XDG_CACHE_HOME": "/big"}, "artifacts") == Path("/big/headway/artifacts")


def test_what_a_job_keeps_another_gets(tmp_path: Path) -> None:
    with LocalArtifacts(tmp_path / "cache") as run:
        build, deploy = run.of(job_plan("build", 1)), run.of(job_plan("deploy", 2))
        deploy.keep(1, ASKED, [found("log")])
        build.keep(2, ASKED, [found("bin/app", b"second", executable=True)])
        build.keep(1, ASKED, [found("bin/app", b"first")])
        first, second = deploy.kept_by(["build"])
        assert [b"".join(deploy.read(file)) for file in (first, second)] == [b"first", b"second"]
        assert (second.path, second.executable, second.source, second.size_bytes) == ("bin/app", True, "build", 6)
        assert Path(second.key).read_bytes() == b"second"
        assert stat.S_IMODE(Path(second.key).stat().st_mode) == 0o755
        assert stat.S_IMODE(run.folder.stat().st_mode) == 0o700
        assert deploy.kept_by([]) == []


def test_nothing_is_made_where_nothing_is_kept(tmp_path: Path) -> None:
    with LocalArtifacts(tmp_path / "cache") as run:
        assert (run.listed(), (tmp_path / "cache").exists()) == ([], False)


def test_the_next_run_removes_what_earlier_ones_kept_but_not_what_runs(tmp_path: Path) -> None:
    (tmp_path / "cache/other").mkdir(parents=True)
    with LocalArtifacts(tmp_path / "cache") as running:
        running.of(job_plan("build")).keep(1, ASKED, [found("a")])
        with LocalArtifacts(tmp_path / "cache") as ended:
            ended.of(job_plan("build")).keep(1, ASKED, [found("a")])
        assert ended.folder.exists()
        with LocalArtifacts(tmp_path / "cache"):
            assert not ended.folder.exists()
            assert (running.folder / "1-build/1/a").exists()
            assert (tmp_path / "cache/other").exists()


@pytest.mark.parametrize(("count", "more"), [(LISTED_COUNT_MAX, []), (LISTED_COUNT_MAX + 1, ["  and 1 more"])])
def test_the_list_names_the_first(tmp_path: Path, count: int, more: list[str]) -> None:
    with LocalArtifacts(tmp_path / "cache") as run:
        run.of(job_plan("build")).keep(1, ASKED, [found(f"f{number:02}") for number in range(count)])
        head, first, *rest = run.listed()
    assert head == f"artifacts: {count} files, {count * 7} bytes, in {run.folder} until the next `headway run`"
    assert first == "  build: f00 (7 bytes)"
    assert rest[LISTED_COUNT_MAX - 1 :] == more
