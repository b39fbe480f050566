"""What git said, made fit for pages and logs: without passwords, folders of this machine, and control characters."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

WORDS_CHARS_MAX = 4_000
_FOLDER = re.compile(r'(?:^|[="])(/[^"]+)')
_LOCAL_URL = "file://"
# A word of a message, such as a URL, cannot be part of a folder's name.
_FOLDER_CHARS_MIN = 4
_HIDDEN_CHARS_MIN = 3


def without_login(text: str) -> str:
    """The text with user and password removed from all URLs in it."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)


def folders_in(command: Sequence[str], variables: Mapping[str, str], *, urls: bool) -> list[str]:
    """The folders and files of this machine that a git command names; with ``urls`` those in file:// URLs too."""
    found = [path for word in [*command, *variables.values()] for path in _FOLDER.findall(word)]
    if urls:
        found += [word.removeprefix(_LOCAL_URL) for word in command if word.startswith(_LOCAL_URL)]
    found += [os.path.realpath(path) for path in found]
    return sorted({path.rstrip("/") for path in found if len(path) >= _FOLDER_CHARS_MIN}, key=len, reverse=True)


def fit_for_logs(words: str, folders: Iterable[str], hidden: Iterable[str]) -> str:
    """The words without what is ``hidden``, and with paths relative to the ``folders``. Keeps the end of long ones."""
    for secret in hidden:
        words = words.replace(secret, "***") if len(secret) >= _HIDDEN_CHARS_MIN else words
    words = without_login(words)
    for folder in folders:
        words = words.replace(f"{folder}/", "").replace(folder, Path(folder).name)
    words = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", words.replace("\r", "\n"))
    lines = ("".join(c for c in line if c.isprintable()).rstrip() for line in words.expandtabs(4).splitlines())
    return "\n".join(filter(None, lines))[-WORDS_CHARS_MAX:]


def last_word(words: str) -> str:
    """The line that says most: the last that git calls fatal or an error, else the last."""
    lines = words.splitlines()
    said = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (said or lines or [""])[-1]
