"""The tags of a push from a file that a step wrote."""

import os
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.errors import StepError
from runner.images.tags_file import TAGS_FILE_BYTES_MAX, read_tags


def test_tags_stand_one_a_line_or_between_commas(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/tags").write_text("latest\n 1.2 , 1\r\n\n")
    assert read_tags(tmp_path, tmp_path, "./out/tags") == ("latest", "1.2", "1")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file or directory; an earlier step must write it"),
        (b"\n", "is empty; write one tag per line"),
        (b"ok\nroot:x:0", "entry 2 of the tags file '.tags' is not a tag: it has a character other than"),
        (b"-x", "is not a tag: it begins with '.' or '-'; write one tag per line; "),
        (b"x" * 129, "is not a tag: it has 129 characters; a tag has at most 128"),
        (b"\xff", "entry 1 of the tags file '.tags' is not a tag"),
        (b"a" * (TAGS_FILE_BYTES_MAX + 1), f"is larger than {TAGS_FILE_BYTES_MAX} bytes"),
    ],
)
def test_a_file_without_tags_is_refused(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / ".tags").write_bytes(content)
    with pytest.raises(StepError, match=sentence) as error:
        read_tags(tmp_path, tmp_path, ".tags")
    assert error.value.reason is Reason.PUSH_REFUSED


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("link", "it is a symbolic link"),
        ("folder/tags", "Not a directory"),
        ("pipe", "it is no ordinary file"),
        ("plain", "it is no ordinary file"),
        ("gone", "No such file or directory"),
    ],
)
def test_what_is_no_file_of_the_checkout_is_not_read(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/tags").write_text("latest")
    checkout = tmp_path / "checkout"
    (checkout / "plain").mkdir(parents=True)
    (checkout / "link").symlink_to(tmp_path / "outside/tags")
    (checkout / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(checkout / "pipe")
    with pytest.raises(StepError, match=f"cannot be read: {why}; an earlier step must write it"):
        read_tags(checkout, checkout, name)


@pytest.mark.parametrize("place", ["src", "src/deeper", "src/.."])
def test_a_checkout_that_a_step_made_a_link_leads_nowhere(tmp_path: Path, place: str) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    workspace.mkdir()
    (outside / "deeper").mkdir(parents=True)
    for folder in (tmp_path, outside, outside / "deeper"):
        (folder / "tags").write_text("latest")
    (workspace / "src").symlink_to(outside)
    with pytest.raises(StepError, match="cannot be read: "):
        read_tags(workspace, workspace / place, "tags")
