"""The HTTP client for forges: one request, and the answer."""

import json
import ssl
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_network

import httpx2

from runner.network.egress import NO_EGRESS_SETTINGS, EgressSettings
from runner.network.retry_after import asked_pause_s
from workers.forges.redirects import REDIRECTS_MAX, following
from workers.forges.status_request import Answer, Request

_CONNECT_S, _ANSWER_S = 3.0, 5.0
_ANSWER_BYTES_MAX = 65_536


def post(client: httpx2.Client, request: Request) -> Answer:
    """Sends the request. Raises httpx2.HTTPError or httpx2.InvalidURL where no server answers in time.

    Follows redirects with the same method and body, to the same scheme, host and port alone: the token is for no other.
    """
    url = request.url
    for _ in range(REDIRECTS_MAX):
        answer = _post(client, url, request)
        target = following(url, answer.status, answer.location)
        if not target:
            break
        url = target
    return answer


def _post(client: httpx2.Client, url: str, request: Request) -> Answer:
    with client.stream("POST", url, headers=dict(request.headers), json=dict(request.body)) as response:
        text = b""
        for part in response.iter_bytes():
            text += part
            if len(text) > _ANSWER_BYTES_MAX:
                break
        headers = response.headers
        said = _hidden(_said(text[:_ANSWER_BYTES_MAX]), request)
        pause_s = asked_pause_s(response.status_code, headers, datetime.now(UTC))
        return Answer(response.status_code, said, pause_s, _hidden(headers.get("location", ""), request), url)


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


def make_client(company: EgressSettings = NO_EGRESS_SETTINGS) -> httpx2.Client:
    """The HTTP client. It follows no redirects by itself: the token must not reach another host."""
    trusted = tls_context(company)
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


def tls_context(company: EgressSettings) -> ssl.SSLContext:
    """Trusts the private CA, if there is one, else what the library trusts by default."""
    return company.ca.tls_context() if company.ca else _public_tls()


@cache
def _public_tls() -> ssl.SSLContext:
    """What the library trusts by default. Reading the certificates takes longer than a request: once a process."""
    return httpx2.create_ssl_context(trust_env=False)


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
