"""Single files in the archives that the engine gives and takes."""

import tarfile
from io import BytesIO


def file_in(archive: bytes) -> bytes | None:
    """The content of the archive's first entry, or None if that is no file."""
    with tarfile.open(fileobj=BytesIO(archive)) as entries:
        member = entries.next()
        file = entries.extractfile(member) if member and member.isreg() else None
        return file.read() if file else None


def archive_of(name: str, content: bytes) -> bytes:
    """An archive with one file, which is root's and which all may read."""
    archive = BytesIO()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    with tarfile.open(fileobj=archive, mode="w") as entries:
        entries.addfile(member, BytesIO(content))
    return archive.getvalue()
