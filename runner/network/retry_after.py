"""The pause that a server asks for before the next request: ``Retry-After``, and the rate limits of forges."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

ASKED_PAUSE_S_MAX = 3_600
_PAUSE_WITHOUT_RESET_S = 900
_DIGITS_MAX = 15
_FORBIDDEN, _TOO_MANY_REQUESTS, _BUSY = 403, 429, 503


def asked_pause_s(status: int, headers: Mapping[str, str], now: datetime) -> int:
    """The pause that an answer asks for, 0 where it asks for none; names of headers are in lower case.

    GitHub uses status 403 for its rate limit too.
    """
    if status not in {_FORBIDDEN, _TOO_MANY_REQUESTS, _BUSY}:
        return 0
    asked = headers.get("retry-after", "")
    if not asked and headers.get("x-ratelimit-remaining") == "0":
        reset_s = _number(headers.get("x-ratelimit-reset", ""))
        seconds = _PAUSE_WITHOUT_RESET_S if reset_s is None else reset_s - int(now.timestamp())
    else:
        asked_s = _number(asked)
        seconds = _until(asked, now) if asked_s is None else asked_s
    return max(0, min(seconds, ASKED_PAUSE_S_MAX))


def _number(text: str) -> int | None:
    # Python's int() refuses digits such as the superscript two, and numbers of very many digits.
    return int(text[:_DIGITS_MAX]) if text.isascii() and text.isdigit() else None


def _until(date: str, now: datetime) -> int:
    try:
        return int((parsedate_to_datetime(date) - now).total_seconds())
    except (ValueError, TypeError):
        return 0
