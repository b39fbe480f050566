"""Passwords are hashed a few at a time, and a bounded number waits."""

import threading
import time

import pytest

from tests.support.services import eventually
from web.security.password_hashing import HashingBusyError, PasswordHashing

pytestmark = pytest.mark.slow


def test_as_many_wait_as_the_queue_holds_and_one_more_is_refused() -> None:
    hashing = PasswordHashing(at_once_max=1, waiting_max=1)
    password_hash = hashing.hash("first")
    with hashing._turn():
        answers: list[bool] = []
        waiting = threading.Thread(target=lambda: answers.append(hashing.fits("first", password_hash)))
        waiting.start()
        eventually(lambda: hashing._room == 0)
        with pytest.raises(HashingBusyError):
            hashing.fits("first", password_hash)
        with pytest.raises(HashingBusyError):
            hashing.hash("second")
        assert answers == []
    waiting.join()
    assert answers == [True]
    assert not hashing.fits("second", password_hash)


def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    hashing = PasswordHashing()
    password_hash = hashing.hash("right")

    def least_s(stored: str | None) -> float:
        took = []
        for _ in range(5):
            started = time.process_time()
            assert not hashing.fits("wrong", stored)
            took.append(time.process_time() - started)
        return min(took)

    assert 0.5 < least_s(None) / least_s(password_hash) < 2
