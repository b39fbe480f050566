"""Requests to a forge's API for connecting a repository: bounded in time and size, and to one host alone."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from workers.forges.redirects import REDIRECTS_MAX, following

ANSWER_BYTES_MAX = 1024 * 1024
ANSWER_S_MAX = 8.0
"""From the request to the last byte: a host that sends a byte now and then delays no one else."""
_SAID_CHARS_MAX = 200


class NoAnswerError(Exception):
    """The host does not answer, or not with anything that can be read. The sentence says why."""


@dataclass(frozen=True)
class ApiAnswer:
    """What the host answered. ``data`` is None where that is no JSON."""

    status: int
    data: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """The host did what it was asked for."""
        return self.status // 100 == 2  # noqa: PLR2004 - HTTP's successes

    @property
    def said(self) -> str:
        """The status, and the host's own words, if there are any."""
        found = self.data
        for name in ("error", "message"):
            found = found[name] if isinstance(found, dict) and name in found else found
        words = found if isinstance(found, str) else json.dumps(found) if found is not self.data else ""
        return f"{self.status} {' '.join(words.split())[:_SAID_CHARS_MAX]}".strip()


def call(
    client: httpx2.Client,
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: object = None,
    *,
    renamed: bool = False,
) -> ApiAnswer:
    """Sends one request, and follows redirects on the same host (see ``redirects``). Raises NoAnswerError.

    Of an answer that is too long only the status and the headers count.
    """
    deadline_s = time.monotonic() + ANSWER_S_MAX
    try:
        for _ in range(REDIRECTS_MAX):
            answer = _call(client, method, url, headers or {}, body, deadline_s)
            target = following(url, answer.status, answer.headers.get("location", ""), renamed=renamed)
            if not target:
                return answer
            url = target
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        said = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in said:
            said += "; if its certificate is from your company's own authority, name that in HEADWAY_CA_FILE"
        raise NoAnswerError(said) from None
    return answer


def _call(
    client: httpx2.Client, method: str, url: str, headers: Mapping[str, str], body: object, deadline_s: float
) -> ApiAnswer:  # fmt: skip
    content = None if body is None else json.dumps(body).encode()
    own = {"accept": "application/json", **({"content-type": "application/json"} if content else {}), **headers}
    with client.stream(method, url, headers=own, content=content) as response:
        text = b""
        for part in response.iter_bytes():
            text += part
            if len(text) > ANSWER_BYTES_MAX:
                text = b""
                break
            if time.monotonic() > deadline_s:
                raise NoAnswerError(f"its answer is not complete after {ANSWER_S_MAX:.0f} seconds")
        return ApiAnswer(response.status_code, _json(text), {k.lower(): v for k, v in response.headers.items()})


def _json(text: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
