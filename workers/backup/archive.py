"""The archive: a tar, compressed with zstd. It is written and read as a stream, with little memory however large it is.

The first member says what the archive is, the last one has the checksum of each part: a part is a table, the keys or
the logs. So an archive that was cut off has no checksums, and is not used.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Protocol

import zstandard
from pydantic import BaseModel, ValidationError

from workers.backup.tar_headers import UnboundedHeaderError, limited_member
from workers.errors import StartError

if TYPE_CHECKING:
    from hashlib import _Hash

FORMAT = 1
"""The newest form of an archive that this program reads. A change that older programs misread makes it larger."""
HEADER = "headway-backup.json"
MANIFEST = "manifest.json"
TABLES = "database"
KEYS = "keys"
LOGS = "logs"
PARTS_COUNT_MAX = 1_000
"""Each table is one: a checksum is kept of each while the archive is read."""
_TEXT_BYTES_MAX = 1024**2
_READ_BYTES = 1024**2
_COMPRESSED_BYTES = 512  # zstd makes at most 16 MiB of them: four bytes may stand for 128 KiB
_WINDOW_BYTES_MAX = 8 * 1024**2
_LEVEL = 3


class Header(BaseModel):
    """What an archive is: its form, the schema of its rows, when it was made (by the database), and what it has."""

    format: int
    headway: str
    revision: str
    database: str
    created_ms: int
    keys: bool
    logs: bool
    key_ids: list[str]


class Part(BaseModel):
    """What was written of one part. The checksum is of names, sizes and contents, in order."""

    members: int
    rows: int
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """The parts of an archive by name."""

    parts: dict[str, Part]


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass
class _Sum:
    members: int = 0
    rows: int = 0
    bytes: int = 0
    digest: "_Hash" = field(default_factory=hashlib.sha256)

    def begin(self, info: tarfile.TarInfo, rows: int = 0) -> None:
        self.members += 1
        self.rows += rows
        self.bytes += info.size
        self.digest.update(f"{info.name}\0{info.size}\0".encode())

    def part(self) -> Part:
        return Part(members=self.members, rows=self.rows, bytes=self.bytes, sha256=self.digest.hexdigest())


class _Summing(io.RawIOBase):
    """A member's bytes, which go into the checksum as they are read."""

    def __init__(self, source: "_Readable", digest: "_Hash") -> None:
        super().__init__()
        self._source, self._digest = source, digest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        data = self._source.read(len(buffer))
        self._digest.update(data)
        buffer[: len(data)] = data
        return len(data)


