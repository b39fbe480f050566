"""Templates, made once for an application."""

import re
from pathlib import Path
from typing import cast

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from web.views import FILTERS, GLOBALS

HERE = Path(__file__).parent
# Colours, cursor movements and titles; what is left is readable without a terminal.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def make_templates() -> Environment:
    """The environment: everything is escaped, and an unknown name is an error."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(FILTERS)
    env.globals.update(GLOBALS)
    return env


def page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """The template with these values. ``me`` is None where nobody is logged in."""
    env = cast("Environment", request.app.state.templates)
    return HTMLResponse(env.get_template(template).render({"me": None, "path": request.url.path, **values}), status)


def plain_lines(data: bytes) -> list[str]:
    """A log's lines as text without colours; of a line that was overwritten with ``\\r`` the last state."""
    lines = data.decode(errors="replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    return [_ESCAPES.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines]
