"""Coverage by Cobertura, JaCoCo, Clover and LCOV: how many lines of which files the tests have run."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from runner.report_results import Coverage, CoveredFile, CoveredFiles, ReportLimits
from runner.reports.bounded_xml import Handler, ReportError, read_xml
from runner.reports.repository_paths import PATH_CHARACTERS_MAX, SOURCES_COUNT_MAX, RepositoryPaths
from runner.reports.words import one_line

LINE_MAX = 10**7
LINES_COUNT_MAX = 5_000_000
LCOV_LINE_BYTES_MAX = 64 * 1024
FILES_COUNT_MAX = 50_000
_SHOWN_CHARACTERS = 40
_OUTSIDE = "\0"
"""Before the name of a file that is not in the repository: its lines count, and it is not listed."""


class CoverageReader:
    """Collects the coverage of the reports of one step. A line that any of them has covered counts as covered."""

    def __init__(
        self,
        check: Callable[[], None],
        lines_count_max: int = LINES_COUNT_MAX,
        paths: RepositoryPaths | None = None,
    ) -> None:
        self._check = check
        self._paths = paths or RepositoryPaths()
        self._lines_left = lines_count_max
        self._lines_count_max = lines_count_max
        self._lines: dict[str, dict[int, bool]] = {}
        self._sums: dict[str, tuple[int, int]] = {}
        self._read = False

    def read(self, pieces: Iterable[bytes]) -> None:
        """Reads one file. Raises ReportError; what came before that place counts."""
        rest = iter(pieces)
        first = next(rest, b"")
        start = first.lstrip(b"\xef\xbb\xbf \t\r\n")[:4]
        whole = chain([first], rest)
        if start.startswith((b"TN:", b"SF:")):
            self._read = True
            self._lcov(whole)
            return
        document = _Document(self)
        try:
            read_xml(whole, document, self._check)
        finally:
            self._read = self._read or bool(document.kind)

    def coverage(self) -> Coverage | None:
        """All together; None where no file was a report."""
        if not self._read:
            return None
        of_lines = [(sum(lines.values()), len(lines)) for lines in self._lines.values()]
        both = [*of_lines, *self._sums.values()]
        return Coverage(sum(covered for covered, _ in both), sum(total for _, total in both))

    def files(self, limits: ReportLimits) -> CoveredFiles:
        """The coverage of each file of the repository, by paths; of too many the first."""
        found = {file: (sum(lines.values()), len(lines)) for file, lines in self._lines.items()}
        for file, sums in self._sums.items():
            found[file] = max(found.get(file, (0, 0)), sums)
        paths = sorted(file for file, (_, total) in found.items() if total and not file.startswith(_OUTSIDE))
        listed: list[CoveredFile] = []
        left_bytes = limits.covered_files_bytes_max
        for path in paths[: limits.covered_files_max]:
            covered = CoveredFile(path, *found[path])
            left_bytes -= len(covered.line.encode())
            if left_bytes < 0:
                break
            listed.append(covered)
        return CoveredFiles(tuple(listed), len(paths) - len(listed))

    def key(self, name: str, sources: Sequence[str] = ()) -> str:
        """By which key a file counts that a report calls so: its path, if it is in the repository."""
        path = self._paths.of(name, sources)
        return f"{_OUTSIDE}{name}" if path is None else path

    def line(self, file: str, number: str, hits: str) -> None:
        """A line of a program, and how often it ran. Raises ReportError."""
        at = _whole(number)
        lines = self._lines.get(file)
        if lines is None:
            if len(self._lines) >= FILES_COUNT_MAX:
                raise ReportError(f"it names more than {FILES_COUNT_MAX:,} files")
            lines = self._lines[file] = {}
        if at not in lines:
            self._lines_left -= 1
            if self._lines_left < 0:
                raise ReportError(f"it has more than {self._lines_count_max:,} lines")
        lines[at] = lines.get(at, False) or _whole(hits) > 0

    def sums(self, file: str, covered: str, missed: str) -> None:
        """The sums of a file, where no lines are known. Of several reports, the one that covers most counts."""
        count = _whole(covered)
        new = (count, count + _whole(missed))
        if new[1] > self._lines_count_max:
            raise ReportError(f"it has more than {self._lines_count_max:,} lines")
        if len(self._sums) >= FILES_COUNT_MAX:
            raise ReportError(f"it names more than {FILES_COUNT_MAX:,} files")
        self._sums[file] = max(self._sums.get(file, (0, 0)), new)

    def _lcov(self, pieces: Iterable[bytes]) -> None:
        file, rest = _OUTSIDE, b""
        for piece in pieces:
            self._check()
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > LCOV_LINE_BYTES_MAX:
                raise ReportError(f"it has a line of more than {LCOV_LINE_BYTES_MAX:,} bytes")
            for line in lines:
                if line.startswith(b"DA:"):
                    number, _, hits = line[3:].partition(b",")
                    self.line(file, number.decode(errors="replace"), hits.partition(b",")[0].decode(errors="replace"))
                elif line.startswith(b"SF:"):
                    file = self.key(line[3:].strip().decode(errors="replace"))


class _Document(Handler):
    """Takes the elements of one XML file."""

    def __init__(self, reader: CoverageReader) -> None:
        self._reader = reader
        self._above: list[str] = []
        self._package, self._file = "", _OUTSIDE
        self._sources: list[str] = []
        self._source = ""
        self.kind = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.enter()
        if not self._above:
            self._root(name, attributes)
        elif name == "line" and self.kind != "jacoco":
            self._line(attributes)
        elif name == "class" and self.kind == "cobertura":
            self._file = self._reader.key(attributes.get("filename", ""), self._sources)
        elif name == "source" and self.kind == "cobertura":
            self.listen(wanted=True)
        elif name == "file" and self.kind == "clover":
            self._file = self._reader.key(attributes.get("path") or attributes.get("name", ""))
        elif self.kind == "jacoco":
            self._jacoco(name, attributes)
        self._above.append(name)

    def text(self, data: str) -> None:
        """A part of the name of a folder in <source>."""
        self._source += data[: PATH_CHARACTERS_MAX + 1 - len(self._source)]

    def end(self, name: str) -> None:
        self._above.pop()
        self.depth -= 1
        if name == "source" and self.kind == "cobertura":
            self._source_ended(self._source.strip())

    def _source_ended(self, source: str) -> None:
        self.listen(wanted=False)
        self._source = ""
        if source and source not in self._sources and len(self._sources) < SOURCES_COUNT_MAX:
            self._sources.append(source)

    def _root(self, name: str, attributes: dict[str, str]) -> None:
        if name == "report":
            self.kind = "jacoco"
        elif name == "coverage":
            self.kind = "clover" if "generated" in attributes or "clover" in attributes else "cobertura"
        else:
            shown = one_line(name, _SHOWN_CHARACTERS)
            known = "that of Cobertura and Clover is <coverage>, of JaCoCo <report>"
            raise ReportError(f"its root is <{shown}>, and {known}")

    def _jacoco(self, name: str, attributes: dict[str, str]) -> None:
        get = attributes.get
        if name == "package":
            self._package = get("name", "")
        elif name == "sourcefile":
            self._file = self._reader.key(f"{self._package}/{get('name', '')}".lstrip("/"))
        elif name == "counter" and get("type") == "LINE" and self._above[-1] == "sourcefile":
            self._reader.sums(self._file, get("covered", ""), get("missed", ""))

    def _line(self, attributes: dict[str, str]) -> None:
        get = attributes.get
        if self.kind == "clover" and get("type") != "method":
            self._reader.line(self._file, get("num", ""), get("count", ""))
        elif self.kind == "cobertura" and self._above[-2:] == ["class", "lines"]:
            self._reader.line(self._file, get("number", ""), get("hits", ""))


def _whole(number: str) -> int:
    """Raises ReportError for what is no number."""
    text = number.strip()
    if not text.isascii() or not text.isdecimal() or len(text) > 20:  # noqa: PLR2004 - no number is so long
        raise ReportError(f"'{one_line(text, _SHOWN_CHARACTERS)}' is no number of a line or of its runs")
    return int(text)
