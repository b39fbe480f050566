"""Archives of an engine with userns-remap get the owners that files have in containers, and change in nothing else."""

import io
import tarfile
from collections.abc import Iterator

import pytest

from runner.caches.archive_owners import with_container_owners

ROOT = (231_072, 300_000)


def entry(name: str, user: int = ROOT[0], group: int = ROOT[1], **more: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.uid, member.gid = user, group
    for key, value in more.items():
        setattr(member, key, value)
    return member


def packed(*members: tarfile.TarInfo, content: bytes = b"") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as entries:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            entries.addfile(member, io.BytesIO(content))
    return data.getvalue()


def renumbered(archive: bytes, root: tuple[int, int] = ROOT, piece_bytes: int = 1000) -> bytes:
    pieces = (archive[at : at + piece_bytes] for at in range(0, len(archive), piece_bytes))
    return b"".join(with_container_owners(pieces, root))


def members(archive: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as entries:
        return entries.getmembers()


@pytest.mark.parametrize(
    ("user", "number"),
    [(ROOT[0], 0), (ROOT[0] + 1234, 1234), (ROOT[0] + 65_535, 65_535), (ROOT[0] + 65_536, 0), (ROOT[0] - 1, 0), (0, 0)],
)
def test_a_user_is_numbered_as_in_containers_and_one_that_none_has_is_root(user: int, number: int) -> None:
    (member,) = members(renumbered(packed(entry("file", user, ROOT[1] + 5))))
    assert (member.uid, member.gid) == (number, 5)


def test_numbers_that_do_not_fit_into_the_header_are_changed_as_well() -> None:
    root = (600_000_000, 600_100_000)
    archive = packed(entry("file", root[0] + 7, root[1] + 8))
    assert b"uid=600000007" in archive
    (member,) = members(renumbered(archive, root))
    assert (member.uid, member.gid) == (7, 8)
    assert not {"uid", "gid"} & member.pax_headers.keys()


def test_nothing_else_changes() -> None:
    long = "version/0/" + "n" * 300
    attributes = {
        "SCHILY.xattr.user.note": "text",
        "SCHILY.xattr.security.capability": "\udcff\x01",
        "mtime": "5.000000001",
    }
    archive = packed(
        entry("version/0", type=tarfile.DIRTYPE, mode=0o1777),
        entry(long, mode=0o4750, mtime=17, pax_headers=attributes),
        entry("version/0/hard", type=tarfile.LNKTYPE, linkname=long),
        entry("version/0/soft", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        entry("version/0/pipe", type=tarfile.FIFOTYPE),
        content=b"content" * 100_001,
    )
    result = renumbered(archive)
    for old, new in zip(members(archive), members(result), strict=True):
        for field in ("name", "mode", "mtime", "size", "type", "linkname", "pax_headers"):
            assert getattr(old, field) == getattr(new, field), (old.name, field)
    with tarfile.open(fileobj=io.BytesIO(result)) as entries:
        file = entries.extractfile(long)
        assert file is not None
        assert file.read() == b"content" * 100_001
    assert result.endswith(bytes(1024))


def test_what_the_pieces_raise_in_the_end_is_raised() -> None:
    def pieces() -> Iterator[bytes]:
        yield packed(entry("file"))
        raise OSError("it breaks off")

    with pytest.raises(OSError, match="it breaks off"):
        list(with_container_owners(pieces(), ROOT))


@pytest.mark.parametrize("archive", [b"no archive" * 100, packed(entry("file"), content=b"x" * 5000)[:3000]])
def test_an_archive_that_cannot_be_read_is_an_error(archive: bytes) -> None:
    with pytest.raises(OSError, match="cannot be read"):
        renumbered(archive)