class _Plain(io.RawIOBase):
    """The file without its compression. Raises EOFError where it ends too early or too late."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file, self._zstd = file, _decompressor().decompressobj()
        self._waiting = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        while not self._waiting and (data := self._file.read(_COMPRESSED_BYTES)):
            self._waiting = memoryview(self._zstd.decompress(data))
        if not self._waiting and (not self._zstd.eof or self._zstd.unused_data):
            raise EOFError("its end is missing, or something follows")
        taken = self._waiting[: len(buffer)]
        buffer[: len(taken)] = taken
        self._waiting = self._waiting[len(taken) :]
        return len(taken)


def _decompressor() -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)


class ArchiveWriter:
    """Writes an archive. ``finish`` makes it complete; without that call it is refused by who reads it."""

    def __init__(self, file: IO[bytes], header: Header) -> None:
        # No threads: on the machine of a small server the jobs need the processors.
        self._zstd = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(file, closefd=False)
        self._tar = tarfile.open(fileobj=self._zstd, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._mtime_s = header.created_ms // 1000
        self._sums: dict[str, _Sum] = {}
        self.add_bytes(HEADER, header.model_dump_json(indent=2).encode())

    def add(self, name: str, size_bytes: int, source: "_Readable", rows: int = 0) -> None:
        """Adds a member of exactly ``size_bytes``, which ``source`` must have."""
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size_bytes, 0o600, self._mtime_s
        total = self._sums.setdefault(_part_of(name), _Sum())
        total.begin(info, rows)
        self._tar.addfile(info, io.BufferedReader(_Summing(source, total.digest), _READ_BYTES))
        _forget_members(self._tar)

    def add_bytes(self, name: str, data: bytes, rows: int = 0) -> None:
        """Adds a member."""
        self.add(name, len(data), io.BytesIO(data), rows)

    def finish(self) -> Manifest:
        """Writes the checksums and ends the archive."""
        manifest = Manifest(parts={name: total.part() for name, total in self._sums.items()})
        self.add_bytes(MANIFEST, manifest.model_dump_json(indent=2).encode())
        self._tar.close()
        self._zstd.close()  # type: ignore[no-untyped-call]
        return manifest


def read_header(file: IO[bytes]) -> Header:
    """What the archive is. Raises StartError."""
    for name, member in _members(file):
        if name == HEADER:
            header = Header.model_validate_json(member.read(_TEXT_BYTES_MAX))
            break
        raise _unusable("it does not begin as one")
    else:
        raise _unusable("it is empty")
    if header.format > FORMAT:
        raise StartError(
            f"The archive has form {header.format}, made by Headway {header.headway}, and this program reads up to "
            f"{FORMAT}. Restore it with that version or a newer one."
        )
    return header


def read_archive(file: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """The members but the first and the last, each to be read before the next one is asked for.

    Raises StartError if one is not as it was written. A part is known to be right only when all have been read.
    """
    sums: dict[str, _Sum] = {}
    manifest = None
    for name, member in _members(file, sums):
        if manifest is not None:
            raise _unusable("something follows its checksums")
        if name == MANIFEST:
            manifest = Manifest.model_validate_json(member.read(_TEXT_BYTES_MAX))
        elif name != HEADER:
            yield name, member
    del sums[MANIFEST]
    _compare(manifest, sums)


def verify(file: IO[bytes]) -> None:
    """Reads the whole archive. Raises StartError if it is cut off or changed."""
    for _member in read_archive(file):
        pass


def _compare(manifest: Manifest | None, sums: dict[str, _Sum]) -> None:
    wanted = {} if manifest is None else manifest.parts
    for name in sorted(wanted.keys() | sums.keys()):
        total = sums.get(name)
        if total is None or name not in wanted or total.digest.hexdigest() != wanted[name].sha256:
            raise _unusable(f"its part {name} is not as it was written")


def _members(file: IO[bytes], sums: dict[str, _Sum] | None = None) -> Iterator[tuple[str, IO[bytes]]]:
    sums = {} if sums is None else sums
    file.seek(0)
    try:
        with (
            io.BufferedReader(_Plain(file), _READ_BYTES) as plain,
            tarfile.open(fileobj=plain, mode="r|", tarinfo=limited_member()) as tar,
        ):
            while (info := tar.next()) is not None:
                _forget_members(tar)
                yield info.name, (member := _open(tar, info, sums))
                while member.read(_READ_BYTES):  # the rest counts too
                    pass
            while plain.read(_READ_BYTES):  # up to the end of the compressed bytes
                pass
    except UnboundedHeaderError as error:
        raise _unusable(str(error)) from None
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise _unusable(f"it is cut off or damaged ({error})") from None
    except ValidationError:
        raise _unusable("what it says of itself cannot be read") from None
    if sums and MANIFEST not in sums:
        raise _unusable("it is cut off: its checksums are missing")


def _open(tar: tarfile.TarFile, info: tarfile.TarInfo, sums: dict[str, _Sum]) -> IO[bytes]:
    source = tar.extractfile(info) if info.isfile() else None
    if source is None:
        raise _unusable(f"{info.name!r} in it is not a file")
    total = sums.setdefault(_part_of(info.name), _Sum())
    if len(sums) > PARTS_COUNT_MAX:
        raise _unusable(f"it has more than {PARTS_COUNT_MAX:,} parts")
    total.begin(info)
    return io.BufferedReader(_Summing(source, total.digest), _READ_BYTES)


def _part_of(name: str) -> str:
    folder, _, rest = name.partition("/")
    return f"{folder}/{rest.partition('/')[0]}" if folder == TABLES else folder


def _forget_members(tar: tarfile.TarFile) -> None:
    """A tar file remembers each member, also where it never goes back."""
    tar.members.clear()  # type: ignore[attr-defined]


def _unusable(why: str) -> StartError:
    return StartError(f"This is not a whole archive of `headway backup`: {why}. Nothing was restored; use another.")
