"""A step's output: masks secrets, counts byte offsets, and enforces the size limit."""

from collections.abc import Callable, Mapping

from runner.events import Emit, StepOutput, Stream
from runner.logs.redact import RedactedStream, Redactor

CUT_OFF = "the output was cut off, because the server's disk is nearly full"


LOW_BYTES_MAX = 256 * 1024
"""What is still taken while the disk is nearly full: the job that fills it is ended, and then there is room again."""


def never_low() -> bool:
    """For output that no disk stores."""
    return False


def no_disk_problem() -> str:
    """For a job whose disk is not watched."""
    return ""


def not_watched(_stream: Stream, _data: bytes, _line: int) -> None:
    """For output in which nothing is looked for."""


class Output:
    """Takes a step's raw output and emits it with secrets masked. Each stream is masked on its own.

    After ``bytes_max`` the output ends with a sentence about the limit, and ``full`` becomes true. The same happens
    after ``LOW_BYTES_MAX`` while ``disk_low``; then ``cut_off`` becomes true, too. ``start`` is the offset of the first
    byte. ``watch`` gets each masked piece, and the line of the log in which it begins, or 0 where that is not known.
    """

    def __init__(
        self,
        step: int,
        emit: Emit,
        redactor: Redactor,
        bytes_max: int,
        start: int = 0,
        disk_low: Callable[[], bool] = never_low,
        watch: Callable[[Stream, bytes, int], None] = not_watched,
    ) -> None:
        self._step = step
        self._emit = emit
        self._bytes_max = bytes_max
        self._streams = {stream: RedactedStream(redactor) for stream in Stream}
        self.offset = start
        self._disk_low = disk_low
        self._known: dict[Stream, int] = {}
        self._low_bytes = 0
        self.full = False
        self.cut_off = False
        self._watch = watch
        self._line = 1 if start == 0 else 0

    def replays(self, known: Mapping[Stream, int]) -> None:
        """From now on the output comes again from its start. Of each stream so many bytes, masked, are known."""
        self._known = dict(known)
        self._line = 0

    def write(self, stream: Stream, data: bytes) -> None:
        """Takes bytes from the container."""
        if not self.full:
            self._send(stream, self._streams[stream].feed(data))

    def note(self, sentence: str) -> None:
        """Writes a line by the runner itself, after the bytes that were held back."""
        self.flush()
        self.write(Stream.NOTE, f"{sentence}\n".encode())
        self.flush()

    def flush(self) -> None:
        """Emits the bytes held back as a possible start of a secret: the stream has ended."""
        for stream, redacted in self._streams.items():
            self._send(stream, redacted.flush())

    def _send(self, stream: Stream, data: bytes) -> None:
        self._watch(stream, data, self._line)
        if known := self._known.get(stream, 0):
            self._known[stream] = max(0, known - len(data))
            data = data[known:]
        if not data or self.full:
            return
        room = self._bytes_max - self.offset
        self._low_bytes = self._low_bytes + len(data) if self._disk_low() else 0
        if self._low_bytes > LOW_BYTES_MAX:
            self.full = self.cut_off = True
            data = f"\nheadway: {CUT_OFF}.\n".encode()
        elif len(data) > room:
            self.full = True
            limit = f"{self._bytes_max:,} bytes for a step"
            data = data[:room] + f"\nheadway: the output ends here: it is larger than the limit of {limit}.\n".encode()
        self._emit(StepOutput(self._step, self.offset, data, stream))
        self.offset += len(data)
        self._line += data.count(b"\n") if self._line else 0


class Lines:
    """Writes lines of text into an output, for pulls, builds and pushes."""

    def __init__(self, output: Output, stream: Stream = Stream.NOTE) -> None:
        self._output = output
        self._stream = stream

    def __call__(self, line: str) -> None:
        """One line, without its end."""
        self._output.write(self._stream, line.encode(errors="replace") + b"\n")


Write = Callable[[str], None]
