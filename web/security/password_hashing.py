"""Passwords are hashed a few at a time: one Argon2 hash takes a tenth of a second of all processors, and 64 MiB."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from pwdlib import PasswordHash

AT_ONCE_MAX = 1
"""One: a hash has four threads of its own."""
WAITING_MAX = 16
RETRY_AFTER_S = 2
BUSY = "Too many passwords are being checked at the moment. Try again in a few seconds."


class HashingBusyError(Exception):
    """Too many wait already. Answered with status 429."""

    def __init__(self) -> None:
        super().__init__(BUSY)


class PasswordHashing:
    """Hashes and checks, ``at_once_max`` at a time. One that would be more than ``waiting_max`` in the queue raises."""

    def __init__(self, at_once_max: int = AT_ONCE_MAX, waiting_max: int = WAITING_MAX) -> None:
        self._turns = BoundedSemaphore(at_once_max)
        self._room = at_once_max + waiting_max
        self._lock = Lock()

    def hash(self, password: str) -> str:
        """The hash to store. Raises HashingBusyError."""
        with self._turn():
            return PasswordHash.recommended().hash(password)

    def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is right. Without a hash it takes as long and is wrong. Raises HashingBusyError."""
        with self._turn():
            hasher = PasswordHash.recommended()
            if password_hash is None:
                hasher.hash(password)
                return False
            return hasher.verify(password, password_hash)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock:
            if self._room <= 0:
                raise HashingBusyError
            self._room -= 1
        try:
            with self._turns:
                yield
        finally:
            with self._lock:
                self._room += 1
