"""The address of a Docker Engine: its kinds, and how it is parsed."""

import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from os import getuid
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pipelines.state import Reason
from runner.errors import MachineError

DEFAULT_SOCKET = "/var/run/docker.sock"
PORT, TLS_PORT = 2375, 2376


@dataclass(frozen=True)
class UnixSocket:
    """A socket on this machine."""

    path: str

    def __str__(self) -> str:
        return f"unix://{self.path}"


@dataclass(frozen=True)
class Tls:
    """A folder with ca.pem and, if the engine requires a client certificate, cert.pem and key.pem."""

    folder: Path
    verify: bool = True


@dataclass(frozen=True)
class Tcp:
    """A TCP port, with or without TLS. An IPv6 address has no brackets here."""

    host: str
    port: int
    tls: Tls | None = None

    def __str__(self) -> str:
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"


@dataclass(frozen=True)
class Ssh:
    """A machine reached with ssh, which runs ``docker system dial-stdio``. ``socket`` is empty for the default one."""

    host: str
    user: str = ""
    port: int | None = None
    socket: str = ""

    def __str__(self) -> str:
        user, port = f"{self.user}@" if self.user else "", f":{self.port}" if self.port else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{user}{host}{port}{self.socket}"


Address = UnixSocket | Tcp | Ssh


@dataclass(frozen=True)
class Endpoint:
    """An engine's address and the setting that it comes from; ``source`` is empty for the default."""

    address: Address
    source: str = ""

    def __str__(self) -> str:
        return f"{self.address} ({self.source})" if self.source else str(self.address)


def bad_endpoint(message: str) -> MachineError:
    """The error for a wrong setting of the engine's address or certificates."""
    return MachineError(Reason.ENGINE_GONE, message)


def home_folder(environment: Mapping[str, str]) -> Path:
    """The user's home folder."""
    return Path(environment.get("HOME") or pwd.getpwuid(getuid()).pw_dir)


def config_folder(environment: Mapping[str, str]) -> Path:
    """The folder of the docker command's configuration."""
    return Path(environment.get("DOCKER_CONFIG") or home_folder(environment) / ".docker")


def parse_address(text: str, source: str, tls: Tls | None) -> Address:
    """Parses the address ``text``, which comes from the setting ``source``. Raises MachineError if it is wrong."""
    text = text.strip()
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "tcp", text
    match scheme:
        case "unix":
            return UnixSocket(rest or DEFAULT_SOCKET)
        case "tcp":
            return _tcp(text, rest, source, tls)
        case "ssh":
            return _ssh(text, source)
        case "npipe":
            hint = "that is a Windows pipe; Headway runs on Linux, on macOS and in WSL 2"
            raise bad_endpoint(f"{source} is {text!r}: {hint}")
        case _:
            pass
    hint = "write unix:///path/to/docker.sock, tcp://host:2376 or ssh://user@host"
    raise bad_endpoint(f"{source} is {text!r}: Docker does not know the scheme {scheme}://; {hint}")


def _tcp(text: str, rest: str, source: str, tls: Tls | None) -> Tcp:
    if rest.startswith("/"):
        raise bad_endpoint(f"{source} is {text!r}; for a socket write unix://{rest}")
    where = urlsplit(f"//{rest}")
    host, port = _host_and_port(where, text, source)
    if where.path.strip("/"):
        raise bad_endpoint(f"{source} is {text!r}; after tcp:// write only a host and a port")
    return Tcp(host or "localhost", port or (TLS_PORT if tls else PORT), tls)


def _ssh(text: str, source: str) -> Ssh:
    where = urlsplit(text)
    host, port = _host_and_port(where, text, source)
    if where.password is not None:
        raise bad_endpoint(f"{source} contains a password, which ssh does not accept in an address: use a key")
    if not host:
        raise bad_endpoint(f"{source} is {text!r}, which has no host: write ssh://user@host")
    return Ssh(host, where.username or "", port, where.path.rstrip("/"))


def _host_and_port(where: SplitResult, text: str, source: str) -> tuple[str, int | None]:
    try:
        host, port = where.hostname or "", where.port
    except ValueError:
        hint = "write host:port, and an IPv6 address in brackets, as in tcp://[::1]:2376"
        raise bad_endpoint(f"{source} is {text!r}, which is not a host with a port; {hint}") from None
    if where.query or where.fragment:
        raise bad_endpoint(f"{source} is {text!r}; nothing may follow the port")
    return host, port
