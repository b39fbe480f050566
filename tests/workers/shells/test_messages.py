"""Messages of shells: what is sealed, in which order it can be taken, and their limits."""

import pytest

from tests.support.services import TEST_KEY
from workers.secrets.vault import Vault, VaultError, new_key, parse_keys
from workers.shells.limits import COLUMNS_MAX, ROWS_MAX
from workers.shells.messages import (
    REQUEST_BYTES_MAX,
    Direction,
    End,
    Kind,
    Message,
    OpenRequest,
    Sealer,
    Size,
    end_in,
    request_in,
    sealed_request,
    size_in,
)

REQUEST = OpenRequest("a" * 32, 2, 24, 80)


@pytest.fixture
def vault() -> Vault:
    return parse_keys([TEST_KEY], "a test")


def test_all_bytes_arrive_in_their_order(vault: Vault) -> None:
    sent, received = (Sealer(vault, "a", Direction.IN) for _ in range(2))
    messages = [Message(Kind.DATA, bytes(range(256))), Message(Kind.ALIVE), Message(Kind.END, "é".encode())]
    sealed = [sent.seal(each) for each in messages]
    assert all("\x00" not in each for each in sealed)
    assert [received.unseal(each.encode()) for each in sealed] == messages


@pytest.mark.parametrize("case", ["again", "left out", "another shell", "another direction", "another key", "no text"])
def test_a_message_of_another_place_or_another_turn_is_refused(vault: Vault, case: str) -> None:
    sent, received = Sealer(vault, "a", Direction.IN), Sealer(vault, "a", Direction.IN)
    first = sent.seal(Message(Kind.DATA, b"x")).encode()
    forged = {
        "again": first,
        "left out": [sent.seal(Message(Kind.ALIVE)), sent.seal(Message(Kind.ALIVE))][1].encode(),
        "another shell": Sealer(vault, "b", Direction.IN).seal(Message(Kind.ALIVE)).encode(),
        "another direction": Sealer(vault, "a", Direction.OUT).seal(Message(Kind.ALIVE)).encode(),
        "another key": Sealer(parse_keys([new_key()], "x"), "a", Direction.IN).seal(Message(Kind.ALIVE)).encode(),
        "no text": b"\xff\xfe",
    }[case]
    if case in {"again", "left out"}:
        received.unseal(first)
    with pytest.raises(VaultError):
        received.unseal(forged)


def test_a_request_opens_a_shell_of_its_attempt_at_its_job_alone(vault: Vault) -> None:
    published = sealed_request(vault, 7, 1, REQUEST).encode()
    assert request_in(vault, 7, 1, published) == REQUEST
    assert request_in(vault, 8, 1, published) is None
    assert request_in(vault, 7, 2, published) is None, "another worker has taken the job over"
    assert request_in(vault, 7, 1, b"{}") is None
    assert request_in(vault, 7, 1, b"\xff" * 10) is None
    assert request_in(vault, 7, 1, vault.seal("shell/open/7/1", '{"shell": "x"}').encode()) is None


def test_a_request_may_be_so_long_and_no_longer(vault: Vault) -> None:
    def padded(size: int) -> bytes:
        """The request, sealed, with this many bytes."""
        return sealed_request(vault, 7, 1, REQUEST).encode().rjust(size)

    assert request_in(vault, 7, 1, padded(REQUEST_BYTES_MAX + 1)) is None
    long = next(
        each
        for count in range(3_500, 1_000, -1)
        if len(each := sealed_request(vault, 7, 1, OpenRequest("a" * count, 2, 24, 80))) <= REQUEST_BYTES_MAX
    )
    assert request_in(vault, 7, 1, long.encode()) is not None


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (Size(ROWS_MAX, COLUMNS_MAX), Size(ROWS_MAX, COLUMNS_MAX)),
        (Size(ROWS_MAX + 1, COLUMNS_MAX + 1), Size(ROWS_MAX, COLUMNS_MAX)),
        (Size(1, 1), Size(1, 1)),
        (Size(0, -5), Size(1, 1)),
    ],
)
def test_a_terminal_has_so_many_rows_and_columns(asked: Size, given: Size) -> None:
    assert asked.bounded() == given
    assert size_in(asked.message()) == given


@pytest.mark.parametrize("end", [End("It ended.", 0), End("It ended.", 255), End("The end.\nOf 2"), End("")])
def test_an_end_has_a_sentence_and_the_exit_status_if_there_is_one(end: End) -> None:
    assert end_in(end.message()) == end


def test_an_end_of_a_worker_that_knows_no_exit_status_is_its_sentence() -> None:
    assert end_in(Message(Kind.END, b"The step has ended.")) == End("The step has ended.")
    assert end_in(Message(Kind.END, b"x\n1234")) == End("x")
