"""Archives of backups, right ones and wrong ones."""

import io
import tarfile
from collections.abc import Iterable

import zstandard

from workers.backup.archive import FORMAT, ArchiveWriter, Header

WHAT = Header(
    format=FORMAT, headway="1", revision="0001", database="sqlite", created_ms=5, keys=True, logs=True, key_ids=["k"]
)
MEMBERS = [
    ("database/repos/000001.jsonl", b'{"id":1}\n' * 40),
    ("database/runs/000001.jsonl", b""),
    ("keys/secret.key", b"k:x\n"),
    ("logs/0/1/1-1-1.zst", bytes(range(256)) * 10_000),
]


def archive(members: Iterable[tuple[str, bytes]] = MEMBERS, header: Header = WHAT) -> bytes:
    """A whole archive with these members."""
    file = io.BytesIO()
    writer = ArchiveWriter(file, header)
    for name, data in members:
        writer.add_bytes(name, data)
    writer.finish()
    return file.getvalue()


def plain_tar(data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    """The members of an archive, as tar has them."""
    with tarfile.open(fileobj=io.BytesIO(zstandard.ZstdDecompressor().decompressobj().decompress(data))) as tar:
        return [(info, found.read() if (found := tar.extractfile(info)) else b"") for info in tar.getmembers()]


def packed(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """An archive with exactly these members, whatever they are."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return zstandard.ZstdCompressor().compress(file.getvalue())
