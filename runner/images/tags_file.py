"""Reads the tags of a push from a file in the checkout. A step may have written it, and may have moved the checkout."""

import os
import re
from pathlib import Path

from pipelines.images.image_names import TAG_CHARACTERS_MAX, is_tag
from pipelines.state import Reason
from runner.errors import StepError
from runner.step_files import read_step_file

TAGS_FILE_BYTES_MAX = 64 * 1024
HINT = "write one tag per line; ${CI_COMMIT_BRANCH@tag} in the pipeline file makes one of any branch"


def read_tags(workspace: Path, checkout: Path, name: str) -> tuple[str, ...]:
    """The tags in a file of the checkout, separated by newlines or commas. Raises StepError.

    Steps can replace ``checkout``, which is below ``workspace``, by a symbolic link, but cannot replace ``workspace``.
    """
    path = checkout.relative_to(workspace) / os.path.normpath(name)
    try:
        data = read_step_file(workspace, path.parts, TAGS_FILE_BYTES_MAX + 1)
    except OSError as error:
        why = error.strerror or error
        raise _refused(f"the tags file '{name}' cannot be read: {why}", "an earlier step must write it") from error
    if len(data) > TAGS_FILE_BYTES_MAX:
        raise _refused(f"the tags file '{name}' is larger than {TAGS_FILE_BYTES_MAX} bytes", "write fewer tags")
    found = [tag for part in re.split(r"[,\n]", data.decode(errors="replace")) if (tag := part.strip())]
    for number, tag in enumerate(found, start=1):
        if not is_tag(tag):  # not shown: the file may contain anything, even secrets
            raise _refused(f"entry {number} of the tags file '{name}' is not a tag: {_rule(tag)}", HINT)
    if not found:
        raise _refused(f"the tags file '{name}' is empty", "write one tag per line")
    return tuple(found)


def _refused(message: str, hint: str) -> StepError:
    return StepError(Reason.PUSH_REFUSED, f"{message}; {hint}")


def _rule(tag: str) -> str:
    """The rule that it breaks, without any part of it."""
    if len(tag) > TAG_CHARACTERS_MAX:
        return f"it has {len(tag)} characters; a tag has at most {TAG_CHARACTERS_MAX}"
    if tag[0] in ".-":
        return "it begins with '.' or '-'"
    return "it has a character other than letters, digits, '_', '.' and '-'"
