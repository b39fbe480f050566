"""Output leaves the runner masked, by byte offset without gaps, and limited."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.events import Event, StepOutput, Stream
from runner.logs.output import CUT_OFF, LOW_BYTES_MAX, Lines, Output
from runner.logs.redact import Redactor

WRITES = st.lists(st.tuples(st.sampled_from([Stream.STDOUT, Stream.STDERR]), st.binary(max_size=20)), max_size=20)


def collected(bytes_max: int = 10**9, secrets: tuple[str, ...] = (), start: int = 0) -> tuple[Output, list[StepOutput]]:
    chunks: list[StepOutput] = []

    def emit(event: Event) -> None:
        assert isinstance(event, StepOutput)
        chunks.append(event)

    return Output(7, emit, Redactor(secrets), bytes_max, start), chunks


@pytest.mark.slow
@given(WRITES, st.integers(0, 1000))
def test_every_byte_is_emitted_once_on_its_own_stream(writes: list[tuple[Stream, bytes]], start: int) -> None:
    output, chunks = collected(start=start)
    for stream, data in writes:
        output.write(stream, data)
    output.flush()
    for stream in (Stream.STDOUT, Stream.STDERR):
        said = b"".join(chunk.data for chunk in chunks if chunk.stream is stream)
        assert said == b"".join(data for name, data in writes if name is stream)
    end = start
    for chunk in chunks:
        assert (chunk.step, chunk.offset) == (7, end)
        assert chunk.data
        end += len(chunk.data)
    assert output.offset == end


@given(WRITES, st.integers(0, 100))
def test_past_the_limit_one_sentence_ends_it(writes: list[tuple[Stream, bytes]], bytes_max: int) -> None:
    output, chunks = collected(bytes_max)
    for stream, data in writes:
        output.write(stream, data)
    output.flush()
    whole = b"".join(chunk.data for chunk in chunks)
    written = sum(len(data) for _, data in writes)
    assert output.full == (written > bytes_max)
    if output.full:
        limit = f"{bytes_max:,} bytes for a step"
        assert whole[bytes_max:].decode() == (
            f"\nheadway: the output ends here: it is larger than the limit of {limit}.\n"
        )
    else:
        assert len(whole) == written


def test_while_the_disk_is_nearly_full_a_little_is_taken_and_then_one_sentence_ends_it() -> None:
    low, chunks = [False], list[bytes]()
    half = b"x" * (LOW_BYTES_MAX // 2)

    def emit(event: Event) -> None:
        assert isinstance(event, StepOutput)
        chunks.append(event.data)

    output = Output(7, emit, Redactor([]), 10**9, disk_low=lambda: low[0])
    output.write(Stream.STDOUT, b"one")
    assert not output.cut_off
    for _ in range(2):  # the job that filled the disk is ended, and this one's log goes on
        low[0] = True
        output.write(Stream.STDOUT, half)
        output.write(Stream.STDOUT, half)
        assert not output.cut_off
        low[0] = False
        output.write(Stream.STDOUT, b"two")
    low[0] = True
    output.write(Stream.STDOUT, half)
    output.write(Stream.STDOUT, half + b"!")
    low[0] = False
    output.write(Stream.STDOUT, b"three")
    taken = b"one" + 2 * (2 * half + b"two") + half
    assert b"".join(chunks) == taken + f"\nheadway: {CUT_OFF}.\n".encode()
    assert (output.full, output.cut_off, output.offset) == (True, True, len(b"".join(chunks)))


def test_streams_are_masked_each_on_its_own() -> None:
    output, chunks = collected(secrets=("topsecret",))
    output.write(Stream.STDOUT, b"tops")
    output.write(Stream.STDERR, b"topsecret ")
    output.write(Stream.STDOUT, b"ecret")
    output.flush()
    assert [(chunk.stream, chunk.data) for chunk in chunks] == [
        (Stream.STDERR, b"******** "), (Stream.STDOUT, b"********")
    ]  # fmt: skip


def test_a_note_comes_after_what_was_held_back() -> None:
    output, chunks = collected(secrets=("topsecret",))
    output.write(Stream.STDOUT, b"top")
    output.note("headway: topsecret")
    assert [chunk.data for chunk in chunks] == [b"top", b"headway: ********\n"]


def test_lines_are_masked_across_their_ends() -> None:
    output, chunks = collected(secrets=("first\nsecond",))
    lines = Lines(output)
    lines("first")
    lines("second")
    lines("lone \udcff surrogate")
    output.flush()
    assert b"".join(chunk.data for chunk in chunks) == b"********\nlone ? surrogate\n"


@given(WRITES, st.integers(0, 200), st.integers(0, 200))
def test_a_replay_adds_what_is_not_known_of_each_stream(
    writes: list[tuple[Stream, bytes]], out_bytes: int, err_bytes: int
) -> None:
    known = {Stream.STDOUT: out_bytes, Stream.STDERR: err_bytes}
    output, chunks = collected(start=1000)
    output.replays(known)
    for stream, data in writes:
        output.write(stream, data)
    output.flush()
    for stream, size in known.items():
        said = b"".join(chunk.data for chunk in chunks if chunk.stream is stream)
        assert said == b"".join(data for name, data in writes if name is stream)[size:]
    assert output.offset == 1000 + sum(len(chunk.data) for chunk in chunks)


def test_what_is_known_of_a_replay_is_counted_as_it_is_shown() -> None:
    output, chunks = collected(secrets=("s3cretvalue",))
    output.replays({Stream.STDOUT: len(b"a ********")})
    output.write(Stream.STDOUT, b"a s3cret")
    output.write(Stream.STDOUT, b"value b")
    output.flush()
    assert b"".join(chunk.data for chunk in chunks) == b" b"
