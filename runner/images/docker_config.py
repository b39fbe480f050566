"""Registry logins of `docker login`, for ``headway run``: from Docker's ``config.json`` or a credential helper.

The helpers' protocol: https://github.com/docker/docker-credential-helpers (docs of ``get`` and ``list``).
"""

import json
import subprocess
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.docker.containers.specs import TOKEN_USER, Login

HELPER_TIMEOUT_S = 20
_DOCKER_HUB = frozenset({"index.docker.io", "registry-1.docker.io", "docker.io"})
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"
_NOT_FOUND = "credentials not found"
"""The start of a helper's error message if it has no login for a registry."""


class DockerLogins(Mapping[str, Login]):
    """Logins by registry host. A credential helper is called for a host when its login is needed, and only once."""

    def __init__(self, config: Mapping[str, Any], warn: Callable[[str], None]) -> None:
        """``warn`` gets a sentence if a helper fails; its registries are then used without a login."""
        auths = _map(config.get("auths"))
        self._in_file = {_host(name): login for name, entry in auths.items() if (login := _login(entry))}
        self._helpers = {_host(name): str(helper) for name, helper in _map(config.get("credHelpers")).items()}
        self._store = str(config.get("credsStore") or "")
        self._known: dict[str, Login | None] = {}
        self._warn = warn

    def __getitem__(self, host: str) -> Login:
        """The login for a registry host."""
        if host not in self._known:
            helper = self._helpers.get(host) or self._store
            self._known[host] = (self._get(helper, host) if helper else None) or self._in_file.get(host)
        login = self._known[host]
        if login is None:
            raise KeyError(host)
        return login

    def __iter__(self) -> Iterator[str]:
        """The hosts that have a login."""
        kept = _map(self._call(self._store, "list", "")) if self._store else {}
        hosts = dict.fromkeys([*self._in_file, *self._helpers, *map(_host, kept)])
        return (host for host in hosts if self.get(host))

    def __len__(self) -> int:
        """The number of hosts that have a login."""
        return sum(1 for _ in self)

    def _get(self, helper: str, host: str) -> Login | None:
        answer = _map(self._call(helper, "get", _DOCKER_HUB_KEY if host == "docker.io" else host))
        username, secret = answer.get("Username"), answer.get("Secret")
        return Login(str(username), str(secret)) if username and secret else None

    def _call(self, helper: str, action: str, question: str) -> object:
        program = f"docker-credential-{helper}"
        try:
            done = subprocess.run(
                [program, action], input=question, capture_output=True, text=True, timeout=HELPER_TIMEOUT_S, check=False
            )
            if done.returncode == 0:
                return json.loads(done.stdout)
            message = (done.stdout or done.stderr).strip()
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            # Not its output, nor the text of the exception: they may contain a password.
            message = error.strerror or "" if isinstance(error, OSError) else type(error).__name__
        if not message.startswith(_NOT_FOUND):
            self._warn(f"{program}, which Docker's configuration names, could not return a login: {message}")
        return None


def logins(config: Path, warn: Callable[[str], None]) -> Mapping[str, Login]:
    """The logins in a Docker client's ``config.json`` and its credential helpers; none if there is no such file."""
    try:
        return DockerLogins(_map(json.loads(config.read_text())), warn)
    except (OSError, ValueError):
        return {}


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _host(name: str) -> str:
    host = urlsplit(name).netloc if "://" in name else name.partition("/")[0]
    return "docker.io" if host in _DOCKER_HUB else host


def _login(entry: object) -> Login | None:
    if token := _map(entry).get("identitytoken"):
        return Login(TOKEN_USER, str(token))
    pair = _map(entry).get("auth")
    if not isinstance(pair, str):
        return None
    try:
        username, colon, password = b64decode(pair, validate=True).decode().partition(":")
    except (Base64Error, UnicodeDecodeError):
        return None
    return Login(username, password) if colon and username else None
