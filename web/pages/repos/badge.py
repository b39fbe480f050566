"""The badge of a branch as SVG. It needs no login, and may be kept by caches for a minute."""

from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from pipelines.state import State
from web.operations.repos.badges import Badge, badge_of
from web.services import ServicesDep

CACHED_S = 60
_LEFT, _CHAR, _PAD = 37, 7, 12
_COLORS = {State.PASSED: "#1a7a43", State.FAILED: "#c22431", State.BROKEN: "#96500a", None: "#656c78"}
_SVG = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="build: {word}">'
    '<title>build: {word}</title><clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>'
    '<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#3b4149"/>'
    '<rect x="{left}" width="{right}" height="20" fill="{color}"/></g>'
    '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
    '<text x="{left_middle}" y="14">build</text><text x="{right_middle}" y="14">{word}</text></g></svg>'
)

router = APIRouter(include_in_schema=False)


@router.get("/badges/{link}")
def badge(
    request: Request,
    services: ServicesDep,
    link: str,
    branch: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """The badge of the branch, or of the default branch."""
    body = drawn(badge_of(services, link, branch.strip()))
    tag = f'"{sha256(body.encode()).hexdigest()[:16]}"'
    headers = {"cache-control": f"public, max-age={CACHED_S}", "etag": tag}
    headers["cross-origin-resource-policy"] = "cross-origin"  # READMEs are on other sites
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="image/svg+xml", headers=headers)


def drawn(shown: Badge) -> str:
    """The picture."""
    right = len(shown.word) * _CHAR + _PAD
    middles = {"left_middle": f"{_LEFT / 2:g}", "right_middle": f"{_LEFT + right / 2:g}"}
    color = _COLORS[shown.state]
    return str(_SVG.format(width=_LEFT + right, left=_LEFT, right=right, word=shown.word, color=color, **middles))
