"""The Jinja environment of an application, and how pages are rendered from templates."""

from functools import cache
from pathlib import Path
from typing import cast

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from pipelines.visible import visible
from web.operations.verdicts.verdict import instruction_error, short_message
from web.pages.bars import bars
from web.pages.filters import FILTERS, GLOBALS
from web.pages.run_titles import run_title

HERE = Path(__file__).parents[1]


@cache
def make_templates() -> Environment:
    """The environment: it escapes every value, also characters that hide or reorder others, and an unknown name in a
    template is an error.

    One for all applications of a process: it compiles each template once.
    """
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        FILTERS, bars=bars, run_title=run_title, short_message=short_message, instruction_error=instruction_error
    )
    env.globals.update(GLOBALS)
    return env


def _shown(value: object) -> object:
    """Values come from repositories, forges and users; what a template or a macro has made is ``Markup``."""
    return value if isinstance(value, Markup) else visible(str(value))


def page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """The template rendered with these values. ``user`` is None without a login."""
    env = cast("Environment", request.app.state.templates)
    return HTMLResponse(env.get_template(template).render({"user": None, "path": request.url.path, **values}), status)
