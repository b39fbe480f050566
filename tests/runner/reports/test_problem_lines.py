"""Problem lines of common tools, as they write them."""

import pytest

from runner.events import Stream
from runner.report_results import Annotation
from runner.reports.problem_lines import (
    ANNOTATIONS_COUNT_MAX,
    FIRST_BYTES_MAX,
    LAST_BYTES_MAX,
    LINE_BYTES_MAX,
    PIECE_BYTES,
    ProblemLines,
)


def found(*lines: str, stream: Stream = Stream.STDOUT) -> list[str]:
    problems = ProblemLines("/headway/src")
    problems(stream, "".join(f"{line}\n" for line in lines).encode(), 1)
    return [str(each) for each in problems.find()]


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["src/app.c:12:5: error: expected ';' before '}'"], "src/app.c:12:5: error: expected ';' before '}'"),
        (["a.c:1:10: fatal error: x.h: No such file"], "a.c:1:10: error: x.h: No such file"),
        (["a.cc:3:1: warning: unused [-Wunused]"], "a.cc:3:1: warning: unused [-Wunused]"),
        (["a.c:1: error: short"], "a.c:1: error: short"),
        (["src/A.java:12: error: cannot find symbol"], "src/A.java:12: error: cannot find symbol"),
        (["[ERROR] /headway/src/A.java:[12,5] cannot find symbol"], "A.java:12:5: error: cannot find symbol"),
        (["e: file:///headway/src/A.kt:3:7 Unresolved reference"], "A.kt:3:7: error: Unresolved reference"),
        (["error[E0308]: mismatched types", "  --> src/main.rs:4:18"], "src/main.rs:4:18: error: mismatched types"),
        (["warning: unused variable: `x`", " --> src/main.rs:2:9"], "src/main.rs:2:9: warning: unused variable: `x`"),
        (["thread 'main' panicked at src/lib.rs:12:9:", "index out"], "src/lib.rs:12:9: error: index out"),
        (["# example.org/x", "./main.go:12:2: undefined: foo"], "main.go:12:2: error: undefined: foo"),
        (["vet: ./a.go:3:1: missing return"], "a.go:3:1: error: missing return"),
        (["    calc_test.go:9: got 3, want 4"], "calc_test.go:9: error: got 3, want 4"),
        (
            ["E       assert 1 == 2", "", "tests/test_a.py:12: AssertionError"],
            "tests/test_a.py:12: error: assert 1 == 2",
        ),
        (["FAILED tests/a.py::test_x - assert 1"], "tests/a.py: error: FAILED tests/a.py::test_x - assert 1"),
        (["/headway/src/a.js", "  12:5  error  'x' is bad  no-x"], "a.js:12:5: error: 'x' is bad no-x"),
        (["a.js:1:2: Missing semicolon. [Warning/semi]"], "a.js:1:2: warning: Missing semicolon. [Warning/semi]"),
        (["src/a.ts(12,5): error TS2322: Type"], "src/a.ts:12:5: error: TS2322: Type"),
        (["src/a.ts:12:5 - error TS2322: Type"], "src/a.ts:12:5: error: TS2322: Type"),
        (["A.cs(3,7): warning CS0168: declared [A.csproj]"], "A.cs:3:7: warning: CS0168: declared [A.csproj]"),
        (["a.py:1:8: F401 [*] `os` imported but unused"], "a.py:1:8: error: F401 [*] `os` imported but unused"),
        (["F401 [*] `os` imported but unused", " --> a.py:1:8"], "a.py:1:8: error: F401 [*] `os` imported but unused"),
        (["a.py:12: error: Incompatible types  [arg-type]"], "a.py:12: error: Incompatible types  [arg-type]"),
        (["a.sh:3:6: note: Double quote. [SC2086]"], None),
        (["a.sh:3:6: warning: Double quote. [SC2086]"], "a.sh:3:6: warning: Double quote. [SC2086]"),
        (["Dockerfile:3", "---", "ERROR: failed to solve: process x"], "Dockerfile:3: error: process x"),
        (["ERROR: failed to solve: no such image"], "Dockerfile: error: no such image"),
        (
            ["Traceback (most recent call last):", '  File "a.py", line 3, in f', "    g()", "KeyError: 'x'"],
            "a.py:3: error: KeyError: 'x'",
        ),
        (["PHP Fatal error:  Uncaught Error in /headway/src/a.php on line 12"], "a.php:12: error: Uncaught Error"),
        (["Warning: Undefined variable $x in a.php on line 2"], "a.php:2: warning: Undefined variable $x"),
        (["a.rb:12:in 'foo': undefined method (NoMethodError)"], "a.rb:12: error: undefined method (NoMethodError)"),
        (["a.py:3: DeprecationWarning: old"], "a.py:3: warning: DeprecationWarning: old"),
        (["Makefile:3: *** missing separator.  Stop."], "Makefile:3: error: *** missing separator.  Stop."),
        (["tests/test_a.py::test_x PASSED"], None),
        (["12:30:01 listening on 0.0.0.0:8080"], None),
        (["http://example.org:80/a: error"], None),
        (["Warning: on line"], None),
        (["+ cat a.c:1:2: error: x"], None),
        (["no error here: 5"], None),
        (["  --> src/main.rs:4:18"], None),
        (["a.py:3: in f"], None),
        (["  12:5  error  without a file"], None),
    ],
)  # fmt: skip
def test_a_line_is_recognised(lines: list[str], shown: str | None) -> None:
    assert found(*lines) == ([] if shown is None else [shown])


