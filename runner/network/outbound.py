"""HTTP requests to servers that a repository names: each address is checked, and it is the one that is connected to."""

import base64
import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

REDIRECTS_MAX = 5
TIMEOUT_S = 60
"""Of each wait for the server: to connect, and to send or get some bytes."""
_CONNECT_BYTES_MAX = 16 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}


class ClosedAddressError(Exception):
    """A request, or a redirect of its server, leads to an address that is not asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


@dataclass(frozen=True)
class Outbound:
    """``is_closed`` says of an address whether it is not asked, and ``is_closed_host`` of a host's IP address.

    ``variables`` are those for proxies, and ``GIT_SSL_CAINFO``.
    """

    is_closed: Callable[[str], bool]
    is_closed_host: Callable[[str], bool]
    is_own: Callable[[str], bool]
    variables: Mapping[str, str] = field(default_factory=dict)

    def open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> http.client.HTTPResponse:
        """The answer, whose content is not read yet; redirects are followed. Credentials go to their own origin alone.

        Raises ClosedAddressError, OSError and http.client.HTTPException.
        """
        sent = dict(headers)
        for _ in range(REDIRECTS_MAX + 1):
            response = self._once(method, url, sent, body)
            location = response.getheader("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            response.close()
            new = urljoin(url, location)
            if url.startswith("https:") and not new.startswith("https:"):
                raise ClosedAddressError(new)
            if _origin(new) != _origin(url):
                sent = {name: value for name, value in sent.items() if name.lower() not in {"authorization", "cookie"}}
            url = new
        raise OSError(f"more than {REDIRECTS_MAX} redirects")

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> http.client.HTTPResponse:  # fmt: skip
        if not url.startswith(("http://", "https://")) or self.is_closed(url):
            raise ClosedAddressError(url)
        parts = urlsplit(url)
        sent = {"Host": _host_and_port(parts), "Connection": "close", **headers}
        if parts.username is not None:
            sent["Authorization"] = _basic(parts)
        target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        proxy = self._proxy(parts)
        if proxy and parts.scheme == "http":
            target = parts._replace(netloc=_host_and_port(parts), fragment="").geturl()
            if proxy.username is not None:
                sent["Proxy-Authorization"] = _basic(proxy)
        if body is not None:
            sent["Content-Length"] = str(len(body))
        connection = http.client.HTTPConnection(parts.hostname or "", timeout=TIMEOUT_S)
        # Closed behind this block, it stays open for the response alone, until that is closed.
        with self._dialed(url, parts, proxy) as connection.sock:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            return connection.getresponse()

    def _proxy(self, parts: SplitResult) -> SplitResult | None:
        found = self.variables.get(f"{parts.scheme}_proxy") or self.variables.get("all_proxy")
        if not found or _is_direct(parts, self.variables.get("no_proxy", "")):
            return None
        proxy = urlsplit(found)
        if proxy.scheme not in _PORTS:
            raise OSError(f"a proxy of the kind {proxy.scheme} is not used for this; set an HTTP proxy in HTTPS_PROXY")
        return proxy

    def _dialed(self, url: str, parts: SplitResult, proxy: SplitResult | None) -> socket.socket:
        """A connection whose other end is the server, or for http:// its proxy."""
        if proxy:
            connected = self._tls(_connected([proxy.hostname or ""], _port(proxy)), proxy)
            if parts.scheme == "http":
                return connected
            try:
                _tunnel(connected, parts, proxy)
            except BaseException:
                connected.close()
                raise
            return self._tls(connected, parts)
        return self._tls(_connected(self._addresses(url, parts), _port(parts)), parts)

    def _addresses(self, url: str, parts: SplitResult) -> list[str]:
        """The addresses of the host. They are checked once more here: its name server may say something else by now."""
        found = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not self.is_own(url) and any(map(self.is_closed_host, addresses)):
            raise ClosedAddressError(url)
        return addresses

    def _tls(self, connected: socket.socket, parts: SplitResult) -> socket.socket:
        if parts.scheme != "https":
            return connected
        context = ssl.create_default_context(cafile=self.variables.get("GIT_SSL_CAINFO"))
        try:
            return context.wrap_socket(connected, server_hostname=parts.hostname)
        except BaseException:
            connected.close()
            raise


def _is_direct(parts: SplitResult, no_proxy: str) -> bool:
    """Whether ``NO_PROXY`` has the host, or a domain above it."""
    names = {(parts.hostname or "").lower(), _host_and_port(parts).lower()}
    entries = [entry.strip().lower().removeprefix("*").lstrip(".") for entry in no_proxy.split(",")]
    return no_proxy.strip() == "*" or any(
        name == entry or name.endswith(f".{entry}") or _is_within(name, entry)
        for entry in entries
        if entry
        for name in names
    )


def _is_within(name: str, network: str) -> bool:
    try:
        return "/" in network and ip_address(name) in ip_network(network, strict=False)
    except ValueError:
        return False


def _connected(addresses: list[str], port: int) -> socket.socket:
    trouble = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), TIMEOUT_S)
        except OSError as error:
            trouble = error
    raise trouble


def _tunnel(connected: socket.socket, parts: SplitResult, proxy: SplitResult) -> None:
    where = f"{_host_and_port(parts._replace(scheme=''))}"
    where = where if parts.port else f"{where}:{_port(parts)}"
    login = f"Proxy-Authorization: {_basic(proxy)}\r\n" if proxy.username is not None else ""
    connected.sendall(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n{login}\r\n".encode())
    said = b""
    while b"\r\n\r\n" not in said and len(said) < _CONNECT_BYTES_MAX:
        more = connected.recv(1)
        if not more:
            break
        said += more
    words = said.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) < 2 or words[1] != b"200":  # noqa: PLR2004 - the version and the status
        raise OSError("the proxy opens no connection to it")


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", _port(parts)


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS.get(parts.scheme, 0)


def _host_and_port(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{host}:{parts.port}" if parts.port else host


def _basic(parts: SplitResult) -> str:
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
