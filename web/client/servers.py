"""Which server a command speaks to, with which token: from an option, the environment, or what `headway login` kept."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_IMODE
from tempfile import NamedTemporaryFile
from typing import NamedTuple
from urllib.parse import urlsplit

from workers.errors import StartError

SERVER, TOKEN = "HEADWAY_SERVER", "HEADWAY_TOKEN"
FILE_BYTES_MAX = 1024 * 1024
_OTHERS = 0o077
_FORM = "Write for example https://ci.example.com."


class Server(NamedTuple):
    """Where a server is, without a slash at its end, and the token for it."""

    url: str
    token: str


def named_server(given: str, environment: Mapping[str, str]) -> str:
    """The server that the option or the environment names; empty where neither does. Raises StartError."""
    source, url = ("--server", given) if given else (SERVER, environment.get(SERVER, ""))
    return server_url(url, source) if url else ""


def find_server(given: str, environment: Mapping[str, str]) -> Server:
    """The server that is named, else the last one that ``headway login`` was used for. Raises StartError."""
    known = _Known(environment)
    url = named_server(given, environment) or known.newest
    if not url:
        raise StartError(
            "It is not known which server is meant. Log in once: headway login https://ci.example.com. "
            f"Or name it with --server or {SERVER}, and its token in {TOKEN}."
        )
    # A token belongs to the server that it is given with: it goes to no other one that an option names.
    of_other = environment.get(SERVER) and named_server("", environment) != url
    token = ("" if of_other else environment.get(TOKEN, "")) or known.tokens.get(url, "")
    if not token:
        raise StartError(f"There is no token for {url}. Log in: headway login {url}. Or set {TOKEN}.")
    return Server(url, token)


def keep_token(server: Server, environment: Mapping[str, str]) -> Path:
    """Keeps the token in a file that this user alone can read, and returns its path. Raises StartError."""
    known = _Known(environment)
    known.tokens.pop(server.url, None)
    known.tokens[server.url] = server.token
    known.write()
    return known.path


def forget_token(url: str, environment: Mapping[str, str]) -> bool:
    """Removes what is kept for a server; False if there is nothing. Raises StartError."""
    known = _Known(environment)
    if known.tokens.pop(url, None) is None:
        return False
    known.write()
    return True


def server_url(text: str, source: str) -> str:
    """An address as all commands write it. ``source`` is named in the sentence of a StartError."""
    url = text.rstrip("/")
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.scheme not in {"http", "https"} or not url.isprintable() or " " in url:
        raise StartError(f"{source} is no address of a server: {text[:200]!r}. {_FORM}")
    if parts.username is not None or parts.query or parts.fragment:
        raise StartError(f"{source} has more than an address of a server. {_FORM} The token comes from {TOKEN}.")
    return url


class _Known:
    """The servers that this user has logged in to, the newest last."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        home = environment.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")  # noqa: PTH118, PTH111
        self.path = Path(home) / "headway" / "servers.json"
        self.tokens = self._read()

    @property
    def newest(self) -> str:
        return next(reversed(self.tokens), "")

    def _read(self) -> dict[str, str]:
        try:
            with self.path.open("rb") as file:
                if S_IMODE(os.fstat(file.fileno()).st_mode) & _OTHERS:
                    raise StartError(f"{self.path} has tokens, and other users may read it. Run: chmod 600 {self.path}")
                found = json.loads(file.read(FILE_BYTES_MAX))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StartError(f"{self.path} cannot be read: {error.strerror}.") from None
        except ValueError:
            found = None
        if not isinstance(found, dict) or not all(isinstance(token, str) for token in found.values()):
            raise StartError(f"{self.path} is not what headway login writes. Remove it, and log in again.")
        return found

    def write(self) -> None:
        """Replaces the file as a whole. Raises StartError."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=self.path.parent, delete=False) as file:  # mode 0600
                json.dump(self.tokens, file, indent=1)
            Path(file.name).replace(self.path)
        except OSError as error:
            raise StartError(f"{self.path} cannot be written: {error.strerror}.") from None
