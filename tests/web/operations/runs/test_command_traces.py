"""Which lines of a log are the traces of a step's commands."""

import pytest

from runner.execution.container.script import script_of
from web.operations.runs.command_traces import MASKED_LINES_MAX, TRACE_BYTES_MAX, CommandTraces


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("make", b"make"),
        ("  make  ", b"make"),
        ("if true; then  \n  make\nfi", b"if true; then"),
        ("make", b"make\r"),
        ("echo caf\u00e9 \udcff", "echo caf\u00e9 ".encode() + b"\xff"),
        ("curl -u me:hunter2 x", b"curl -u me:******** x"),
        ("a hunter2 b hunter2 c", b"a ******** b ******** c"),
        ("hunter2", b"********"),
        ("x" * (TRACE_BYTES_MAX + 1), b"x" * TRACE_BYTES_MAX + b"y"),
    ],
)
def test_the_trace_of_a_command_is_known(command: str, line: bytes) -> None:
    assert CommandTraces(["other", command]).has(line)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"mak", b"make it", b" make", b"  make", b"fi", b"curl ********y", b"ab ******** ba", b"b ********",
        b"aba ********ba ba", b"a ******** d ******** c", b"x" * TRACE_BYTES_MAX,
    ],
)  # fmt: skip
def test_other_lines_are_output(line: bytes) -> None:
    assert not CommandTraces(["make", "if a\nfi", "curl x", "aba ba", "a b c", "x" * (TRACE_BYTES_MAX - 1)]).has(line)


def test_the_script_prints_what_is_known() -> None:
    command = "\n  echo one \\\n    two\n"
    printed = script_of([command], "", {}).splitlines()[0].removeprefix("printf '%s\\n' '+ ")
    assert CommandTraces([command]).has(printed.encode())


def test_so_many_lines_with_a_secret_are_compared() -> None:
    traces = CommandTraces(["login hunter2 1"])
    for number in range(MASKED_LINES_MAX - 1):
        assert not traces.has(b"logout ******** %d" % number)
    assert traces.has(b"login ******** 1")
    assert not traces.has(b"login ********")
    assert traces.has(b"login ******** 1"), "what was compared is known"
