"""Makes a Docker Engine behind ssh available as a local Unix socket, for the SDK, raw streams and the build client.

For each connection to the socket it starts an ssh process with the connection as its standard input and output, so that
no byte passes through Python. The processes share one ssh login (ControlMaster), which ends after the last of them.
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
ERROR_TIMEOUT_S = 2.0
SHARED_LOGIN_S = 15
PATH_BYTES_MAX = 60
"""For the folder: the path of a socket has at most 108 bytes, and ssh appends to its socket's path."""
_BACKLOG = 64
# Waits until this process closes the pipe or dies, then removes the login and the folder.
_CLEAN_UP = """cat; ssh -o ControlPath="$1/login" -O exit -- any 2>/dev/null; rm -rf -- "$1" """


class SshRelay:
    """The relay, at the socket ``path``, which only this user can access. Ends with ``close`` or with this process."""

    def __init__(self, remote: Ssh, environment: Mapping[str, str]) -> None:
        self._command = command_of(remote, folder := _private_folder())
        self._environment = dict(environment)
        self._clean_up = subprocess.Popen(
            ["sh", "-c", _CLEAN_UP, "headway-ssh", str(folder)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=self._environment,
        )  # fmt: skip
        self.path = str(folder / "engine.sock")
        self._failed = Event()
        self._error = ""
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
                    # Ctrl-C must not reach ssh: headway still needs the engine to clean up.
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            self._set_error(f"ssh cannot be started here ({error}); install openssh-client")
            return
        with process:
            _, stderr = process.communicate()
        if process.returncode != 0:
            self._set_error(stderr.decode(errors="replace").strip() or f"it ended with exit code {process.returncode}")

    def _set_error(self, text: str) -> None:
        self._error = " ".join(text.split())
        self._failed.set()

    def last_error(self, error: Exception) -> str:
        """ssh's error message for a connection that has just broken; else the text of ``error``."""
        self._failed.wait(ERROR_TIMEOUT_S)
        return self._error or str(error)

    def close(self) -> None:
        """Accepts no more connections and removes the socket. Open connections go on until they end."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._clean_up.stdin:
            self._clean_up.stdin.close()
        self._clean_up.wait()


def command_of(remote: Ssh, folder: Path) -> list[str]:
    """The ssh command that connects its standard input and output with the engine. It never prompts."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_S),
        # Detects a broken network within a minute.
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
