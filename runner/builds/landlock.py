"""Restricts which files a program can read with Landlock, a Linux security module that needs no privileges.

A step that runs during a build can replace a folder of the build context by a symbolic link at any moment: after any
check, and before the build client opens it. A confined client cannot read where the link leads.
"""

import os
import struct
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ctypes import CDLL

_T = TypeVar("_T")
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH, _PR_SET_NO_NEW_PRIVS = 1, 1, 38
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
SYSTEM = (
    "/bin", "/lib", "/lib32", "/lib64", "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec",
    "/usr/share", "/usr/local/bin", "/usr/local/lib", "/usr/local/libexec", "/usr/local/share", "/etc/ld.so.cache",
    "/nix/store", "/gnu/store", "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/certs",
    "/etc/pki/ca-trust", "/etc/ca-certificates", "/var/lib/ca-certificates", "/etc/resolv.conf", "/etc/hosts",
    "/etc/nsswitch.conf", "/etc/localtime", "/dev/null", "/dev/urandom",
)  # fmt: skip
"""What a program needs to start and to connect to a registry. There are no secrets in it."""


def confined(start: Callable[[], _T], readable: Iterable[Path | str]) -> _T:
    """Calls ``start``; the program that it starts can read only files below ``readable`` and ``SYSTEM``.

    Without Landlock (Linux before 5.13, other systems) there is no restriction. Raises OSError.
    """
    # In a thread of its own: the restriction cannot be lifted again, and child processes inherit it.
    with ThreadPoolExecutor(1, "confine") as thread:
        return thread.submit(_restrict_and_start, start, [*readable, *SYSTEM]).result()


def _restrict_and_start(start: Callable[[], _T], readable: Iterable[Path | str]) -> _T:
    if sys.platform == "linux":
        # It loads slowly, and most runs of `headway run` build nothing.
        from ctypes import CDLL  # noqa: PLC0415

        libc = CDLL(None, use_errno=True)
        if libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG) > 0:
            _restrict(libc, readable)
    return start()


def _restrict(libc: "CDLL", readable: Iterable[Path | str]) -> None:
    handled = struct.pack("=Q", _READ_FILE | _READ_FOLDER)
    rules = _checked(libc.syscall(_CREATE_RULESET, handled, len(handled), 0))
    try:
        for path in [Path(path) for path in readable if path]:
            if path.exists():
                _allow(libc, rules, path)
        _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)


def _allow(libc: "CDLL", rules: int, path: Path) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | (_READ_FOLDER if path.is_dir() else 0)
        _checked(libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0))
    finally:
        os.close(place)


def _checked(result: int) -> int:
    if result < 0:
        import ctypes  # noqa: PLC0415

        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
