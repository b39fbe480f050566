"""Artifacts in a checkout: what is found, what is left out, and what no step can reach by links."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.artifacts.checkout_files import find_in_checkout
from runner.artifacts.files import ArtifactLimits, Found
from runner.artifacts.patterns import Patterns
from runner.errors import CanceledError, StepError
from runner.step_files import StepFolder

NAMES = ("report.xml", "dist/app", "dist/lib/a.so", "dist/lib/a.tmp", "src/main.c", ".git/config", "sub/.git/HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "src"
    for name in NAMES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (root / "dist/app").chmod(0o755)
    return root


def find(
    checkout: Path, *paths: str, exclude: Sequence[str] = (), folder: Sequence[str] = (),
    limits: ArtifactLimits | None = None,
) -> Found:  # fmt: skip
    found = Found(limits or ArtifactLimits())
    find_in_checkout(StepFolder(checkout), folder, Patterns(paths, exclude), found, lambda: None)
    return found


def names(found: Found) -> list[str]:
    return [file.path for file in found.files]


def test_files_that_match_are_found_in_order(checkout: Path) -> None:
    found = find(checkout, "report.xml", "dist")
    assert sorted(names(found)) == ["dist/app", "dist/lib/a.so", "dist/lib/a.tmp", "report.xml"]
    assert found.size_bytes == sum(map(len, ["dist/app", "dist/lib/a.so", "dist/lib/a.tmp", "report.xml"]))
    assert {file.path for file in found.files if file.executable} == {"dist/app"}
    assert {file.path: b"".join(file.pieces()).decode() for file in found.files} == {
        name: name for name in names(found)
    }
    assert found.left_out == []


@pytest.mark.parametrize(
    ("paths", "exclude", "expected"),
    [
        (["dist/**"], ["**/*.tmp"], ["dist/app", "dist/lib/a.so"]),
        (["dist"], ["dist/lib"], ["dist/app"]),
        (["**/*.so"], [], ["dist/lib/a.so"]),
        (["*/app"], [], ["dist/app"]),
        (["none"], [], []),
        (["**"], ["dist", "src", "sub"], ["report.xml"]),
    ],
)
def test_patterns_and_what_they_exclude(
    checkout: Path, paths: list[str], exclude: list[str], expected: list[str]
) -> None:  # fmt: skip
    assert sorted(names(find(checkout, *paths, exclude=exclude))) == expected


def test_gits_own_folder_is_never_kept_but_one_of_that_name_below_is(checkout: Path) -> None:
    assert ".git/config" not in names(find(checkout, "**", ".git"))
    assert "sub/.git/HEAD" in names(find(checkout, "**"))


def test_patterns_are_relative_to_the_folder_of_the_step(checkout: Path) -> None:
    assert names(find(checkout, "a.so", folder=("dist", "lib"))) == ["dist/lib/a.so"]
    assert names(find(checkout, "**", folder=("missing",))) == []


def test_links_are_left_out_and_never_followed(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("of the worker")
    (checkout / "dist/away").symlink_to(tmp_path / "secret")
    (checkout / "dist/key").symlink_to(tmp_path / "secret/key")
    found = find(checkout, "dist/**", "dist/away/key")
    assert "of the worker" not in str([b"".join(file.pieces()) for file in found.files])
    assert sorted(found.left_out) == [
        "not kept: 'dist/away': it is a link, and links are not kept; copy what it leads to",
        "not kept: 'dist/key': it is a link, and links are not kept; copy what it leads to",
    ]


def test_a_folder_of_the_step_that_is_a_link_is_refused(checkout: Path, tmp_path: Path) -> None:
    (checkout / "here").symlink_to(tmp_path)
    with pytest.raises(StepError, match="'here' leads through a link; name the folder itself") as caught:
        find(checkout, "**", folder=("here",))
    assert caught.value.reason is Reason.ARTIFACTS_REFUSED


def test_a_checkout_that_is_a_link_is_refused_and_one_that_becomes_a_link_later_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker/key").write_text("of the worker")
    workspace, found = tmp_path / "workspace", Found(ArtifactLimits())
    (workspace / "src").mkdir(parents=True)
    (workspace / "src/key").write_text("of the checkout")
    find_in_checkout(StepFolder(workspace, ("src",)), (), Patterns(["key"], ()), found, lambda: None)
    (workspace / "src").rename(workspace / "moved")
    (workspace / "src").symlink_to(tmp_path / "worker")
    with pytest.raises(StepError, match="'key' was removed or replaced meanwhile"):
        list(found.files[0].pieces())
    with pytest.raises(StepError, match="'src' leads through a link"):
        find_in_checkout(StepFolder(workspace, ("src",)), (), Patterns(["key"], ()), found, lambda: None)


def test_a_file_that_becomes_a_link_later_is_not_read(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of the worker")
    (file,) = find(checkout, "report.xml").files
    (checkout / "report.xml").unlink()
    (checkout / "report.xml").symlink_to(tmp_path / "key")
    with pytest.raises(StepError, match=r"'report.xml' was removed or replaced meanwhile \(it is a symbolic link\)"):
        list(file.pieces())
    (checkout / "report.xml").unlink()
    with pytest.raises(
        StepError, match=r"'report.xml' was removed or replaced meanwhile \(No such file or directory\)"
    ):
        list(file.pieces())
    os.mkfifo(checkout / "report.xml")
    with pytest.raises(StepError, match=r"it is no ordinary file"):
        list(file.pieces())


def test_a_file_that_grows_is_kept_as_it_was_found(checkout: Path) -> None:
    (file,) = find(checkout, "report.xml").files
    with (checkout / "report.xml").open("a") as grown:
        grown.write("x" * 100)
    assert b"".join(file.pieces()) == b"report.xml"


def test_what_is_no_file_is_left_out_without_waiting(checkout: Path) -> None:
    os.mkfifo(checkout / "dist/pipe")
    assert find(checkout, "dist").left_out == ["not kept: 'dist/pipe': it is no ordinary file"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"dist/\xff", "its name is not UTF-8"),
        (b"dist/a\nb", "its name has a character that cannot be shown"),
        (b"/".join([b"dist", *[b"n" * 200] * 6]), "its path has more than 1024 bytes"),
    ],
)
def test_a_name_that_no_page_can_show_is_left_out(checkout: Path, name: bytes, why: str) -> None:
    path = os.path.join(os.fsencode(checkout), name)  # noqa: PTH118 - of bytes
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - of bytes
    with open(path, "wb"):  # noqa: PTH123 - of bytes
        pass
    (sentence,) = find(checkout, "dist").left_out
    assert sentence.startswith("not kept: ")
    assert sentence.endswith(f": {why}")


def test_of_many_that_are_left_out_the_first_are_named(checkout: Path) -> None:
    for number in range(12):
        (checkout / f"dist/l{number:02}").symlink_to("x")
    sentences = find(checkout, "dist").left_out
    assert len(sentences) == 11
    assert sentences[-1] == "not kept: 2 more for such reasons"


def test_the_number_of_files_is_limited(checkout: Path) -> None:
    assert len(find(checkout, "dist", limits=ArtifactLimits(files_max=3)).files) == 3
    with pytest.raises(StepError, match="they are more than 2 files; keep fewer") as caught:
        find(checkout, "dist", limits=ArtifactLimits(files_max=2))
    assert caught.value.reason is Reason.ARTIFACTS_REFUSED


def test_the_bytes_are_limited(checkout: Path) -> None:
    size_bytes = len("dist/app" + "dist/lib/a.so" + "dist/lib/a.tmp")
    assert find(checkout, "dist", limits=ArtifactLimits(bytes_max=size_bytes)).size_bytes == size_bytes
    with pytest.raises(StepError, match=f"they have more than {size_bytes - 1} bytes.*HEADWAY_ARTIFACT_BYTES_MAX"):
        find(checkout, "dist", limits=ArtifactLimits(bytes_max=size_bytes - 1))


def test_a_sparse_file_counts_as_large_as_it_says_and_is_not_read(checkout: Path) -> None:
    with (checkout / "dist/sparse").open("wb") as file:
        file.truncate(10 * 1024**4)
    with pytest.raises(StepError, match="more than 1,073,741,824 bytes"):
        find(checkout, "dist")


def test_the_names_that_are_looked_at_are_limited(checkout: Path) -> None:
    at_top = len(list(checkout.iterdir()))
    assert find(checkout, "report.xml", limits=ArtifactLimits(entries_count_max=at_top)).files
    with pytest.raises(StepError, match="more than 4 files were looked at; name the folder in which they are"):
        find(checkout, "report.xml", limits=ArtifactLimits(entries_count_max=at_top - 1))


def test_it_ends_where_the_job_must_end(checkout: Path) -> None:
    def canceled() -> None:
        raise CanceledError(Reason.CANCELED, "canceled")

    with pytest.raises(CanceledError):
        find_in_checkout(StepFolder(checkout), (), Patterns(["**"], ()), Found(ArtifactLimits()), canceled)


def test_very_deep_folders_end_at_the_longest_path(checkout: Path) -> None:
    before = Path.cwd()
    os.chdir(checkout / "dist")
    try:
        for _ in range(700):
            Path("d").mkdir()
            os.chdir("d")
        Path("file").touch()
    finally:
        os.chdir(before)
    (sentence,) = find(checkout, "dist").left_out
    assert sentence.endswith("its path has more than 1024 bytes")
