"""Reads the tags of a push from a file in the checkout. A step may have written it, so no symbolic link is followed."""

import os
import re
from pathlib import Path

from pipelines.compiler.image_tags import is_tag
from pipelines.state import Reason
from runner.errors import StepError

TAGS_FILE_BYTES_MAX = 64 * 1024


def read_tags(checkout: Path, name: str) -> tuple[str, ...]:
    """The tags in a file of the checkout, separated by newlines or commas. Raises StepError."""
    try:
        data = _read(checkout, name)
    except OSError as error:
        raise _refused(
            f"the tags file '{name}' cannot be read: {error.strerror}", "an earlier step must write it"
        ) from error
    if len(data) > TAGS_FILE_BYTES_MAX:
        raise _refused(f"the tags file '{name}' is larger than {TAGS_FILE_BYTES_MAX} bytes", "write fewer tags")
    found = [tag for part in re.split(r"[,\n]", data.decode(errors="replace")) if (tag := part.strip())]
    for number, tag in enumerate(found, start=1):
        if not is_tag(tag):  # not shown: the file may contain anything, even secrets
            hint = "a tag consists of letters, digits, '_', '.' and '-'; write one tag per line"
            raise _refused(f"entry {number} of the tags file '{name}' is not a tag", hint)
    if not found:
        raise _refused(f"the tags file '{name}' is empty", "write one tag per line")
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
        # O_NONBLOCK: opening a pipe without a writer would block for ever.
        with os.fdopen(os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place), "rb") as file:
            return file.read(TAGS_FILE_BYTES_MAX + 1)
    finally:
        os.close(place)
