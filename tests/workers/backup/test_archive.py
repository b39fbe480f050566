"""The form of an archive: what was written comes back, and whatever was not written like that is refused."""

import io
import tarfile

import pytest
import zstandard

from tests.support.archives import MEMBERS, WHAT, archive, packed, plain_tar
from workers.backup.archive import FORMAT, HEADER, read_archive, read_header, verify
from workers.errors import StartError


def test_what_was_written_comes_back() -> None:
    file = io.BytesIO(archive())
    assert read_header(file) == WHAT
    assert [(name, data.read()) for name, data in read_archive(file)] == MEMBERS


def test_a_member_may_be_left_unread() -> None:
    assert [name for name, _ in read_archive(io.BytesIO(archive()))] == [name for name, _ in MEMBERS]


def test_it_is_a_usual_tar_with_the_header_first() -> None:
    assert plain_tar(archive())[0][0].name == HEADER


def test_an_archive_that_is_cut_off_anywhere_is_refused() -> None:
    whole = archive()
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        with pytest.raises(StartError, match="Nothing was restored"):
            verify(io.BytesIO(whole[:length]))


def test_a_changed_byte_anywhere_is_refused() -> None:
    whole = archive()
    for place in range(0, len(whole), 41):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        with pytest.raises(StartError, match="Nothing was restored"):
            verify(io.BytesIO(bytes(changed)))


def test_what_follows_the_end_is_refused() -> None:
    for more in (b"\0", archive(), bytes(100_000)):
        with pytest.raises(StartError, match="Nothing was restored"):
            verify(io.BytesIO(archive() + more))


@pytest.mark.parametrize("number", range(len(MEMBERS) + 1))
def test_a_changed_missing_or_renamed_member_is_refused(number: int) -> None:
    members = plain_tar(archive())
    info, data = members[number]
    renamed = tarfile.TarInfo(f"{info.name}x")
    for changed in ([(info, data + b" ")], [], [(renamed, data)]):
        again = packed([*members[:number], *changed, *members[number + 1 :]])
        with pytest.raises(StartError, match="Nothing was restored"):
            verify(io.BytesIO(again))


def test_members_that_were_added_or_moved_are_refused() -> None:
    members = plain_tar(archive())
    extra = (tarfile.TarInfo("database/users/000001.jsonl"), b'{"id":1}\n')
    link = tarfile.TarInfo("logs/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    for again in (
        [*members, extra],
        [*members[:-1], extra, members[-1]],
        [*members[:-1], (link, b""), members[-1]],
        members[:-1],
    ):
        with pytest.raises(StartError, match="Nothing was restored"):
            verify(io.BytesIO(packed(again)))


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0", zstandard.ZstdCompressor().compress(b"text" * 999)])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(StartError, match="not a whole archive"):
        read_header(io.BytesIO(data))


def test_a_newer_form_is_refused_and_this_one_is_not() -> None:
    read_header(io.BytesIO(archive(header=WHAT)))
    newer = WHAT.model_copy(update={"format": FORMAT + 1, "headway": "9.1"})
    with pytest.raises(StartError, match=r"made by Headway 9\.1"):
        read_header(io.BytesIO(archive(header=newer)))
