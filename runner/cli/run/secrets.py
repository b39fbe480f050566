"""The secrets of ``headway run``: from environment variables and from a file. Their values are never shown."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipelines.state import Reason
from runner.errors import StepError
from runner.logs.spellings import shown_in_logs

FILE_BYTES_MAX = 1024 * 1024
_LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def secrets_of(
    names: Sequence[str], file: Path | None, environment: Mapping[str, str], warn: Callable[[str], None]
) -> dict[str, str]:
    """The secrets by their names in lower case: those of the file, and over them those of the environment.

    Warns of what logs will show. Raises StepError where one has no value, or the file cannot be read.
    """
    found = secrets_in(file) if file else {}
    for name in names:
        value = environment.get(name, environment.get(name.upper()))
        if value is None:
            hint = f"set the environment variable {name.upper()}"
            raise StepError(Reason.SECRET_MISSING, f"the secret {name!r} has no value: {hint}")
        found[name.lower()] = value
    for name, value in found.items():
        if shown := shown_in_logs(value):
            warn(f"the secret {name!r}: {shown}")
    return found


def secrets_in(file: Path) -> dict[str, str]:
    """The secrets of a file with lines NAME=VALUE. Raises StepError, whose text has no value."""
    found: dict[str, str] = {}
    for number, line in enumerate(_text(file).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise StepError(Reason.SECRET_MISSING, f"{file}:{number}: this line is not NAME=VALUE")
        found[match[1].lower()] = _unquoted(match[2])
    return found


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
        text = data.decode()
    except OSError as error:
        raise StepError(Reason.SECRET_MISSING, f"the file of secrets {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StepError(Reason.SECRET_MISSING, f"the file of secrets {file} is not text in UTF-8") from None
    if len(data) > FILE_BYTES_MAX:
        message = f"the file of secrets {file} has more than {FILE_BYTES_MAX:,} bytes"
        raise StepError(Reason.SECRET_MISSING, message)
    return text.removeprefix("\ufeff")


def _unquoted(text: str) -> str:
    """A value without the quotes around all of it; in double quotes, backslashes escape."""
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])
    return text
