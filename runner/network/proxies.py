"""HTTP proxies: read from the environment or from Docker's configuration, and passed on to programs and containers."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY")
NO_PROXY = "NO_PROXY"
NAMES = frozenset({*VARIABLES, NO_PROXY})
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
_LOGIN = re.compile(r"^(?P<scheme>[a-z0-9+.-]+://)?(?P<user>[^/@:]*)(?::(?P<password>[^/]*))?@", re.IGNORECASE)
_DOCKER_NAMES = dict(zip(VARIABLES, ("httpProxy", "httpsProxy", "ftpProxy", "allProxy"), strict=True))
_DOCKER_NO_PROXY = "noProxy"


@dataclass(frozen=True)
class Proxies:
    """Proxy URLs by their variables in capitals (HTTPS_PROXY); ``direct`` are the hosts of NO_PROXY."""

    urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    direct: tuple[str, ...] = ()

    def variables(self) -> dict[str, str]:
        """Variables for a program, in capitals and in lower case, because many programs read only one spelling."""
        named = dict(self.urls)
        if named and self.direct:
            named[NO_PROXY] = ",".join(self.direct)
        return named | {name.lower(): value for name, value in named.items()}

    def docker_entry(self) -> dict[str, str]:
        """An entry for ``proxies`` in a Docker client's ``config.json``."""
        found = {_DOCKER_NAMES[name]: url for name, url in self.urls.items()}
        return found | ({_DOCKER_NO_PROXY: ",".join(self.direct)} if found and self.direct else {})

    def secrets(self) -> set[str]:
        """The passwords, plain and as escaped in the URL; also user names without a password: they may be tokens."""
        logins = [login for url in self.urls.values() if (login := _LOGIN.match(url))]
        found = [login["password"] or login["user"] for login in logins]
        return {form for secret in found if secret for form in (secret, unquote(secret))}

    def without_logins(self) -> "Proxies":
        """The proxies without user names and passwords."""
        return replace(self, urls={name: _LOGIN.sub(r"\g<scheme>", url) for name, url in self.urls.items()})

    def for_containers(self) -> "Proxies":
        """Without proxies on loopback addresses, which in a container mean the container itself."""
        return replace(self, urls={name: url for name, url in self.urls.items() if not _is_loopback(url)})

    def with_direct(self, names: Iterable[str]) -> "Proxies":
        """The proxies, with NO_PROXY extended by these container names and loopback."""
        if "*" in self.direct:
            return self
        usable = (name for name in names if not re.search(r"[\s,]", name))
        return replace(self, direct=tuple(dict.fromkeys((*self.direct, *LOOPBACK, *usable))))


NO_PROXIES = Proxies()


def proxies_of(environment: Mapping[str, str]) -> Proxies:
    """The proxies in environment variables. If both spellings are set, lower case counts, as in curl.

    Raises ValueError with the name of a wrong variable, but not its value, which may contain a password.
    """
    found = {name: environment.get(name.lower()) or environment.get(name) or "" for name in VARIABLES}
    direct = environment.get(NO_PROXY.lower()) or environment.get(NO_PROXY) or ""
    return Proxies({name: _checked(name, url.strip()) for name, url in found.items() if url.strip()}, _split(direct))


def docker_proxies(config: Path, docker_host: str) -> Proxies:
    """The proxies for containers of this engine in a Docker client's ``config.json``; none if there is no such file.

    As in Docker, the entry of this engine counts, else ``default``.
    """
    try:
        proxies = json.loads(config.read_text())["proxies"]
        entry = {str(key): value for key, value in (proxies.get(docker_host) or proxies["default"]).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return NO_PROXIES
    urls = {name: str(entry[key]) for name, key in _DOCKER_NAMES.items() if entry.get(key)}
    return Proxies(urls, _split(str(entry.get(_DOCKER_NO_PROXY) or "")))


def _split(hosts: str) -> tuple[str, ...]:
    found = tuple(host for entry in hosts.split(",") if (host := entry.strip()))
    # Some programs understand `*` only if it is the only entry.
    return ("*",) if "*" in found else found


def _checked(name: str, url: str) -> str:
    """The URL with its scheme: programs take a bare ``host:port`` for an HTTP proxy."""
    url = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(url)
        good = parts.scheme.lower() in _SCHEMES and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        good = False
    if not good or " " in url:
        raise ValueError(f"{name} is not the URL of a proxy; write it as http://proxy.example.com:3128")
    return url


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url if "://" in url else f"http://{url}").hostname or ""
        return host in {"localhost", "::1"} or re.fullmatch(r"127(\.\d+){3}", host) is not None
    except ValueError:
        return False
