"""The HTTP client for forges: one request, and the answer."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_network

import httpx2

from runner.network.egress import NO_EGRESS_SETTINGS, EgressSettings
from workers.forges.status_request import Answer, Request

_CONNECT_S, _ANSWER_S = 3.0, 5.0
_ANSWER_BYTES_MAX = 65_536
_ASKED_PAUSE_S, _ASKED_PAUSE_S_MAX = 900, 3_600
_DIGITS_MAX = 15
_FORBIDDEN, _TOO_MANY_REQUESTS, _BUSY = 403, 429, 503


def post(client: httpx2.Client, request: Request) -> Answer:
    """Sends the request. Raises httpx2.HTTPError or httpx2.InvalidURL where no server answers in time."""
    with client.stream("POST", request.url, headers=dict(request.headers), json=dict(request.body)) as response:
        text = b""
        for part in response.iter_bytes():
            text += part
            if len(text) > _ANSWER_BYTES_MAX:
                break
        headers = response.headers
        said = _hidden(_said(text[:_ANSWER_BYTES_MAX]), request)
        pause_s = _asked_pause_s(response.status_code, headers, datetime.now(UTC))
        return Answer(response.status_code, said, pause_s, _hidden(headers.get("location", ""), request))


def _hidden(text: str, request: Request) -> str:
    """The text without the token, which an unknown server may send back."""
    for value in request.headers.values():
        text = text.replace(value.rpartition(" ")[2], "***")
    return text


def _said(body: bytes) -> str:
    """The error message in a forge's answer: usually the field ``message`` or ``error`` of its JSON."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    for name in ("error", "message"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    return found if isinstance(found, str) else json.dumps(found)


def _asked_pause_s(status: int, headers: Mapping[str, str], now: datetime) -> int:
    """The pause that a rate limit asks for, 0 where there is none. GitHub uses status 403 for it too."""
    if status not in {_FORBIDDEN, _TOO_MANY_REQUESTS, _BUSY}:
        return 0
    asked = headers.get("retry-after", "")
    if not asked and headers.get("x-ratelimit-remaining") == "0":
        reset_s = _number(headers.get("x-ratelimit-reset", ""))
        seconds = _ASKED_PAUSE_S if reset_s is None else reset_s - int(now.timestamp())
    else:
        asked_s = _number(asked)
        seconds = _until(asked, now) if asked_s is None else asked_s
    return max(0, min(seconds, _ASKED_PAUSE_S_MAX))


def _number(text: str) -> int | None:
    # Python's int() refuses digits such as the superscript two, and numbers of very many digits.
    return int(text[:_DIGITS_MAX]) if text.isascii() and text.isdigit() else None


def _until(date: str, now: datetime) -> int:
    try:
        return int((parsedate_to_datetime(date) - now).total_seconds())
    except (ValueError, TypeError):
        return 0


def make_client(company: EgressSettings = NO_EGRESS_SETTINGS) -> httpx2.Client:
    """The HTTP client. It follows no redirects: the token must not reach another host."""
    trusted = company.ca.tls_context() if company.ca else True
    proxies = {} if "*" in company.own.direct else company.own.urls
    routes: dict[str, httpx2.BaseTransport | None] = {
        f"{name.partition('_')[0].lower()}://": httpx2.HTTPTransport(verify=trusted, proxy=url)
        for name, url in proxies.items()
        if url.lower().startswith(("http://", "https://"))  # SOCKS would need another library
    }
    routes |= dict.fromkeys(filter(_is_pattern, map(_pattern, company.own.direct)))
    timeout = httpx2.Timeout(_ANSWER_S, connect=_CONNECT_S)
    return httpx2.Client(
        timeout=timeout, headers={"user-agent": "headway"}, trust_env=False, verify=trusted, mounts=routes
    )


def _pattern(host: str) -> str:
    """An entry of NO_PROXY in httpx2's form: an address, a network, or a domain with its subdomains."""
    bare = host.replace("[", "").replace("]", "")
    try:
        network = ip_network(bare, strict=False)
    except ValueError:
        return f"all://*{host.removeprefix('*')}"
    address, _, bits = bare.partition("/")
    address = f"[{address}]" if network.version == 6 else address  # noqa: PLR2004 - IPv6
    return f"all://{address}/{bits}" if bits else f"all://{address}"


def _is_pattern(text: str) -> bool:
    """False for an entry that is no valid pattern: it is ignored, as other programs do."""
    try:
        httpx2.URL(text)
    except httpx2.InvalidURL:
        return False
    return True
