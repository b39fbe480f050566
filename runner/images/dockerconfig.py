"""The logins that `docker login` keeps, for runs on a laptop."""

import base64
import json
from binascii import Error as Base64Error
from pathlib import Path
from urllib.parse import urlsplit

from runner.specs import Login

_DOCKER_HUB = frozenset({"index.docker.io", "registry-1.docker.io", "docker.io"})


def logins(config: Path) -> dict[str, Login]:
    """The logins in a Docker client's ``config.json``, by registry host.

    A file that is not there has none. Logins that a credential helper keeps elsewhere are not seen.
    """
    try:
        auths = json.loads(config.read_text()).get("auths") or {}
    except (OSError, ValueError, AttributeError):
        return {}
    found = {_host(name): _login(entry) for name, entry in auths.items()}
    return {host: login for host, login in found.items() if login}


def _host(name: str) -> str:
    host = urlsplit(name).netloc if "://" in name else name.partition("/")[0]
    return "docker.io" if host in _DOCKER_HUB else host


def _login(entry: object) -> Login | None:
    pair = entry.get("auth") if isinstance(entry, dict) else None
    if not isinstance(pair, str):
        return None
    try:
        username, colon, password = base64.b64decode(pair, validate=True).decode().partition(":")
    except (Base64Error, UnicodeDecodeError):
        return None
    return Login(username, password) if colon and username else None
