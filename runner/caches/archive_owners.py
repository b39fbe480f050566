"""The owners of files in an archive, as they are numbered in containers.

With userns-remap an engine writes the numbers of this machine into the archives that it makes, and takes those of
containers in the archives that it unpacks. Only the latter mean the same on another machine.
"""

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from runner.docker.streams.archive import ArchiveStream

_PIECE_BYTES = 256 * 1024
_NUMBERS_MAX = 65_536
"""So many users a container has at most where they are remapped (the usual length of a range, see ``man subuid``)."""


def with_container_owners(pieces: Iterator[bytes], root: tuple[int, int]) -> Iterator[bytes]:
    """The archive, with each owner as containers number them; ``root`` is a container's root on this machine.

    What belongs to a user that no container has becomes its root's. Raises OSError, and what the pieces raise.
    """
    stream = ArchiveStream(pieces)
    try:
        with tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|", bufsize=_PIECE_BYTES) as entries:
            while (member := entries.next()) is not None:
                entries.members.clear()  # type: ignore[attr-defined] # it keeps every entry that it has read
                yield from _renumbered(entries, member, root)
    except tarfile.TarError as error:
        raise OSError(f"the engine's archive of it cannot be read: {error}") from None
    while stream.read(_PIECE_BYTES):
        pass  # what proves that the archive is whole comes in the end
    yield bytes(2 * tarfile.BLOCKSIZE)


def _renumbered(entries: tarfile.TarFile, member: tarfile.TarInfo, root: tuple[int, int]) -> Iterator[bytes]:
    member.uid, member.gid = _inside(member.uid, root[0]), _inside(member.gid, root[1])
    member.pax_headers = {name: text for name, text in member.pax_headers.items() if name not in {"uid", "gid"}}
    yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    if member.isreg() and (file := entries.extractfile(member)):
        while piece := file.read(_PIECE_BYTES):
            yield piece
        yield bytes(-member.size % tarfile.BLOCKSIZE)


def _inside(number: int, root: int) -> int:
    return number - root if 0 <= number - root < _NUMBERS_MAX else 0
