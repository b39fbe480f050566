"""Files in the archives that the engine gives and takes."""

import tarfile
from collections.abc import Iterator
from io import BytesIO, RawIOBase
from typing import Any, Protocol


class Pieces(Protocol):
    """The bytes of an archive, in pieces."""

    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


Archived = tuple[Pieces, dict[str, Any]]
"""An archive, and what the engine says about what is in it: ``size``, ``linkTarget``."""


class ArchiveStream(RawIOBase):
    """A file of the pieces of an archive, for one reading from its beginning to its end. ``last`` is its last block."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self.last = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as the class above declares it
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
            self.last = (self.last + piece)[-tarfile.BLOCKSIZE :]
        taken = min(len(buffer), len(self._rest))
        buffer[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken


def small_file(archived: Archived, bytes_max: int) -> bytes | None:
    """The content of an archive's first entry, or None if that is no file, or a larger one."""
    pieces, about = archived
    if about["size"] > bytes_max:
        pieces.close()
        return None
    return file_in(b"".join(pieces))


def file_in(archive: bytes) -> bytes | None:
    """The content of the archive's first entry, or None if that is no file."""
    with tarfile.open(fileobj=BytesIO(archive)) as entries:
        member = entries.next()
        file = entries.extractfile(member) if member and member.isreg() else None
        return file.read() if file else None


def folder_archive(name: str, user: int | None) -> bytes:
    """An archive with a folder that is this user's; all may write to it where the user is not known (None)."""
    archive = BytesIO()
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, 0o777 if user is None else 0o755
    member.uid = member.gid = user or 0
    with tarfile.open(fileobj=archive, mode="w") as entries:
        entries.addfile(member)
    return archive.getvalue()


def archive_of(name: str, content: bytes) -> bytes:
    """An archive with one file, which is root's and which all may read."""
    archive = BytesIO()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    with tarfile.open(fileobj=archive, mode="w") as entries:
        entries.addfile(member, BytesIO(content))
    return archive.getvalue()
