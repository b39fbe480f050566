"""The bytes of a pipeline file or a fragment as text."""

import re

from pipelines.interpolation.parser import Source
from pipelines.syntax.diagnostics import WHOLE_FILE, Diagnostics, Place
from pipelines.syntax.yaml import TEXT_BYTES_MAX

SPLIT = "split the pipeline into several files, in the folder .headway/"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SAVE = "save the file as text in UTF-8"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def decode(data: bytes, diagnostics: Diagnostics) -> Source | None:
    """The decoded text of a file. None, with an error, if it is too long or not text."""
    if len(data) > TEXT_BYTES_MAX:
        diagnostics.error(WHOLE_FILE, f"this file has more than the {TEXT_BYTES_MAX:,} bytes of a pipeline file", SPLIT)
        return None
    data = data.removeprefix(BYTE_ORDER_MARK)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        diagnostics.error(
            place, f"this is not text in UTF-8: the byte 0x{data[error.start]:02x} cannot stand here", _SAVE
        )
        return None
    source = Source(text)
    bad = _UNPRINTABLE.search(text)
    if bad:
        diagnostics.error(
            source.place(bad.start()), f"the character U+{ord(bad[0]):04X} cannot stand in a pipeline file", "remove it"
        )
        return None
    return source
