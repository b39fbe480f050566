"""Which line of a log says why its step failed."""

import pytest

from web.operations.verdicts.last_line import CANDIDATES_MAX, LINES_LOOKED_AT_MAX, TEXT_CHARS_MAX, telling_line

BUILD = """#5 [2/2] RUN cc main.c
#5 0.213 main.c:3:10: fatal error: nope.h: No such file or directory
#5     3 | #include <nope.h>
#5 compilation terminated.
#5 ERROR process "/bin/sh -c cc main.c" did not complete successfully: exit code: 1
------
 > [2/2] RUN cc main.c:
------
Dockerfile:2
--------------------
   2 | >>> RUN cc main.c
ERROR: failed to build: failed to solve: process "/bin/sh -c cc main.c" did not complete successfully: exit code: 1"""
PYTHON = """+ python app.py
Traceback (most recent call last):
  File "app.py", line 1, in <module>
KeyError: 'PORT'"""
NPM = """> web@1.0.0 build
Cannot find module 'left-pad'
npm error code 1
npm error path /src
npm error command failed
npm error A complete log of this run can be found in: /root/.npm/_logs/x.log"""
MAKE = """gcc -c a.c
a.o: undefined reference to `main'
make[1]: *** [Makefile:3: all] Error 1
make: Leaving directory '/src'
make: *** [Makefile:9: sub] Error 2"""


@pytest.mark.parametrize(
    ("log", "number", "text"),
    [
        (BUILD, 2, "main.c:3:10: fatal error: nope.h: No such file or directory"),
        (PYTHON, 4, "KeyError: 'PORT'"),
        (NPM, 2, "Cannot find module 'left-pad'"),
        (MAKE, 2, "a.o: undefined reference to `main'"),
        ("+ test\nerror: 3 files differ\nchecked 12 files\nexit status 1\n", 2, "error: 3 files differ"),
        ("first\n0 errors\nthe end\n\n---\n", 3, "the end"),
        ("sh: pyteste: not found", 1, "sh: pyteste: not found"),
    ],
)
def test_the_line_that_names_the_cause_is_found(log: str, number: int, text: str) -> None:
    found = telling_line(log.split("\n"), 1)
    assert found is not None
    assert (found.number, found.text) == (number, text)


@pytest.mark.parametrize(
    "log", ["", "+ make\n", "------\n\n", "exited with code 2", "Error: Process completed with exit code 1."]
)
def test_a_log_without_such_a_line_has_none(log: str) -> None:
    assert telling_line(log.split("\n"), 1) is None


def test_lines_count_from_the_first_one_that_is_there() -> None:
    found = telling_line(["fatal: no"], 501)
    assert found is not None
    assert found.number == 501


def test_an_error_counts_among_so_many_candidates_from_the_end() -> None:
    reached = ["error: early", *["fine"] * (CANDIDATES_MAX - 1)]
    found = telling_line(reached, 1)
    assert found is not None
    assert found.text == "error: early"
    beyond = telling_line([*reached, "fine"], 1)
    assert beyond is not None
    assert (beyond.number, beyond.text) == (CANDIDATES_MAX + 1, "fine")


def test_so_many_lines_are_looked_at() -> None:
    noise = ["---"] * (LINES_LOOKED_AT_MAX - 1)
    assert telling_line(["error: x", *noise], 1) is not None
    assert telling_line(["error: x", *noise, "---"], 1) is None


def test_a_long_line_is_cut() -> None:
    whole = telling_line(["x" * TEXT_CHARS_MAX], 1)
    cut = telling_line(["x" * (TEXT_CHARS_MAX + 1)], 1)
    assert whole is not None
    assert cut is not None
    assert whole.text == "x" * TEXT_CHARS_MAX
    assert cut.text == "x" * (TEXT_CHARS_MAX - 1) + "…"
