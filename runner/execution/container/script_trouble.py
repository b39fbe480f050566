"""Why a script of the checkout could not be run, where the shell only says that it was "not found"."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from runner.step_files import open_step_file

CHECKED_COUNT_MAX = 20
_START_BYTES_MAX = 512
_EXECUTABLE = 0o111
_WORD = re.compile(r"(?<![\w./$-])(?:\./)?[\w-][\w./-]*")
# What is quoted, escaped or a comment; then a quote that is left over.
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*"|(?<!\S)\#[^\n]*|(?P<open>['"])""", re.DOTALL)
_LINE_ENDS = "write it with LF, for instance by `*.sh text eol=lf` in .gitattributes"


def script_trouble(
    workspace: Path, base: str, directory: str, commands: Sequence[str], *, not_runnable: bool = False
) -> str:  # fmt: skip
    """A sentence about the first file that the commands name and that the kernel cannot run, or nothing.

    ``workspace`` is the folder that containers see as ``base``. ``directory`` is where the commands start.
    With ``not_runnable`` the shell has found its program, and could not run it.
    """
    for word, parts in _files(base, directory, commands):
        try:
            with open_step_file(workspace, parts) as file:
                start, mode = file.read(_START_BYTES_MAX), os.fstat(file.fileno()).st_mode
        except OSError:
            continue
        if not_runnable and "/" in word and not mode & _EXECUTABLE:
            change = f"git update-index --chmod=+x {word.removeprefix('./')}"
            return f"{word} is not executable: commit it after `{change}`, or run it by its shell (sh {word})"
        line, newline, _ = start.partition(b"\n")
        if newline and line.endswith(b"\r"):
            return f"{word} has line ends of Windows (CRLF), which no shell reads; {_LINE_ENDS}"
        words = line[2:].decode(errors="replace").split() if line.startswith(b"#!") else []
        if words:
            needed = " or ".join(words[:2] if words[0].endswith("/env") else words[:1])
            return f"{word} asks for {needed} in its first line; use an image that has it"
    return ""


def open_quote(commands: Sequence[str]) -> str:
    """A sentence about a command with a quote that neither it nor a later one closes, or nothing."""
    if not _open_quote("\n".join(commands)):
        return ""
    command = next((command for command in commands if _open_quote(command)), commands[-1])
    return f"the command `{command.strip().splitlines()[0]}` has a quote that is not closed"


def _open_quote(script: str) -> bool:
    return any(match["open"] for match in _QUOTED.finditer(script))


def _files(base: str, directory: str, commands: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The words that may be files of the workspace, with the parts of their paths in it."""
    words = dict.fromkeys(word for command in commands for word in _WORD.findall(command))
    for word in [word for word in words if "." in word or "/" in word][:CHECKED_COUNT_MAX]:
        path = PurePosixPath(os.path.normpath(f"{directory}/{word}"))
        if path.is_relative_to(base):
            yield word, path.relative_to(base).parts
