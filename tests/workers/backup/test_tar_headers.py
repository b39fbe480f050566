"""An archive whose tar is hostile: its headers are refused before they are read into memory."""

import io
import tarfile
import tracemalloc

import pytest
import zstandard
from sqlalchemy import create_engine, text

from tests.support.archives import archive, plain_tar
from workers.backup.archive import HEADER, PARTS_COUNT_MAX, read_header, verify
from workers.backup.tables import Loader
from workers.backup.tar_headers import EXTENDED_HEADER_BYTES_MAX
from workers.errors import StartError

HUGE_BYTES = 300 * 1024**2


def compressed(tar: bytes) -> io.BytesIO:
    return io.BytesIO(zstandard.ZstdCompressor().compress(tar))


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.USTAR_FORMAT)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(content: bytes) -> bytes:
    return header(tarfile.XHDTYPE, len(content)) + padded(content)


def record(key: str, size: int) -> bytes:
    """A record of this size, with its length in front."""
    return f"{size} {key}=".encode().ljust(size - 1, b"x") + b"\n"


def first_member() -> bytes:
    info, data = plain_tar(archive())[0]
    assert info.name == HEADER
    return header(tarfile.REGTYPE, len(data), HEADER) + padded(data)


@pytest.mark.parametrize("over", [0, 1])
def test_a_header_in_front_of_a_file_has_a_limit(over: int) -> None:
    file = compressed(pax(record("comment", EXTENDED_HEADER_BYTES_MAX + over)) + first_member() + bytes(1024))
    if over:
        with pytest.raises(StartError, match="a header in it has 65,537 bytes; the limit is 65,536 bytes"):
            read_header(file)
    else:
        assert read_header(file).format == 1


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (tarfile.XHDTYPE, "a header in it has 314,572,800 bytes"),
        (tarfile.SOLARIS_XHDTYPE, "a header in it has 314,572,800 bytes"),
        (tarfile.XGLTYPE, "a header for all files"),
        (tarfile.GNUTYPE_LONGNAME, "a long name in GNU's form"),
        (tarfile.GNUTYPE_LONGLINK, "a long link in GNU's form"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
    ],
)
def test_a_header_of_gigabytes_is_not_read(kind: bytes, why: str) -> None:
    file = compressed(header(kind, HUGE_BYTES) + bytes(HUGE_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(StartError, match=why):
            read_header(file)
        assert tracemalloc.get_traced_memory()[1] < HUGE_BYTES / 10
    finally:
        tracemalloc.stop()


def test_headers_without_end_are_not_followed() -> None:
    chain = pax(record("comment", 512)) * 10_000
    with pytest.raises(StartError, match="two headers in it follow each other"):
        read_header(compressed(chain + first_member()))


@pytest.mark.parametrize(
    "given",
    [
        b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n",
        b"25 GNU.sparse.map=0,1,2,3\n22 GNU.sparse.size=10\n",
        b"22 GNU.sparse.size=10\n27 GNU.sparse.numblocks=1\n",
    ],
)
def test_a_sparse_file_is_refused_before_its_map_is_read(given: bytes) -> None:
    holes = b"999999999\n".ljust(512, b"1") + b"1\n" * 200_000
    file = compressed(pax(given) + header(tarfile.REGTYPE, len(holes)) + padded(holes))
    with pytest.raises(StartError, match="a sparse file, which no backup has"):
        read_header(file)


@pytest.mark.parametrize("over", [0, 1])
def test_the_number_of_parts_is_limited(over: int) -> None:
    names = [f"database/{number}/1.jsonl" for number in range(PARTS_COUNT_MAX - 1 + over)]
    tar = first_member() + b"".join(header(tarfile.REGTYPE, 0, name) for name in names)
    with pytest.raises(StartError, match="more than 1,000 parts" if over else "its checksums are missing"):
        verify(compressed(tar + bytes(1024)))


@pytest.mark.parametrize(("window_log", "refused"), [(23, False), (24, True)])
def test_an_archive_that_needs_much_memory_to_unpack_is_refused(window_log: int, refused: bool) -> None:
    tar = first_member() + bytes(20 * 1024**2)
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=window_log)
    packing = zstandard.ZstdCompressor(compression_params=parameters).compressobj()  # of a size that it does not say
    file = io.BytesIO(packing.compress(tar) + packing.flush())
    if refused:
        with pytest.raises(StartError, match="too much memory"):
            read_header(file)
    else:
        assert read_header(file).format == 1


@pytest.mark.parametrize("over", [0, 1])
def test_a_row_has_a_limit(over: int) -> None:
    row = b'{"a": "' + b"x" * (91 + over) + b'"}\n'
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("create table t (a text)"))
        loader = Loader(connection, row_bytes_max=101)
        if over:
            with pytest.raises(StartError, match="a row of more than 101 bytes"):
                loader.load("database/t/1.jsonl", io.BytesIO(row * 2))
        else:
            loader.load("database/t/1.jsonl", io.BytesIO(row * 2))
            assert loader.rows == {"t": 2}


def test_a_row_of_brackets_does_not_fit() -> None:
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("create table t (a text)"))
        with pytest.raises(StartError, match="does not fit its schema"):
            Loader(connection).load("database/t/1.jsonl", io.BytesIO(b"[" * 1_000_000))
