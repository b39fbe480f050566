"""Artifacts on their way back into a checkout."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.artifacts.files import KeptFile
from runner.artifacts.restoring import put_back
from runner.errors import CanceledError, StepError


def kept(path: str, *, executable: bool = False) -> KeptFile:
    return KeptFile(path, len(path), executable, "", path, "build")


def read(file: KeptFile) -> Iterator[bytes]:
    yield file.path.encode()


def restore(checkout: Path, *files: KeptFile) -> None:
    put_back(checkout, files, read, lambda: None)


def test_files_come_back_at_their_paths_with_their_modes(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/app").write_text("of the repository, which is longer than the artifact")
    restore(tmp_path, kept("dist/app", executable=True), kept("report.xml"), kept("a/b/c"))
    assert (tmp_path / "dist/app").read_text() == "dist/app"
    assert stat.S_IMODE((tmp_path / "dist/app").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "report.xml").stat().st_mode) == 0o644
    assert (tmp_path / "a/b/c").read_text() == "a/b/c"


def test_of_the_same_path_the_later_counts(tmp_path: Path) -> None:
    put_back(tmp_path, [kept("a"), kept("a", executable=True)], read, lambda: None)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755


def test_a_link_in_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    checkout, outside = tmp_path / "src", tmp_path / "outside"
    checkout.mkdir()
    outside.write_text("of the worker")
    (checkout / "report.xml").symlink_to(outside)
    restore(checkout, kept("report.xml"))
    assert outside.read_text() == "of the worker"
    assert not (checkout / "report.xml").is_symlink()


@pytest.mark.parametrize("way", ["link", "file", "folder"])
def test_what_is_in_the_way_stops_the_job_with_a_sentence(tmp_path: Path, way: str) -> None:
    checkout, outside = tmp_path / "src", tmp_path / "outside"
    checkout.mkdir()
    outside.mkdir()
    match way:
        case "link":
            (checkout / "dist").symlink_to(outside)
        case "file":
            (checkout / "dist").write_text("")
        case _:
            (checkout / "dist/app").mkdir(parents=True)
    with pytest.raises(StepError) as caught:
        restore(checkout, kept("dist/app"))
    assert str(caught.value) == (
        "the artifact 'dist/app' of workflow 'build' cannot be put into the checkout: a link, a file or a folder of "
        "the checkout is in its place; remove it from the repository"
    )
    assert caught.value.reason is Reason.ARTIFACTS_REFUSED
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", "a//b", "a/../../b", ".git/hooks/post-checkout", "a\nb", ""])
def test_a_name_that_was_never_kept_is_not_written(tmp_path: Path, path: str) -> None:
    checkout = tmp_path / "src"
    checkout.mkdir()
    with pytest.raises(StepError, match="cannot be put into the checkout"):
        restore(checkout, kept(path))
    assert list(checkout.iterdir()) == []
    assert list(tmp_path.iterdir()) == [checkout]


def test_it_ends_where_the_job_must_end(tmp_path: Path) -> None:
    def canceled() -> None:
        raise CanceledError(Reason.CANCELED, "canceled")

    with pytest.raises(CanceledError):
        put_back(tmp_path, [kept("a")], read, canceled)
    assert list(tmp_path.iterdir()) == []
