"""Lists of what an engine keeps, each with one request."""

import json
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from runner.docker.connection import Connection
from runner.docker.error_mapping import answer_message, classify_text
from runner.errors import with_prefix

CONFLICT_TRIES_MAX = 20
"""A request is sent this often where it fails because another job removes an image or a container meanwhile."""
_CONFLICT_PAUSE_S = 0.1
"""Between the later tries: an engine under load takes so long to remove something that many tries would all meet it."""
_AT_ONCE_TRIES = 3


def listed(connection: Connection, path: str, **query: str | Sequence[str] | Mapping[str, Sequence[str]]) -> Any:  # noqa: ANN401 - JSON
    """The engine's answer to a GET of a list. A mapping in ``query`` is sent as JSON. Raises StepError.

    The containerd store reads an image's content and a container's files after it has made the list, and the whole
    request fails if one of them was removed meanwhile: with status 404, or with 500 if it was a container.
    """
    texts = {key: json.dumps(value) if isinstance(value, Mapping) else value for key, value in query.items()}
    for number in range(CONFLICT_TRIES_MAX):
        if number >= _AT_ONCE_TRIES:
            time.sleep(_CONFLICT_PAUSE_S)
        status, body = connection.get(f"{path}?{urlencode(texts, doseq=True)}")
        if status == HTTPStatus.OK:
            return json.loads(body)
        words = answer_message(body)
        if status != HTTPStatus.NOT_FOUND and "not found" not in words:
            break
    raise with_prefix(classify_text(words), f"GET {path} failed with status {status}: ")
