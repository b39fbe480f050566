"""A Docker Engine behind ssh, as a Unix socket on this machine: for the SDK, for raw streams and for the build client.

Each connection to the socket becomes an ssh of its own that has the connection as its standard input and output, so
that not one byte passes through Python. They share one login, which ssh ends when the last of them has ended.
"""

import os
import shlex
import socket
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from threading import Event, Thread

from runner.docker.endpoints.endpoint import Ssh

CONNECT_S = 30
COMPLAINT_S = 2.0
SHARED_LOGIN_S = 15
PATH_BYTES_MAX = 60
"""Of a folder: the path of a socket has 108 bytes at most, and ssh adds to that of its own."""
_BACKLOG = 64
# Ends when the other end of its pipe closes, however that came about, and then leaves nothing.
_CLEAN_UP = """cat; ssh -o ControlPath="$1/login" -O exit -- any 2>/dev/null; rm -rf -- "$1" """


class SshRelay:
    """The socket ``path``, which no other user can reach. It ends with ``close``, or with this process."""

    def __init__(self, remote: Ssh, environment: Mapping[str, str]) -> None:
        self._command = command_of(remote, folder := _private_folder())
        self._environment = dict(environment)
        self._clean_up = subprocess.Popen(
            ["sh", "-c", _CLEAN_UP, "headway-ssh", str(folder)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=self._environment,
        )  # fmt: skip
        self.path = str(folder / "engine.sock")
        self._complained = Event()
        self._complaint = ""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(_BACKLOG)
        Thread(target=self._accept, name="ssh relay", daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                Thread(target=self._connect, args=(connection,), name="ssh", daemon=True).start()

    def _connect(self, connection: socket.socket) -> None:
        try:
            with closing(connection):
                process = subprocess.Popen(
                    self._command, stdin=connection.fileno(), stdout=connection.fileno(), stderr=subprocess.PIPE,
                    env=self._environment,
                    # Ctrl-C is for headway, which then still needs the engine.
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            self._complain(f"ssh cannot be started here ({error}); install openssh-client")
            return
        with process:
            _, said = process.communicate()
        if process.returncode != 0:
            self._complain(said.decode(errors="replace").strip() or f"it ended with exit code {process.returncode}")

    def _complain(self, said: str) -> None:
        self._complaint = " ".join(said.split())
        self._complained.set()

    def complaint(self, error: Exception) -> str:
        """What ssh said of a connection that has just broken; ``error`` where it said nothing."""
        self._complained.wait(COMPLAINT_S)
        return self._complaint or str(error)

    def close(self) -> None:
        """Takes no more connections and removes what was made; connections that are open go on until they end."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._clean_up.stdin:
            self._clean_up.stdin.close()
        self._clean_up.wait()


def command_of(remote: Ssh, folder: Path) -> list[str]:
    """The ssh that connects its standard input and output with the engine. It never prompts."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_S),
        # A network that has gone is noticed within a minute.
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
        "ControlMaster": "auto",
        "ControlPath": str(folder / "login"),
        "ControlPersist": str(SHARED_LOGIN_S),
    }
    command = ["ssh", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")), "-T"]
    command += ["-l", remote.user] if remote.user else []
    command += ["-p", str(remote.port)] if remote.port else []
    there = ["docker", *(["--host", f"unix://{remote.socket}"] if remote.socket else []), "system", "dial-stdio"]
    return [*command, "--", remote.host, shlex.join(there)]


def _private_folder() -> Path:
    places = [gettempdir(), "/tmp"]  # noqa: S108 - a folder of mode 0700 is made in it
    short = next((place for place in places if len(os.fsencode(place)) < PATH_BYTES_MAX), places[-1])
    return Path(mkdtemp(prefix="headway-ssh-", dir=short))
