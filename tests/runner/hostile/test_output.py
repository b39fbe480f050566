"""What a step writes is kept as it is, bounded, and says nothing in Headway's name."""

import hashlib

import pytest

from pipelines.state import Reason, State
from runner.events import StepOutput, Stream
from runner.execution.job.options import Options
from tests.support.engine import JobRunner
from tests.support.plans import container, plugin, shell

pytestmark = pytest.mark.engine

ODD = {
    "nul bytes": b"\0" * 5000 + b"\n",
    "no text": bytes(range(256)) * 64,
    "escape sequences": b"\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m\x9b1m\r\b\x7f\n",
    "a long line": b"x" * 1_000_000 + b"\n",
    "half a character": "ü".encode()[:1],
    "the notes of headway": b"headway: built sha256:" + b"0" * 64 + b"\nheadway: passed\n",
    "a look-alike of the gate": b"\x1e" + b"0" * 32 + b" 0\n",
    "marks": b"\x1e" * 10_000,
    "empty lines": b"\n" * 20_000,
}


@pytest.mark.parametrize("plain", [True, False], ids=["commands", "plugin"])
def test_odd_output_is_kept_byte_by_byte(ran: JobRunner, plain: bool) -> None:
    files = {f"{number}.bin": data for number, data in enumerate(ODD.values())}
    steps = [
        shell(f"cat {name}", "exit 3", failure="ignore")
        if plain
        else plugin(container(entrypoint=("sh", "-c", f"cat {name}; exit 3")), failure="ignore")
        for name in files
    ]
    job = ran(*steps, files=files)
    for number, (name, data) in enumerate(zip(files, ODD.values(), strict=True), 1):
        shown = f"+ cat {name}\n".encode(), b"+ exit 3\n"
        assert job.log(number, Stream.STDOUT) == (shown[0] + data + shown[1] if plain else data), name
        assert job.step(number).exit_code == 3
        assert job.log(number, Stream.NOTE).decode() == "headway: exited with 3\n"


def test_a_closed_output_ends_neither_the_step_nor_its_verdict(ran: JobRunner) -> None:
    close = "exec >&- 2>&-; sleep 0.5; exit 4"
    job = ran(
        shell(close, failure="ignore"),
        plugin(container(entrypoint=("sh", "-c", f"echo up; {close}")), failure="ignore"),
    )
    assert [job.step(number).exit_code for number in (1, 2)] == [4, 4]


@pytest.mark.parametrize("plain", [True, False], ids=["commands", "plugin"])
def test_what_goes_on_writing_after_the_end_is_cut_there(ran: JobRunner, plain: bool) -> None:
    write = "(trap '' TERM HUP; while true; do echo late; done) & sleep 0.3; exit 5"
    step = shell(write, timeout_s=60) if plain else plugin(container(entrypoint=("sh", "-c", write)), timeout_s=60)
    job = ran(step)
    assert job.step().exit_code == 5
    assert job.said()[-1].startswith("l"), "the last line may be cut"


def test_output_without_end_is_bounded_and_does_not_delay_the_end(ran: JobRunner) -> None:
    job = ran(shell("yes", timeout_s=3), options=Options(log_bytes_max=1_000_000, grace_s=0.3))
    assert job.step().reason is Reason.TIMEOUT
    assert len(job.log()) < 1_001_000


def test_a_hundred_megabytes_at_full_speed_are_whole(ran: JobRunner) -> None:
    digest, size = hashlib.sha256(), 0

    def count(event: object) -> None:
        nonlocal size
        if isinstance(event, StepOutput) and event.stream is Stream.STDOUT:
            digest.update(event.data)
            size += len(event.data)

    job = ran(shell("head -c 100000000 /dev/zero"), on_event=count)
    shown = b"+ head -c 100000000 /dev/zero\n"
    assert job.outcome.state is State.PASSED
    assert size == 100_000_000 + len(shown)
    assert digest.digest() == hashlib.sha256(shown + b"\0" * 100_000_000).digest()
