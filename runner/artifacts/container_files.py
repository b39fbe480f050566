"""Finds the artifacts of a step in its container, in archives that the engine streams."""

import os
import secrets
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from io import FileIO
from pathlib import Path
from posixpath import join
from typing import BinaryIO, cast

from runner.artifacts.checkout_files import why_not_kept
from runner.artifacts.files import PIECE_BYTES, Found, FoundFile, refused, why_no_name
from runner.artifacts.patterns import Patterns, parents
from runner.docker.streams.archive import Archived, ArchiveStream

ARCHIVE_BYTES_MAX = 16 * 1024**3
"""More is not read of a container to find artifacts in it."""


ReadArchive = Callable[[str], Archived | None]


def _limited(pieces: Iterator[bytes], bytes_max: int) -> Iterator[bytes]:
    left = bytes_max
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise refused(f"more than {bytes_max:,} bytes were looked at; name the folder in which they are")
        yield piece


class ContainerFiles:
    """Looks for files below ``folder`` of a container, and copies them to ``spool``, a folder that no step sees.

    ``prefix`` is put before their paths. ``check`` is called often, and raises where the job must end.
    """

    def __init__(
        self, read: ReadArchive, folder: str, spool: Path, check: Callable[[], None], prefix: str = "",
        archive_bytes_max: int = ARCHIVE_BYTES_MAX,
    ) -> None:  # fmt: skip
        self._read, self._folder, self._spool = read, folder, spool
        self._check, self._prefix = check, prefix
        self._archive_bytes_max = archive_bytes_max

    def find(self, patterns: Patterns, found: Found) -> None:
        """Adds the files that the patterns mean. Raises StepError and OSError."""
        for start in patterns.starts():
            if not start and self._folder == "/":
                raise refused("the step starts in '/'; name a folder, or set WORKDIR in the Dockerfile")
            if (answer := self._read(join(self._folder, start))) is None:
                continue
            pieces, about = answer
            with closing(pieces):
                if about.get("linkTarget"):
                    self._leave_out_link(start, patterns, found)
                else:
                    self._read_archive(iter(pieces), start, patterns, found)

    def _leave_out_link(self, path: str, patterns: Patterns, found: Found) -> None:
        patterns.use(patterns.found(path))
        found.leave_out(join(self._prefix, path), why_not_kept(stat.S_IFLNK))

    def _read_archive(self, pieces: Iterator[bytes], start: str, patterns: Patterns, found: Found) -> None:
        stream = ArchiveStream(_limited(pieces, self._archive_bytes_max))
        try:
            with tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|", bufsize=PIECE_BYTES) as entries:
                for member in entries:
                    self._check()
                    found.look()
                    self._take(entries, member, start, patterns, found)
                    # The module keeps every entry that it has read: of a large folder that is a lot of memory.
                    entries.members.clear()  # type: ignore[attr-defined]
        except tarfile.TarError as error:
            raise refused(f"the engine's archive of the container cannot be read: {error}") from None
        while stream.read(PIECE_BYTES):
            self._check()
        if stream.last.strip(b"\0"):  # the module takes one that breaks off between two files for a whole one
            raise refused("the engine's archive of the container cannot be read: it breaks off")

    def _take(
        self, entries: tarfile.TarFile, member: tarfile.TarInfo, start: str, patterns: Patterns, found: Found
    ) -> None:
        if member.isdir():
            return
        # The name of an entry begins with the last part of what was asked for.
        _, slash, inner = member.name.partition("/")
        path = join(start, inner) if slash else start
        if any(patterns.is_excluded(each) for each in (*parents(path), path)):
            return
        matched = frozenset[str]().union(*(patterns.found(each) for each in (*parents(path), path)))
        if not matched:
            return
        patterns.use(matched)
        shown_as = join(self._prefix, path)
        if why := why_no_name(shown_as) or why_not_kept(_kind(member)):
            found.leave_out(shown_as, why)
            return
        copy = self._spool / secrets.token_hex(8)
        found.add(FoundFile(shown_as, member.size, bool(member.mode & stat.S_IXUSR), partial(FileIO, copy)))
        self._copy(entries, member, copy)

    def _copy(self, entries: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
        source = entries.extractfile(member)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while source and (piece := source.read(PIECE_BYTES)):
                self._check()
                file.write(piece)


def _kind(member: tarfile.TarInfo) -> int:
    if member.isreg():
        return stat.S_IFREG
    # A hard link is an entry without bytes: what it stands for came before, perhaps outside of what is kept.
    return stat.S_IFLNK if member.issym() or member.islnk() else stat.S_IFIFO
