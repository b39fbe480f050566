"""The WebSocket of a shell on a server: how it is opened, and a sentence for each way in which it is not."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, ProxyError
from websockets.http11 import Response

from runner.network.egress import EgressSettings
from runner.network.proxies import Proxies
from web.client.api import UnreachableError
from web.client.servers import Server
from workers.errors import StartError
from workers.forges.http import tls_context
from workers.shells.limits import MESSAGE_BYTES_MAX
from workers.shells.messages import Size

OPEN_S_MAX = 10.0
_PING_EVERY_S, _PING_ANSWER_S = 10.0, 20.0
_CLOSE_S = 2.0
_RECEIVED_BYTES_MAX = 4 * MESSAGE_BYTES_MAX
_SENTENCE_CHARACTERS_MAX = 2000
_AWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
# What a server answers that knows no such address, or that got the request as an ordinary one.
_NO_SOCKET = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.UPGRADE_REQUIRED})


class ShellConnection(connect):
    """Opens the WebSocket when it is entered. It follows no redirect: the token is for this server."""

    def __init__(self, server: Server, step_id: int, size: Size, company: EgressSettings) -> None:
        url = f"{server.url.replace('http', 'ws', 1)}/api/steps/{step_id}/shell"
        more: dict[str, Any] = {"ssl": tls_context(company)} if url.startswith("wss:") else {}
        super().__init__(
            f"{url}?{urlencode({'rows': size.rows, 'columns': size.columns})}",
            additional_headers={"authorization": f"Bearer {server.token}"},
            user_agent_header="headway",
            proxy=proxy_for(server.url, company.own),
            compression=None,
            open_timeout=OPEN_S_MAX,
            ping_interval=_PING_EVERY_S,
            ping_timeout=_PING_ANSWER_S,
            close_timeout=_CLOSE_S,
            max_size=_RECEIVED_BYTES_MAX,
            **more,
        )

    def process_redirect(self, exc: Exception) -> Exception | str:
        """The refusal itself."""
        return exc


def proxy_for(url: str, proxies: Proxies) -> str | None:
    """The proxy for a server: that of its scheme, else ALL_PROXY; None for a host in NO_PROXY."""
    parts = urlsplit(url)
    if any(_is_meant(parts, each) for each in proxies.direct):
        return None
    return proxies.urls.get(f"{parts.scheme.upper()}_PROXY") or proxies.urls.get("ALL_PROXY")


def _is_meant(server: SplitResult, entry: str) -> bool:
    """Whether an entry of NO_PROXY, a domain, an address or a network, has this server in it."""
    host, domain = server.hostname or "", entry.lower().lstrip("*.")
    if entry == "*" or (domain and (domain in {host, server.netloc.lower()} or host.endswith(f".{domain}"))):
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False


@contextmanager
def refusals(server: Server) -> Iterator[None]:
    """Turns what goes wrong while the WebSocket is opened into a StartError."""
    try:
        yield
    except InvalidStatus as error:
        raise _refused(server, error.response) from None
    except ProxyError as error:
        raise UnreachableError(f"{server.url} cannot be reached through the proxy: {_text(error)}") from None
    except (InvalidHandshake, InvalidURI) as error:
        raise StartError(_no_socket(server, _text(error))) from None
    except TimeoutError:
        raise UnreachableError(f"{server.url} has not answered within {OPEN_S_MAX:.0f} seconds.") from None
    except (OSError, UnicodeError) as error:
        raise UnreachableError(f"{server.url} cannot be reached: {_text(error)}") from None


def _refused(server: Server, answer: Response) -> StartError:
    status = answer.status_code
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        to = answer.headers.get("location", "another address")[:_SENTENCE_CHARACTERS_MAX]
        return StartError(f"{server.url} leads to {to}: name that address with --server.")
    if status == HTTPStatus.UNAUTHORIZED:
        return StartError(f"{server.url} does not accept the token. Log in: headway login {server.url}")
    try:
        sentence = str(json.loads(answer.body or b"")["error"])[:_SENTENCE_CHARACTERS_MAX]
    except (ValueError, KeyError, TypeError):
        sentence = ""
    if status in _NO_SOCKET or not sentence:
        return StartError(_no_socket(server, f"HTTP {status}."))
    return UnreachableError(sentence) if status in _AWAY else StartError(sentence)


def _no_socket(server: Server, why: str) -> str:
    return (
        f"{server.url} opens no WebSocket: {why} Either its version of Headway has no shells, or a proxy in between "
        'does not pass WebSockets on: see "nginx" in Headway\'s page about proxies (docs/running/proxy.md).'
    )


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{os.strerror(error.errno) if error.errno else error.strerror}."
    return f"{(str(error) or type(error).__name__).rstrip('.')}."
