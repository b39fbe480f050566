"""``/schema.json``: the JSON Schema of pipeline files, for editors. It needs no login."""

from functools import cache
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import Response

from pipelines.model.json_schema import schema_text

router = APIRouter(include_in_schema=False)


@cache
def _schema() -> tuple[bytes, dict[str, str]]:
    text = schema_text().encode()
    headers = {
        "etag": f'"{sha256(text).hexdigest()[:32]}"',
        "cache-control": "public, max-age=3600",
        # CORS: editors that are web pages may read it too.
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
    }
    return text, headers


@router.get("/schema.json")
def pipeline_schema(if_none_match: Annotated[str, Header()] = "") -> Response:
    """The schema, or 304 for a client that has it already."""
    text, headers = _schema()
    if headers["etag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type="application/schema+json")
