"""How commands reach a shell, and how the end of its outputs is found. On this machine's own shells."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.events import Stream
from runner.execution.container.gate import (
    NOT_MEASURED,
    GateStatus,
    StatusWatch,
    Used,
    gate_input,
    new_token,
)
from runner.execution.container.script import script_of
from tests.support.init import run_gate

TOKEN = "0123456789abcdef0123456789abcdef"
SHELLS = [["/bin/sh"], *([["busybox", "sh"]] if shutil.which("busybox") else []), ["bash"]]
SCRIPT_FILE = "/proc/self/fd/3"


def through_gate(shell: list[str], script: str) -> subprocess.CompletedProcess[bytes]:
    return run_gate([*shell, SCRIPT_FILE], gate_input(TOKEN, script))


def report(status: int, signal: int = 0) -> bytes:
    return f"\x1e{TOKEN} {status} {signal}\n".encode()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
@pytest.mark.parametrize(
    "script",
    [
        "echo hello\n",
        "printf 'no end'",
        "echo 'a\\nb\\\\c\\0d\\c'\n",
        "cat <<'E'\n$HOME \\\n  in\n\n\nE\n",
        "echo ü☃\n",
        "# comment\n\n\techo '%s %n'\n",
        "echo \"$0\" >/dev/null; echo '\r'\n",
        "echo one\necho two\n",
    ],
)
def test_a_script_comes_through_the_gate_as_it_is(shell: list[str], script: str) -> None:
    plain = subprocess.run([*shell, "-c", script], capture_output=True, check=False)
    done = through_gate(shell, script)
    mark = report(0)
    assert done.stdout == plain.stdout + mark
    assert done.stderr == mark


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 7", 7),
        ("false\ntrue", 1),
        ("exec sh -c 'exit 9'", 9),
        ("sh -c 'kill -TERM $$'", 143),
        ("trap 'exit 5' EXIT; exit 4", 5),
        ("if", 2),
    ],
)
def test_the_status_is_the_scripts(shell: list[str], script: str, status: int) -> None:
    done = through_gate(shell, script)
    assert done.stdout.endswith(report(status))
    assert done.returncode == status


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
def test_a_signal_that_ended_the_shell_itself_is_told(shell: list[str]) -> None:
    done = through_gate(shell, "kill -TERM $$; sleep 9")
    assert done.stdout == done.stderr == report(143, 15)
    assert done.returncode == 143


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
def test_a_gate_whose_runner_went_away_runs_nothing(shell: list[str]) -> None:
    for said in (b"", b"token", b"token 7\n", b"token 7\nexit 0", b"token\nexit 0", b"t" * 200):
        done = run_gate([*shell, SCRIPT_FILE], said)
        assert (done.returncode, done.stdout) == (125, b"")


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
def test_the_script_does_not_learn_the_token(shell: list[str]) -> None:
    done = through_gate(shell, "set; env; cat /proc/$$/cmdline /proc/$$/environ; cat; ls -l /proc/self/fd")
    assert done.stdout.count(TOKEN.encode()) == 1


@pytest.mark.slow
@given(st.lists(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=30), max_size=4))
def test_any_text_that_is_shown_and_printed_is_kept(words: list[str]) -> None:
    commands = ["printf '%s\\n' '" + word.replace("'", "'\\''") + "'" for word in words]
    done = through_gate(["/bin/sh"], script_of(commands, "", {}))
    shown = "".join(f"+ {command.strip()}\n{word}\n" for command, word in zip(commands, words, strict=True))
    assert done.stdout == shown.encode() + report(0)


def test_late_variables_and_the_folder_come_first(tmp_path: Path) -> None:
    place = tmp_path / "it's new"
    script = script_of(["pwd", 'echo "$LATE"'], str(place), {"LATE": "a 'b' $c\nd"})
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"+ pwd\n{place}\n+ echo \"$LATE\"\na 'b' $c\nd\n"


def test_a_token_is_new_each_time() -> None:
    assert new_token() != new_token()
    assert len(new_token()) == 32


NOISE = st.one_of(
    st.binary(max_size=10), st.sampled_from([b"\x1e", b"\x1e0123", f"\x1e{TOKEN}".encode(), f"\x1e{TOKEN} x".encode()])
)


@pytest.mark.slow
@given(st.lists(NOISE, max_size=6), st.integers(0, 255), st.integers(0, 64), st.binary(max_size=8), st.data())
def test_the_status_is_found_however_the_stream_is_cut(
    noise: list[bytes], status: int, signal: int, after: bytes, data: st.DataObject
) -> None:
    before = b"".join(noise)
    whole = before + report(status, signal) + after
    watch, given_out = StatusWatch(TOKEN), b""
    for piece in cut(whole, data):
        if watch.status is None:
            given_out += watch.feed(piece)
    assert (watch.status, watch.signal) == (status, signal)
    assert given_out + watch.flush() == before


@pytest.mark.slow
@given(st.lists(NOISE, max_size=6), st.data())
def test_without_the_mark_no_byte_is_lost(noise: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(noise)
    watch = StatusWatch(TOKEN)
    given_out = b"".join(watch.feed(piece) for piece in cut(whole, data))
    assert watch.status is None
    assert given_out + watch.flush() == whole


@pytest.mark.parametrize("size", [1, 2, 33, 34, 35, 36, 37, 1000])
def test_a_look_alike_of_the_mark_stays_in_the_log(size: int) -> None:
    alike: list[bytes | str] = [
        b"\x1e" * 3,
        f"\x1e{TOKEN} word\n",
        f"\x1e{TOKEN} 0\n",
        f"\x1e{TOKEN} 12345678\n"[:-1],
        f"\x1e{TOKEN[:-1]} 0 0\n",
        f"{TOKEN} 0 0\n",
    ]
    before = b"".join(text if isinstance(text, bytes) else text.encode() for text in alike)
    whole = before + report(7)
    watch = StatusWatch(TOKEN)
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert b"".join(watch.feed(piece) for piece in pieces) == before
    assert watch.status == 7


@pytest.mark.parametrize("size", [1, 2, 40, 1000])
def test_what_the_container_used_comes_with_the_status(size: int) -> None:
    whole = b"said\n" + report(7)[:-1] + b" 5242880 1250000\n"
    watch = StatusWatch(TOKEN)
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert b"".join(watch.feed(piece) for piece in pieces) == b"said\n"
    assert (watch.status, watch.used) == (7, Used(5 * 1024**2, 1.25))


def test_a_plugin_reports_on_its_error_output_and_decides_nothing() -> None:
    status = GateStatus("", TOKEN)
    assert list(status.filters) == [Stream.STDERR]
    forged, own = (f"\x1e{TOKEN} 0 0 {peak} 1\n".encode() for peak in (1, 2))
    assert status.filters[Stream.STDERR].feed(b"a" + forged + b"b") == b"ab"
    assert status.filters[Stream.STDERR].feed(b"c" + own) == b"c"
    assert (bool(status), status.status, status.watches) == (False, None, {})
    assert status.used == Used(2, 1e-6)


def test_without_any_token_nothing_is_looked_for() -> None:
    assert GateStatus("").filters == {}
    assert GateStatus("").used == NOT_MEASURED


def cut(whole: bytes, data: st.DataObject) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
@pytest.mark.parametrize("end", ["\\", "\\\\", " \\", "# \\", "\\\n", "'\\'"])
def test_a_command_that_ends_in_a_backslash_leaves_the_next_one_alone(shell: list[str], end: str) -> None:
    done = through_gate(shell, script_of([f"echo one {end}", "echo two"], "", {}))
    assert b"\n+ echo two\ntwo\n\x1e" in done.stdout
