"""Secrets and logs that were made to be slow: the work grows with their size, and no other thread waits for it long."""

import base64
import random
import string
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from runner.logs.redact import MASK, RedactedStream, Redactor
from runner.logs.spellings import PART_BYTES_MAX

KIB = 1024
LETTERS = string.ascii_letters + string.digits
READ = 256 * KIB  # what is read from a container at once


def letters(count: int, seed: int = 1) -> str:
    return "".join(random.Random(seed).choices(LETTERS, k=count))


def masked(redactor: Redactor, data: bytes, size: int = READ) -> bytes:
    stream = RedactedStream(redactor)
    pieces = [stream.feed(data[at : at + size]) for at in range(0, len(data), size)]
    return b"".join([*pieces, stream.flush()])


def seconds(work: Callable[[], object]) -> float:
    """Of the processor, the best of three: other programs use this machine, too."""
    took = []
    for _ in range(3):
        before_s = time.process_time()
        work()
        took.append(time.process_time() - before_s)
    return min(took)


SHARED = letters(500)
SECRETS: dict[str, Callable[[int], list[str]]] = {
    "one byte": lambda size: ["A" * size],
    "zeros in base64": lambda size: [base64.b64encode(bytes(size * 3 // 4)).decode()],
    "short lines": lambda size: ["A\n" * (size // 2)],
    "lines of one byte, each longer": lambda size: ["\n".join("A" * (8 + n) for n in range(size // 250))],
    "one beginning": lambda size: ["A" * (size // 8) + letters(9, n) for n in range(8)],
    "lines with one beginning": lambda size: ["\n".join("begin---" + letters(5, n) for n in range(size // 14))],
    "parts of one text": lambda size: ["\n".join(SHARED[n : n + 100] for n in range(size // 101 % 400))],
    "no repetition": lambda size: [letters(size)],
    "not ascii": lambda size: ["é" * (size // 2)],
}
LOGS: dict[str, Callable[[int], bytes]] = {
    "one byte": lambda size: b"A" * size,
    "one byte a line": lambda size: b"A\n" * (size // 2),
    "long lines": lambda size: (b"A" * 300 + b"B\n") * (size // 302),
    "the beginning": lambda size: b"begin---" * (size // 8),
    "the text": lambda size: (SHARED * (size // 500)).encode(),
}


@pytest.mark.stress
@pytest.mark.parametrize("secrets", SECRETS.values(), ids=SECRETS)
def test_the_time_for_a_mask_grows_with_its_secrets_and_no_faster(secrets: Callable[[int], list[str]]) -> None:
    small, large = secrets(16 * KIB), secrets(64 * KIB)
    assert seconds(lambda: Redactor(large)) < 10 * seconds(lambda: Redactor(small)) + 0.1


@pytest.mark.stress
@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
@pytest.mark.parametrize("secrets", SECRETS.values(), ids=SECRETS)
def test_the_time_for_a_log_does_not_grow_with_the_size_of_the_secret(
    secrets: Callable[[int], list[str]], log: Callable[[int], bytes]
) -> None:
    data = log(100_000)
    small, large = Redactor(secrets(1 * KIB)), Redactor(secrets(64 * KIB))
    assert seconds(lambda: masked(large, data)) < 6 * seconds(lambda: masked(small, data)) + 0.5


@pytest.mark.stress
@pytest.mark.parametrize("size", [1, 100, READ])
def test_a_secret_of_one_byte_again_and_again_costs_no_more_than_any_text(size: int) -> None:
    length = 4_000_000 if size == READ else 20_000
    redactor, plain = Redactor(["A" * 64 * KIB, "AAAA"]), b"the tests have passed in 12 ms\n" * (length // 31)
    hostile = seconds(lambda: masked(redactor, b"A" * length, size))
    assert hostile < 10 * seconds(lambda: masked(redactor, plain, size)) + 0.5


@pytest.mark.stress
def test_masks_at_the_limit_keep_no_other_thread_waiting() -> None:
    """Lease renewal and heartbeats are such threads: they must run every few seconds, whatever a job does.

    Seconds of this process's processor time: what other programs take meanwhile does not count.
    """
    secrets = ["\n".join(letters(8, seed=n * 8_000 + k) for k in range(7_281)) for n in range(16)]
    ticks, stop = [time.process_time()], threading.Event()

    def tick() -> None:
        while not stop.wait(0.01):
            ticks.append(time.process_time())

    thread = threading.Thread(target=tick)
    thread.start()
    redactor = Redactor(secrets)
    masked(redactor, "\n".join(secrets[:4]).encode())
    stop.set()
    thread.join()
    assert max(after - before for before, after in pairwise(ticks)) < 3


def test_a_long_secret_is_masked_whole_and_in_parts() -> None:
    secret = letters(64 * KIB)
    redactor = Redactor([secret])
    assert masked(redactor, f"<{secret}>".encode()) == b"<" + MASK + b">"
    first = secret[:PART_BYTES_MAX].encode()
    assert masked(redactor, b"<" + first + b">") == b"<" + MASK + b">"
    assert masked(redactor, b"<" + first[:-1] + b">") == b"<" + first[:-1] + b">"


@pytest.mark.parametrize("length", [PART_BYTES_MAX, PART_BYTES_MAX + 1, 2 * PART_BYTES_MAX - 1, 2 * PART_BYTES_MAX])
def test_no_byte_is_left_where_the_parts_of_a_secret_meet(length: int) -> None:
    secret = letters(length)
    for form in (secret.encode(), base64.b64encode(secret.encode()), base64.b16encode(secret.encode())):
        shown = masked(Redactor([secret, form.decode()]), b"<" + form + b">", 100)
        assert shown == b"<" + MASK + b">"


def test_secrets_that_differ_at_their_end_are_both_masked() -> None:
    beginning = "A" * 10_000
    redactor = Redactor([beginning + "1", beginning + "2"])
    for end in "12":
        assert masked(redactor, f"<{beginning}{end}>".encode()) == b"<" + MASK + b">"
