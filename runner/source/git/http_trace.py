"""The answers that git and git-lfs got over HTTP, from their own traces: their messages leave out what these say."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

TRACE_BYTES_MAX = 256 * 1024
"""So much of the end of a trace is read. Git writes headers to it, without passwords, and no content."""
# Of git, and of git-lfs
_RECEIVED = re.compile(r"<= [Rr]ecv header: (.*)|HTTP(: \d{3})$", re.MULTILINE)
_STATUS = re.compile(r"(?:HTTP/[\d.]+|:) (\d{3})\b")
_INTERIM = range(100, 200)


@dataclass(frozen=True)
class HttpAnswer:
    """The status and the headers of one answer; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]


class HttpTrace:
    """What git wrote to its trace while it ran; ``variables`` tell it where."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.variables = {"GIT_TRACE_CURL": str(path), "GIT_TRACE_CURL_NO_DATA": "1", "GIT_TRACE_REDACT": "1"}
        # git-lfs writes there.
        self.variables["GIT_TRACE"] = str(path)

    def answers(self) -> list[HttpAnswer]:
        """All answers, those of proxies too, in their order."""
        with self._path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TRACE_BYTES_MAX))
            return answers_in(file.read().decode(errors="replace"))


@contextmanager
def http_trace() -> Iterator[HttpTrace]:
    """A trace in a file that only this user may read, which is removed at the end."""
    with NamedTemporaryFile(prefix="headway-git-") as file:
        yield HttpTrace(Path(file.name))


def answers_in(trace: str) -> list[HttpAnswer]:
    """The answers in a text that git wrote for GIT_TRACE_CURL."""
    found: list[tuple[int, dict[str, str]]] = []
    for line in map("".join, _RECEIVED.findall(trace)):
        if begin := _STATUS.match(line):
            found.append((int(begin[1]), {}))
        elif found:
            name, colon, value = line.partition(":")
            if colon:
                found[-1][1][name.strip().lower()] = value.strip()
    return [HttpAnswer(status, headers) for status, headers in found if status not in _INTERIM]
