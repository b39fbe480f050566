"""What the values of settings may be. Each function returns its value, or raises ValueError with a sentence's end."""

import math
import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_-]{1,63})*\.?")
_HOST_CHARS_MAX = 253
_PORT_MAX = 65_535
_SHOWN_CHARS_MAX = 20
_REDIS_OPTIONS = frozenset({"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"})
MEMORY_BYTES_MIN = 6 * 1024**2
"""The Docker Engine allows a container no less."""
CPUS_MIN = 0.01
METRICS_TOKEN_CHARS_MIN = 16


def database_address(url: str) -> str:
    """The address of an SQLite file or of PostgreSQL; empty for the default."""
    if not url:
        return url
    parts = _split(url)
    if parts.scheme == "sqlite":
        if not re.fullmatch(r"sqlite:///[^?#]+", url) or ":memory:" in url:
            raise ValueError("an SQLite database is a file: write sqlite:////path/to/headway.db")
        return url
    if parts.scheme not in {"postgresql+psycopg", "postgresql", "postgres"}:
        raise ValueError(
            f"{_what_of(url)}; write postgresql+psycopg://user@host:5432/name, or sqlite:////path/to/headway.db"
        )
    if not parts.path.strip("/") and not parts.query:
        raise ValueError("it names no database; write postgresql+psycopg://user@host:5432/name")
    return url


def redis_address(url: str) -> str:
    """The address of a Redis."""
    parts = _split(url)
    if parts.scheme not in {"redis", "rediss"}:
        raise ValueError(f"{_what_of(url)}; write redis://host:6379/0, or rediss:// for TLS")
    if not parts.hostname:
        raise ValueError("it names no host; write redis://host:6379/0")
    if unknown := set(parse_qs(parts.query)) - _REDIS_OPTIONS:
        raise ValueError(f"{min(unknown)} is no option of it; there are {', '.join(sorted(_REDIS_OPTIONS))}")
    if not re.fullmatch(r"/?[0-9]*", parts.path):
        raise ValueError("after the port comes the number of a database: write redis://host:6379/0")
    return url


def web_address(url: str) -> str:
    """The address at which browsers reach this server; empty for the default."""
    if not url:
        return url
    parts = _split(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{_what_of(url)}; write http://host:port or https://host")
    _check_host(parts.hostname)
    if parts.username is not None or parts.query or parts.fragment or parts.path.strip("/"):
        raise ValueError("it is scheme, host and port alone; write http://host:port or https://host")
    return url


def listening_host(host: str) -> str:
    """A name or an address to listen on."""
    _check_host(host.strip("[]") if ":" in host else host)
    return host


def host_names(text: str) -> str:
    """Host names, comma-separated."""
    for part in text.replace(",", " ").split():
        _check_host(part)
    return text


def networks(text: str) -> str:
    """Addresses or networks, comma-separated."""
    for part in text.replace(",", " ").split():
        try:
            ip_network(part)
        except ValueError as error:
            raise ValueError(f"{error}; write addresses or networks, as in 127.0.0.1,10.0.0.0/8") from None
    return text


def engine_address(text: str) -> str:
    """The address of a Docker Engine; empty for the one that the docker command uses."""
    if not text:
        return text
    scheme = text.strip().partition("://")[0] if "://" in text else ""
    if scheme not in {"unix", "tcp", "ssh"} or any(char.isspace() for char in text.strip()):
        raise ValueError("write unix:///path/to/docker.sock, tcp://host:2376 or ssh://user@host")
    if scheme == "unix" and not text.strip().startswith("unix:///"):
        raise ValueError("write a socket with its whole path: unix:///path/to/docker.sock")
    if scheme != "unix" and (not (parts := _split(text.strip())).hostname or (scheme == "tcp" and parts.path)):
        raise ValueError("write a host and a port: tcp://host:2376 or ssh://user@host")
    return text


def printable(text: str) -> str:
    """A text of one line."""
    if not text.isprintable():
        raise ValueError("it has characters that cannot be printed; write one line of plain text")
    return text


def nothing_or_at_least(value: int, least: int) -> int:
    """0, or a number that is not too small."""
    if 0 < value < least:
        raise ValueError(f"write 0, or {least} at least")
    return value


def nothing_or_memory(value: int) -> int:
    """0, or memory that a container can be given."""
    if 0 < value < MEMORY_BYTES_MIN:
        raise ValueError(f"the Docker Engine gives a container no less than {MEMORY_BYTES_MIN:,} bytes; 0 is no limit")
    return value


def nothing_or_cpus(value: float) -> float:
    """0, or CPUs that a container can be given."""
    if not math.isfinite(value) or 0 < value < CPUS_MIN:
        raise ValueError(f"the Docker Engine gives a container no less than {CPUS_MIN} CPUs; 0 is no limit")
    return value


def a_path(path: Path) -> Path:
    """The path of a folder."""
    if not str(path) or str(path) == ".":
        raise ValueError("it is empty; write a path from the root, as in /var/lib/headway")
    if re.match(r"[a-z0-9+]+:/", str(path)) or str(path).startswith("~"):
        raise ValueError("it is no path; write one from the root, as in /var/lib/headway")
    return path


def no_folder(path: Path | str | None) -> Path | None:
    """A file that may be missing. Docker Compose passes a variable that is not set as empty: None."""
    if path and Path(path).is_dir():
        raise ValueError(f"{path} is a folder; write the path of a file")
    return Path(path) if path else None


def readable_file(what: str) -> Callable[[Path | str | None], Path | None]:
    """A check of a file that holds ``what``. Docker Compose passes a variable that is not set as empty: None."""

    def check(path: Path | str | None) -> Path | None:
        if not path:
            return None
        try:
            if not Path(path).read_bytes().decode().strip():
                raise ValueError(f"the file {path} is empty; write {what} into it")
        except OSError as error:
            raise ValueError(f"the file {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"the file {path} is no text in UTF-8; write {what} into it") from None
        return Path(path)

    return check


def _check_host(host: str) -> None:
    try:
        ip_address(host)
    except ValueError:
        if not _HOST_NAME.fullmatch(host) or len(host) > _HOST_CHARS_MAX:
            raise ValueError(f"{host!r} is no host; write a name or an address without scheme and path") from None


def _split(url: str) -> SplitResult:
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError as error:
        raise ValueError(f"it is no address ({error})") from None
    if port == 0 or any(char.isspace() for char in url):
        raise ValueError(f"it is no address: its port is 1 to {_PORT_MAX}, and it has no spaces")
    return found


def _what_of(url: str) -> str:
    scheme, found, _ = url.partition("://")
    return f"{scheme[:_SHOWN_CHARS_MAX]}:// is not possible here" if found and scheme else "it has no scheme"


def metrics_token(token: str) -> str:
    """A token that can be sent in a header, and is long enough; empty for none."""
    printable = token.isascii() and token.isprintable() and " " not in token
    if token and (len(token) < METRICS_TOKEN_CHARS_MIN or not printable):
        raise ValueError(
            f"use {METRICS_TOKEN_CHARS_MIN} letters and digits or more; openssl rand -hex 24 makes such a token"
        )
    return token
