"""Parses BuildKit's progress (``--progress=rawjson``) into log lines and the states of Dockerfile instructions."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runner.docker.references import full_name
from runner.logs.output import Write

_INSTRUCTION = re.compile(r"\[(?:(?:[^\]]* )?\d+/\d+|image)\] ")
_PINNED = re.compile(r"\[context ([^\]:]+(?::[^\]:]+)*?)(?:::[^\]]*)?\] (load metadata for )?.*")
"""The name of a step about an image that Headway gave to the build under a private name."""


@dataclass(frozen=True)
class Instruction:
    """The state of one Dockerfile instruction. ``seconds`` is None until it has ended."""

    index: int
    text: str
    cached: bool = False
    seconds: float | None = None
    error: str = ""


_CANCELED = re.compile(r"^context canceled|: context canceled$|code = Canceled desc = context canceled")
FOREIGN_PROGRAM = b": exec format error"
"""Linux's error for a program of another processor if no emulation is installed (ENOEXEC in execve(2))."""


@dataclass
class _Vertex:
    number: int
    name: str
    index: int | None = None
    partial: dict[int, bytes] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)


class Progress:
    """Takes the client's output in chunks of any size.

    The output is a sequence of JSON objects and, at its end, plain text: the place of an error. buildx 0.13 writes an
    object over several indented lines, newer versions on one line (moby/buildkit#4770). ``write`` gets lines as
    ``docker build`` prints them; ``failed`` is the instruction that failed; ``foreign_program`` becomes true if a
    program for another processor was started.
    """

    def __init__(
        self,
        write: Write,
        on_instruction: Callable[[Instruction], None],
        on_step: Callable[[str], object] = str,
        images: Iterable[str] | None = None,
    ) -> None:
        """``on_step`` gets the name of each step as soon as BuildKit tells of it, also of those that are not shown.

        ``images`` are the names of those that Headway gave to this build; None does not tell them apart from others.
        """
        self._write = write
        self._on_step = on_step
        self._on_instruction = on_instruction
        self._line = b""
        self._object: list[bytes] | None = None
        self._vertexes: dict[str, _Vertex] = {}
        self._instructions = 0
        self._pinned: dict[str, int] = {}
        self._images = None if images is None else {full_name(image) for image in images}
        self.failed: Instruction | None = None
        self.foreign_program = False
        self.plain: list[str] = []

    def feed(self, data: bytes) -> None:
        """Takes the next chunk."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._take(line)

    def flush(self) -> None:
        """The client has ended: writes the incomplete last lines of instructions."""
        for vertex in self._vertexes.values():
            self._flush(vertex)
        lines, self._object = self._object or [], None
        for line in (*lines, self._line):
            self._plain_line(line)
        self._line = b""

    def _flush(self, vertex: _Vertex) -> None:
        for partial in filter(None, vertex.partial.values()):
            self._write(f"#{vertex.number} {partial.decode(errors='replace')}")
        vertex.partial.clear()

    def _take(self, line: bytes) -> None:
        if self._object is not None:
            self._object.append(line)
            if line == b"}":
                taken, self._object = self._object, None
                self._taken(taken)
        elif line == b"{":
            self._object = [line]
        elif line.startswith(b'{"'):
            self._taken([line])
        else:
            self._plain_line(line)

    def _taken(self, lines: list[bytes]) -> None:
        try:
            message = json.loads(b"\n".join(lines))
        except ValueError:
            for line in lines:
                self._plain_line(line)
        else:
            self._message(message)

    def _plain_line(self, line: bytes) -> None:
        if text := line.decode(errors="replace").rstrip():
            self.plain.append(text)
            self._write(text)

    def _message(self, message: dict[str, Any]) -> None:
        # Logs first: a message may contain the last output of an instruction together with its end.
        vertexes = [vertex for vertex in message.get("vertexes") or () if not self._is_of_other_build(vertex)]
        for vertex in vertexes:
            if vertex["digest"] not in self._vertexes:
                self._on_step(str(vertex.get("name", "")))
                self._vertexes[vertex["digest"]] = _Vertex(len(self._vertexes) + 1, _shown(vertex))
        for log in message.get("logs") or ():
            self._log(log)
        for vertex in vertexes:
            self._vertex(vertex)
        for warning in message.get("warnings") or ():
            self._write("warning: " + base64.b64decode(warning.get("short") or "").decode(errors="replace"))

    def _is_of_other_build(self, vertex: dict[str, Any]) -> bool:
        """BuildKit joins steps of builds at the same time that have the same result, and tells each of both names.

        What another build calls an image is none of this one's business, and no instruction of its Dockerfile.
        """
        pinned = _PINNED.fullmatch(str(vertex.get("name", "")))
        return pinned is not None and self._images is not None and full_name(pinned[1]) not in self._images

    def _vertex(self, update: dict[str, Any]) -> None:
        """Takes an update of one build step. BuildKit repeats updates, and lists steps long before it starts them."""
        name, error = _shown(update), str(update.get("error") or "")
        vertex = self._vertexes[update["digest"]]
        if (not update.get("started") and not update.get("cached")) or (name.startswith("[internal]") and not error):
            return
        if _INSTRUCTION.match(name) and vertex.index is None:
            vertex.index = self._next_index(name, pinned=bool(_PINNED.fullmatch(str(update.get("name", "")))))
        self._once(vertex, name)
        seconds = _seconds(update.get("started"), update.get("completed"))
        self._write_end(vertex, error, seconds, cached=bool(update.get("cached")))

    def _next_index(self, name: str, *, pinned: bool) -> int:
        """The index of an instruction. BuildKit may load an image with a private name in two steps: they are one."""
        if pinned and name in self._pinned:
            return self._pinned[name]
        index, self._instructions = self._instructions, self._instructions + 1
        if pinned:
            self._pinned[name] = index
        return index

    def _write_end(self, vertex: _Vertex, error: str, seconds: float | None, *, cached: bool) -> None:
        if error or seconds is not None:
            self._flush(vertex)
        if _CANCELED.search(error):
            # BuildKit canceled it because another instruction failed.
            error = ""
            self._once(vertex, "CANCELED", key="end")
        elif error:
            self._once(vertex, f"ERROR {error}")
        elif cached or seconds is not None:
            self._once(vertex, "CACHED" if cached else f"DONE {seconds or 0.0:.1f}s", key="end")
        if vertex.index is not None:
            instruction = Instruction(vertex.index, vertex.name, cached, seconds, error)
            self._on_instruction(instruction)
            self.failed = instruction if error else self.failed

    def _once(self, vertex: _Vertex, line: str, key: str = "") -> None:
        if (key or line) not in vertex.written:
            vertex.written.add(key or line)
            self._write(f"#{vertex.number} {line}")

    def _log(self, log: dict[str, Any]) -> None:
        vertex = self._vertexes.get(log["vertex"])
        if vertex is None:
            return
        stream = int(log.get("stream") or 0)
        data = vertex.partial.get(stream, b"") + base64.b64decode(log.get("data") or "")
        *lines, vertex.partial[stream] = data.split(b"\n")
        for line in lines:
            self._write(f"#{vertex.number} {line.decode(errors='replace')}")
            self.foreign_program |= line.endswith(FOREIGN_PROGRAM)


def _shown(vertex: dict[str, Any]) -> str:
    """The name of a step, with the name that the Dockerfile has for an image."""
    name = str(vertex.get("name", ""))
    pinned = _PINNED.fullmatch(name)
    if pinned is None:
        return name
    image = full_name(pinned[1])
    return f"[internal] load metadata for {image}" if pinned[2] else f"[image] FROM {image}"


def _seconds(started: str | None, ended: str | None) -> float | None:
    if not started or not ended:
        return None
    return max(0.0, (_time(ended) - _time(started)).total_seconds())


def _time(text: str) -> datetime:
    """Parses RFC 3339 as Go writes it: with up to nine digits after the second, of which Python 3.11 accepts six."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
