"""Reads the tags of a push from a file that a step may have written, and follows no link out of the checkout."""

import os
import re
from pathlib import Path

from pipelines.compiler.image_tags import is_tag
from pipelines.state import Reason
from runner.errors import StepError

TAGS_FILE_BYTES_MAX = 64 * 1024


def read_tags(checkout: Path, name: str) -> tuple[str, ...]:
    """The tags in a file of the checkout, one a line or with commas between. Raises StepError."""
    try:
        data = _read(checkout, name)
    except OSError as error:
        raise _refused(f"the file of tags '{name}' cannot be read: {error.strerror}", "let a step write it") from error
    if len(data) > TAGS_FILE_BYTES_MAX:
        raise _refused(f"the file of tags '{name}' is longer than {TAGS_FILE_BYTES_MAX} bytes", "write fewer")
    found = [tag for part in re.split(r"[,\n]", data.decode(errors="replace")) if (tag := part.strip())]
    for number, tag in enumerate(found, start=1):
        if not is_tag(tag):  # not shown: a file that is no list of tags may hold anything
            hint = "a tag has letters, digits, '_', '.' and '-', and stands on a line of its own"
            raise _refused(f"number {number} in the file of tags '{name}' is not a tag", hint)
    if not found:
        raise _refused(f"the file of tags '{name}' is empty", "write one tag a line")
    return tuple(found)


def _refused(message: str, hint: str) -> StepError:
    return StepError(Reason.PUSH_REFUSED, f"{message}; {hint}")


def _read(checkout: Path, name: str) -> bytes:
    *folders, last = Path(os.path.normpath(name)).parts
    place = os.open(checkout, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = inner
        # Without waiting: a pipe that nobody writes to would take for ever.
        with os.fdopen(os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place), "rb") as file:
            return file.read(TAGS_FILE_BYTES_MAX + 1)
    finally:
        os.close(place)
