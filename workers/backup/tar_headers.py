"""Headers of a tar archive, read with little memory whatever they say.

The tar of an archive is unpacked from zstd: a gigabyte of header costs an archive some kilobytes.
"""

import tarfile
from typing import Any

EXTENDED_HEADER_BYTES_MAX = 64 * 1024
"""Of a header that precedes that of a file, with a long name or a large size. Python reads it as a whole."""
_REFUSED = {
    tarfile.XGLTYPE: "a header for all files",
    tarfile.GNUTYPE_LONGNAME: "a long name in GNU's form",
    tarfile.GNUTYPE_LONGLINK: "a long link in GNU's form",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}
_EXTENDED = frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE})


class UnboundedHeaderError(Exception):
    """A header that no backup has, and whose size only its writer bounds."""


def limited_member() -> type[tarfile.TarInfo]:
    """The class for the members of one archive: it refuses what no backup has, before Python reads it."""

    class Member(tarfile.TarInfo):
        was_extended = False

        @classmethod
        def frombuf(cls, buf: Any, encoding: Any, errors: Any) -> "Member":  # noqa: ANN401 - the types are the stub's
            """Called for each header, before what belongs to it is read."""
            found = super().frombuf(buf, encoding, errors)
            if kind := _REFUSED.get(found.type):
                raise UnboundedHeaderError(f"it has {kind}, which no backup has")
            extended = found.type in _EXTENDED
            if extended and not 0 <= found.size <= EXTENDED_HEADER_BYTES_MAX:
                limit = f"{EXTENDED_HEADER_BYTES_MAX:,} bytes"
                raise UnboundedHeaderError(f"a header in it has {found.size:,} bytes; the limit is {limit}")
            if extended and cls.was_extended:
                raise UnboundedHeaderError("two headers in it follow each other without a file")
            cls.was_extended = extended
            return found

        def _proc_gnusparse_00(self, *_: object) -> None:
            raise _sparse()

        def _proc_gnusparse_01(self, *_: object) -> None:
            raise _sparse()

        def _proc_gnusparse_10(self, *_: object) -> None:
            raise _sparse()

    return Member


def _sparse() -> UnboundedHeaderError:
    return UnboundedHeaderError("it has a sparse file, which no backup has")
