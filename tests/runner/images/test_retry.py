"""Asking a registry again."""

import pytest

from pipelines.state import Reason
from runner.docker.error_mapping import classify_text
from runner.errors import CanceledError, MachineError, RegistryBusyError
from runner.images.retry import BACK_OFF_S, with_retries

BUSY = "unexpected status from HEAD request to http://127.0.0.1:1/v2/a/manifests/1: 503 Service Unavailable"


def fails(times: int, tries: list[int]) -> str:
    tries.append(1)
    if len(tries) <= times:
        raise classify_text(BUSY)
    return "answer"


def test_a_registry_that_cannot_serve_now_is_asked_again_and_the_log_says_so() -> None:
    tries: list[int] = []
    said: list[str] = []
    assert with_retries(lambda: fails(1, tries), said.append, lambda: None) == "answer"
    assert len(tries) == 2
    assert said == [f"the registry cannot be reached: {BUSY}; retrying in 0.5 s"]


@pytest.mark.stress
def test_after_the_last_pause_its_answer_counts() -> None:
    tries: list[int] = []
    with pytest.raises(RegistryBusyError):
        with_retries(lambda: fails(99, tries), lambda _: None, lambda: None)
    assert len(tries) == len(BACK_OFF_S) + 1


def test_other_faults_are_not_tried_again() -> None:
    tries: list[int] = []

    def refuse() -> None:
        tries.append(1)
        raise MachineError(Reason.REGISTRY_UNREACHABLE, "connection refused")

    with pytest.raises(MachineError):
        with_retries(refuse, lambda _: None, lambda: None)
    assert len(tries) == 1


def test_a_cancel_ends_the_pause() -> None:
    tries: list[int] = []

    def check() -> None:
        raise CanceledError(Reason.CANCELED, "canceled by ada")

    with pytest.raises(CanceledError):
        with_retries(lambda: fails(1, tries), lambda _: None, check)
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("text", "busy"),
    [
        (BUSY, True),
        ("received unexpected HTTP status: 500 Internal Server Error", True),
        (BUSY.replace("503 Service Unavailable", "404 Not Found"), False),
        (BUSY.replace("503 Service Unavailable", "429 Too Many Requests"), False),
    ],
)
def test_only_a_fault_of_the_registry_itself_is_worth_a_retry(text: str, busy: bool) -> None:
    assert isinstance(classify_text(text), RegistryBusyError) is busy
