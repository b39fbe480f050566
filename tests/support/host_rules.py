"""The rules of the engine's host in tests. They concern all builds on this engine, also those of other tests."""

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from runner.docker.client import Engine
from runner.network.host_guard import Reach, guard_host
from tests.support.background_server import running
from tests.support.plans import secrets_hex

OPEN_TO_BUILDS = Reach(builds_reach_host=True)
LOCK_FILE = Path(tempfile.gettempdir()) / f"headway-host-rules-{os.getuid()}.lock"


class _Hello(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"reached")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def hello_server(asked: list[str] | None = None) -> Iterator[int]:
    """A server on all IPv4 addresses of this host, which answers "reached"; its port. ``asked`` gets the paths."""
    handler = type("Hello", (_Hello,), {"asked": [] if asked is None else asked})
    with running(ThreadingHTTPServer(("0.0.0.0", 0), handler)) as httpd:
        yield httpd.server_port


def set_rules(engine: Engine, reach: Reach) -> bool:
    """Sets the rules; true if some were missing."""
    return guard_host(engine, f"guard-{secrets_hex()}", int(time.time()), reach)


@contextmanager
def rules(engine: Engine, reach: Reach) -> Iterator[None]:
    """Sets the rules, and at the end those with which builds reach the host."""
    set_rules(engine, reach)
    try:
        yield
    finally:
        set_rules(engine, OPEN_TO_BUILDS)


def iptables(*arguments: str, program: str = "iptables") -> str:
    """What iptables says about the table of the rules, on this machine."""
    command = [program, "-w", "10", "-t", "mangle", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def lock(how: int) -> Iterator[None]:
    """Holds the lock for the rules: ``LOCK_EX`` to change them, ``LOCK_SH`` for builds that need the host in reach.

    Tests run in several processes, and the engine has one set of rules.
    """
    with LOCK_FILE.open("w") as file:
        fcntl.flock(file, how)
        yield
