"""Asking a registry again: for how long, with which pauses, and what is said of it."""

from collections.abc import Callable

import pytest

from pipelines.state import Reason, State
from runner.docker.error_mapping import pull_error
from runner.errors import CanceledError, MachineError, StepError
from runner.images.retry import FIRST_PAUSE_S, PAUSE_S_MAX, TRIES_MIN, RegistryRetries

NAME = "r.example/app:1"
BUSY = "received unexpected HTTP status: 503 Service Unavailable"
TOLD = "the registry r.example answered 503 Service Unavailable"


class Clock:
    """A clock that sleeping and asking move on."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked_s: list[float] = []
        self.said: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def retries(self, limit_s: float, check: Callable[[], None] = lambda: None) -> RegistryRetries:
        return RegistryRetries(limit_s, self.said.append, check, lambda: self.now_s, self.sleep)

    def asked(self, *answers: str, takes_s: float = 0.0) -> Callable[[], str]:
        """Each try gets the next answer, the last one again and again; an empty one is a success."""

        def ask() -> str:
            text = answers[min(len(self.asked_s), len(answers) - 1)]
            self.asked_s.append(self.now_s)
            self.now_s += takes_s
            if text:
                raise pull_error(NAME, text, with_login=False)
            return "answer"

        return ask


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_registry_that_cannot_serve_now_is_asked_again_and_the_log_says_so(clock: Clock) -> None:
    retries = clock.retries(120)
    assert retries.call(clock.asked(BUSY, "toomanyrequests: Rate exceeded", "")) == "answer"
    assert clock.said == [
        f"{TOLD}; trying again in 1 s (try 2)",
        "the registry r.example answered 429 Too Many Requests (Rate exceeded); trying again in 2 s (try 3)",
    ]
    assert retries.trouble is None


def test_pauses_grow_and_the_last_try_is_at_the_end_of_the_time(clock: Clock) -> None:
    with pytest.raises(MachineError) as error:
        clock.retries(120).call(clock.asked(BUSY))
    assert clock.asked_s == pytest.approx([0, 1, 3, 7, 15, 31, 61, 91, 120])
    assert (error.value.state, error.value.reason) == (State.BROKEN, Reason.REGISTRY_UNREACHABLE)
    assert str(error.value).startswith(
        f"the image {NAME} cannot be pulled: {TOLD} after 9 tries over 2 min; look at the"
    )


def test_a_registry_that_takes_long_to_fail_gets_some_tries_all_the_same(clock: Clock) -> None:
    with pytest.raises(MachineError):
        clock.retries(120).call(clock.asked(BUSY, takes_s=200))
    assert len(clock.asked_s) == TRIES_MIN


def test_without_time_there_is_one_try(clock: Clock) -> None:
    with pytest.raises(MachineError) as error:
        clock.retries(0).call(clock.asked(BUSY))
    assert len(clock.asked_s) == 1
    assert clock.said == []
    assert f"{TOLD}; look at the registry" in str(error.value)


@pytest.mark.parametrize("text", ["manifest unknown", "unauthorized", "denied: no", "lookup x: no such host"])
def test_a_clear_no_is_not_asked_again(clock: Clock, text: str) -> None:
    with pytest.raises(StepError):
        clock.retries(120).call(clock.asked(text))
    assert len(clock.asked_s) == 1


def test_a_clear_no_after_trouble_counts(clock: Clock) -> None:
    with pytest.raises(StepError) as error:
        clock.retries(120).call(clock.asked(BUSY, "manifest unknown"))
    assert error.value.reason is Reason.IMAGE_NOT_FOUND


def test_the_pause_that_a_registry_asks_for_is_kept(clock: Clock) -> None:
    clock.retries(120).call(clock.asked("toomanyrequests: retry-after: 40s, allowed: 1/minute", ""))
    assert clock.asked_s == pytest.approx([0, 40])


def test_a_pause_that_is_longer_than_the_time_ends_it_at_once(clock: Clock) -> None:
    with pytest.raises(MachineError) as error:
        clock.retries(120).call(clock.asked("toomanyrequests: retry-after: 2m1s, allowed: 1/hour"))
    assert len(clock.asked_s) == 1
    assert "retry-after: 2m1s" in str(error.value)


def test_a_cancel_ends_the_pause_at_once(clock: Clock) -> None:
    def check() -> None:
        if clock.asked_s:
            raise CanceledError(Reason.CANCELED, "canceled by ada")

    with pytest.raises(CanceledError):
        clock.retries(120, check).call(clock.asked(BUSY))
    assert clock.now_s < FIRST_PAUSE_S


@pytest.mark.parametrize("in_a_try", [True, False])
def test_where_the_steps_time_ends_meanwhile_the_registry_is_the_reason(clock: Clock, *, in_a_try: bool) -> None:
    def check() -> None:
        if clock.now_s > 5:
            raise StepError(Reason.TIMEOUT, "timed out after 5 s")

    busy = clock.asked(BUSY)

    def ask() -> str:
        if in_a_try:
            check()
        return busy()

    with pytest.raises(MachineError) as error:
        clock.retries(120, (lambda: None) if in_a_try else check).call(ask)
    assert TOLD in str(error.value)
    assert "tries over" in str(error.value)


def test_once_the_registry_serves_again_it_is_not_the_reason(clock: Clock) -> None:
    retries, busy = clock.retries(120), clock.asked(BUSY, "")

    def ask() -> str:
        busy()
        retries.served()
        raise StepError(Reason.TIMEOUT, "timed out")

    with pytest.raises(StepError) as error:
        retries.call(ask)
    assert error.value.reason is Reason.TIMEOUT


def test_a_registry_that_serves_a_part_each_time_is_not_asked_for_ever(clock: Clock) -> None:
    retries, busy = clock.retries(120), clock.asked(BUSY)

    def ask() -> str:
        retries.served()
        return busy()

    with pytest.raises(MachineError):
        retries.call(ask)
    assert clock.now_s == pytest.approx(120)


def test_a_try_that_runs_into_the_steps_time_by_itself_has_timed_out(clock: Clock) -> None:
    def ask() -> str:
        clock.sleep(PAUSE_S_MAX)
        raise StepError(Reason.TIMEOUT, "timed out")

    with pytest.raises(StepError) as error:
        clock.retries(120).call(ask)
    assert error.value.reason is Reason.TIMEOUT
