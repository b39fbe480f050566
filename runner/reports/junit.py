"""Results of tests as JUnit XML, in the dialects of the tools that write it, and as trx of .NET."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain

from runner.report_results import (
    ERROR,
    FAILED,
    PASSED,
    SKIPPED,
    SLOWEST_COUNT_MAX,
    CaseName,
    FailedTest,
    ReportLimits,
    TestResults,
)
from runner.reports.bounded_xml import Handler, ReportError, read_xml
from runner.reports.places import in_checkout, place_in
from runner.reports.words import BoundedText, one_line, plain_text

DURATION_MS_MAX = 10**10
LINE_MAX = 10**7
_SNIFFED_BYTES = 4096
_NOT_RUN = frozenset({"notrun", "skipped", "disabled", "ignored"})
_SAYS = {"failure": FAILED, "error": ERROR, "skipped": SKIPPED, "flakyFailure": PASSED, "flakyError": PASSED}
"""What the elements in a test say of it."""
_TRX = {"Passed": PASSED, "PassedButRunAborted": PASSED, "Warning": PASSED, "Error": ERROR, "Failed": FAILED}
_TRX |= {"Timeout": FAILED, "Aborted": ERROR, "Disconnected": ERROR}


class TestReader:
    """Collects the tests of the reports of one step. ``workspace`` is where the checkout is in its containers."""

    __test__ = False

    def __init__(self, limits: ReportLimits, workspace: str, check: Callable[[], None]) -> None:
        self._limits, self._workspace, self._check = limits, workspace, check
        self._characters_max, self._cases_count_max = limits.name_characters_max, limits.cases_count_max
        self._lines: list[str] = []
        self._durations: list[int] = []
        self._others: Counter[str] = Counter()
        self._failures: list[FailedTest] = []
        self._files_read = 0

    def read(self, pieces: Iterable[bytes]) -> None:
        """Reads one file. Raises ReportError; the tests before that place are kept."""
        rest = iter(pieces)
        first = next(rest, b"")
        kind = _Trx if b"<TestRun" in first[:_SNIFFED_BYTES] else _JUnit
        handler = kind(self, BoundedText(self._limits.text_characters_max))
        try:
            read_xml(chain([first], rest), handler, self._check)
        finally:
            self._files_read += bool(handler.root)

    def results(self) -> TestResults | None:
        """All tests together; None where no file was a report."""
        if not self._files_read:
            return None
        slowest = heapq.nlargest(SLOWEST_COUNT_MAX, range(len(self._lines)), self._durations.__getitem__)
        passed = len(self._lines) - self._others.total()
        return TestResults(
            counts={state: count for state, count in ((PASSED, passed), *self._others.items()) if count},
            duration_ms=min(sum(self._durations), DURATION_MS_MAX),
            failures=tuple(self._failures),
            slowest=tuple(self._slow(each) for each in slowest if self._durations[each]),
            cases="\n".join(("", *self._lines, "")),
        )

    def _slow(self, index: int) -> tuple[int, CaseName]:
        _, suite, group, name, *_ = self._lines[index].split("\t")
        return self._durations[index], CaseName(suite, group, name)

    def add(self, state: str, words: tuple[str, str, str, str], duration_ms: int) -> tuple[str, str, str, str]:
        """Adds a test: suite, class, name and file. Returns these as they are kept. Raises ReportError."""
        text = "".join(words)
        if len(text) > self._limits.name_characters_max or not text.isprintable():
            suite, group, name, file = (one_line(word, self._limits.name_characters_max) for word in words)
            words = (suite, group, name, file)
        self._append("\t".join((state, *words, str(duration_ms))), duration_ms)
        self._others[state] += state != PASSED
        return words

    def add_passed(self, suite: tuple[str, str], case: dict[str, str]) -> None:
        """The same for a test that has passed, of which there are many: in a third of the time."""
        get = case.get
        group, name, file = get("classname", ""), get("name", ""), get("file", suite[1])
        try:
            duration_ms = int(float(get("time", "0")) * 1000 + 0.5)
        except (ValueError, OverflowError):
            duration_ms = -1
        text = f"{suite[0]}{group}{name}{file}"
        if len(text) > self._characters_max or not text.isprintable() or not 0 <= duration_ms <= DURATION_MS_MAX:
            self.add(PASSED, (suite[0], group, name, file), _milliseconds(get("time", "")))
            return
        self._append(f"{PASSED}\t{suite[0]}\t{group}\t{name}\t{file}\t{duration_ms}", duration_ms)

    def _append(self, line: str, duration_ms: int) -> None:
        if len(self._lines) >= self._cases_count_max:
            raise ReportError(f"there are more than {self._cases_count_max:,} tests; the first are kept")
        self._lines.append(line)
        self._durations.append(duration_ms)

    def add_failed(
        self, state: str, words: tuple[str, str, str, str], duration_ms: int, line: int, message: str, text: str
    ) -> None:  # fmt: skip
        """Adds a test that failed; with the state "passed" it failed first, and passed then."""
        suite, group, name, file = self.add(state, words, duration_ms)
        if len(self._failures) >= self._limits.failures_count_max:
            return
        text = plain_text(text)
        first = next((each for each in text.splitlines() if each.strip()), "")
        file = in_checkout(file, self._workspace)
        if not file or not line:
            found, at = place_in(text, f"{file} {suite} {group} {name}", self._workspace)
            file, line = (found, at) if found else (file, line)
        said = one_line(message.strip() or first.strip(), self._limits.message_characters_max)
        name_of = CaseName(suite, group, name)
        flaky = state == PASSED
        self._failures.append(FailedTest(name_of, state, file, line, said, text, duration_ms, flaky=flaky))


class _Tests(Handler):
    """What both formats share: the test that is read, and the text of its failure."""

    def __init__(self, reader: TestReader, text: BoundedText) -> None:
        self._reader, self._text = reader, text
        self._case: dict[str, str] | None = None
        self._state, self._message = "", ""
        self._listens_in = ""
        self.root = ""

    def text(self, data: str) -> None:
        self._text.add(data)

    def _listen(self, name: str) -> None:
        self._listens_in = name
        self.listen(wanted=True)

    def _heard(self) -> None:
        self._listens_in = ""
        self.listen(wanted=False)


class _JUnit(_Tests):
    def __init__(self, reader: TestReader, text: BoundedText) -> None:
        super().__init__(reader, text)
        self._suites: list[tuple[str, str]] = []
        self._add_passed = reader.add_passed

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "testcase" and self._suites and self._case is None:
            self.depth += 1
            self._case, self._state = attributes, ""
            return
        self.enter()
        if self._case is not None:
            self._inside(name, attributes)
        elif name == "testsuite":
            self.root = self.root or name
            self._suites.append((attributes.get("name", ""), attributes.get("file") or attributes.get("filepath", "")))
        elif not self.root:
            if name != "testsuites":
                raise ReportError(f"its root is <{one_line(name, 40)}>, and that of JUnit XML is <testsuites>")
            self.root = name
            self._suites.append(("", ""))  # node:test writes tests outside of any suite

    def _inside(self, name: str, attributes: dict[str, str]) -> None:
        if name not in _SAYS or self._listens_in:
            return
        if self._state in {"", PASSED}:
            self._state = _SAYS[name]
            self._message = attributes.get("message") or attributes.get("type", "")
        if name != "skipped":
            self._listen(name)

    def end(self, name: str) -> None:
        self.depth -= 1
        if name == "testcase" and self._case is not None and not self._listens_in:
            if self._state or "status" in self._case:
                self._ended(self._case)
            else:
                self._add_passed(self._suites[-1], self._case)
            self._case = None
        elif name == self._listens_in:
            self._heard()
        elif name == "testsuite" and self._case is None and self._suites:
            self._suites.pop()

    def _ended(self, case: dict[str, str]) -> None:
        get = case.get
        suite, file = self._suites[-1]
        words = (suite, get("classname", ""), get("name", ""), get("file", file))
        duration_ms = _milliseconds(get("time", ""))
        if self._state in {"", SKIPPED}:
            not_run = self._state or (SKIPPED if get("status", "").lower() in _NOT_RUN else PASSED)
            self._reader.add(not_run, words, duration_ms)
            return
        line = int(get("line", "0")) if get("line", "").isdecimal() and len(get("line", "")) < 8 else 0  # noqa: PLR2004
        self._reader.add_failed(self._state, words, duration_ms, line, self._message, self._text.take())


class _Trx(_Tests):
    """The format of ``dotnet test --logger trx``."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.enter()
        self.root = self.root or name
        if name == "UnitTestResult" and self._case is None:
            self._case, self._message = attributes, ""
        elif self._case is not None and name in {"Message", "StackTrace"} and not self._listens_in:
            self._listen(name)

    def end(self, name: str) -> None:
        self.depth -= 1
        if name == self._listens_in:
            self._heard()
            self._text.add("\n")
        elif name == "UnitTestResult" and self._case is not None:
            self._ended(self._case)
            self._case = None

    def _ended(self, case: dict[str, str]) -> None:
        state = _TRX.get(case.get("outcome", ""), SKIPPED)
        words = ("", "", case.get("testName", ""), "")
        duration_ms = _milliseconds(case.get("duration", ""))
        text = self._text.take()
        if state in {FAILED, ERROR}:
            self._reader.add_failed(state, words, duration_ms, 0, "", text)
        else:
            self._reader.add(state, words, duration_ms)


def _milliseconds(time: str) -> int:
    """``1.5``, ``1,234.5`` or ``00:01:02.5`` in milliseconds; 0 for what is no time."""
    try:
        duration_ms = float(time) * 1000
    except ValueError:
        if len(time) > 40:  # noqa: PLR2004 - no time is so long
            return 0
        seconds = 0.0
        for part in time.replace(",", "").split(":"):
            try:
                seconds = seconds * 60 + float(part)
            except ValueError:
                return 0
        duration_ms = seconds * 1000
    return round(duration_ms) if 0 <= duration_ms <= DURATION_MS_MAX else 0