def test_colours_are_taken_off() -> None:
    assert found("\x1b[1ma.c:1:2:\x1b[0m \x1b[31merror:\x1b[0m bad\r") == ["a.c:1:2: error: bad"]


def test_a_line_comes_in_pieces_and_knows_its_line_in_the_log() -> None:
    problems = ProblemLines("/headway/src")
    for line, piece in ((1, "first\na.c:1:"), (2, "2: error: "), (2, "bad\nnext\n"), (4, "b.c:3:4: error: x\n")):
        problems(Stream.STDERR, piece.encode(), line)
    problems(Stream.STDOUT, b"c.c:5: error: y\n", 0)
    problems(Stream.NOTE, b"d.c:5: error: y\n", 5)
    assert problems.find() == (
        Annotation("error", "a.c", 1, 2, "bad", 2),
        Annotation("error", "b.c", 3, 4, "x", 4),
        Annotation("error", "c.c", 5, 0, "y", 0),
    )
    problems.restart()
    assert not problems.find()


def test_the_same_problem_counts_once_and_a_summary_not_at_all() -> None:
    assert found("a.py:3: error: x", "a.py:3: error: x", "FAILED a.py::t - x") == ["a.py:3: error: x"]


def test_a_long_line_is_not_looked_at() -> None:
    line = "a.c:1: error: ".ljust(LINE_BYTES_MAX, "x")
    assert len(found(line)) == 1
    assert found(line + "x", "b.c:1: error: y") == ["b.c:1: error: y"]
    problems = ProblemLines("/w")
    problems(Stream.STDOUT, line.encode() + b"x", 1)
    problems(Stream.STDOUT, b"x: a.c:1: error: z\nb.c:2: error: y\n", 1)
    assert [str(each) for each in problems.find()] == ["b.c:2: error: y"]


def test_only_so_many_are_kept_and_errors_before_warnings() -> None:
    warnings = [f"a.c:{number}: warning: w" for number in range(1, ANNOTATIONS_COUNT_MAX + 1)]
    kept = found(*warnings, "b.c:1: error: e")
    assert len(kept) == ANNOTATIONS_COUNT_MAX
    assert kept[-1] == "b.c:1: error: e"
    errors = [f"a.c:{number}: error: w" for number in range(1, ANNOTATIONS_COUNT_MAX + 2)]
    assert found(*errors) == errors[:-1]


def test_only_so_many_lines_are_looked_at() -> None:
    problems = ProblemLines("/w")
    problems(Stream.STDOUT, b"at 1:2\nplain\na.c:1: error: x\nb.c:1: error: y\n", 1)
    assert [each.file for each in problems.find(lines_count_max=2)] == ["a.c"]
    assert [each.file for each in problems.find(lines_count_max=3)] == ["a.c", "b.c"]


def test_a_line_without_an_end_counts() -> None:
    problems = ProblemLines("/w")
    problems(Stream.STDOUT, b"a.c:1: error: x", 1)
    assert [str(each) for each in problems.find()] == ["a.c:1: error: x"]


def test_of_a_long_output_the_beginning_and_the_end_are_looked_at() -> None:
    problems, fill = ProblemLines("/w"), (b"x" * 1023 + b"\n") * 64
    size = len(fill) + PIECE_BYTES
    problems(Stream.STDOUT, b"first.c:1: error: x\n", 1)
    for _ in range(FIRST_BYTES_MAX // size + 1):
        problems(Stream.STDOUT, fill, 0)
    problems(Stream.STDOUT, b"middle.c:1: error: x\ncut-off-", 0)
    for _ in range(LAST_BYTES_MAX // size - 1):
        problems(Stream.STDOUT, fill, 0)
    problems(Stream.STDOUT, b"\nlast.c:1: error: x\n", 0)
    assert [each.file for each in problems.find()] == ["first.c", "middle.c", "last.c"]
    problems(Stream.STDOUT, fill * 2, 0)
    assert [each.file for each in problems.find()] == ["first.c", "last.c"]


def test_single_bytes_count_for_the_memory_that_they_take() -> None:
    problems = ProblemLines("/w")
    for _ in range(2 * FIRST_BYTES_MAX // PIECE_BYTES):
        problems(Stream.STDOUT, b"x", 0)
    for byte in b"\na.c:1: error: y\n":
        problems(Stream.STDOUT, bytes([byte]), 0)
    assert len(problems._first) + len(problems._last) <= (FIRST_BYTES_MAX + LAST_BYTES_MAX) // PIECE_BYTES
    assert [str(each) for each in problems.find()] == ["a.c:1: error: y"]


def test_after_a_gap_the_rest_of_a_line_is_left_out() -> None:
    problems = ProblemLines("/w")
    problems(Stream.STDOUT, b"x" * FIRST_BYTES_MAX, 1)
    problems(Stream.STDOUT, b"y" * LAST_BYTES_MAX, 0)
    problems(Stream.STDOUT, b"rest.c:1: error: x\nb.c:1: error: y\n", 0)
    assert [each.file for each in problems.find()] == ["b.c"]
