"""The log of a server process: one format for Headway's own lines and for those of the libraries, on standard error.

A line has the ids of what its thread works on, where they are known: ``run``, ``job``, ``attempt``, ``step``,
``delivery``, ``request``.
"""

import logging
import sys
from collections.abc import Sequence
from typing import Literal

import structlog
from structlog.stdlib import BoundLogger, LoggerFactory, ProcessorFormatter
from structlog.typing import EventDict, Processor

OWN_PACKAGES = ("pipelines", "runner", "web", "workers")
"""Their lines are shown from INFO on; those of libraries from WARNING on."""

LogFormat = Literal["auto", "text", "json"]


def configure_log(log_format: LogFormat = "auto") -> None:
    """Sends all lines of this process to standard error: time, level, text, and the values that belong to it.

    ``json``: an object on each line. ``auto`` is text.
    """
    as_json = log_format == "json"
    if as_json:
        time_of = structlog.processors.TimeStamper("iso", utc=True)
    else:
        time_of = structlog.processors.TimeStamper("%Y-%m-%d %H:%M:%S", utc=False)
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name if as_json else _nothing_more,
        time_of,
    ]
    structlog.configure(
        processors=[*common, ProcessorFormatter.wrap_for_formatter],
        logger_factory=LoggerFactory(),
        wrapper_class=BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[_on_one_line, *common],
            processors=[ProcessorFormatter.remove_processors_meta, *(_json() if as_json else _text())],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in OWN_PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


def _text() -> Sequence[Processor]:
    # Values in quotes, with escapes: they may come from outside, and a line stays one line.
    renderer = structlog.dev.ConsoleRenderer(
        pad_event_to=0,
        colors=sys.stderr.isatty(),
        repr_native_str=True,
        exception_formatter=structlog.dev.plain_traceback,
    )
    return (renderer,)


def _json() -> Sequence[Processor]:
    # ASCII, with escapes: what a program reads line by line has no other line breaks. A traceback is one value.
    return (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())


def _nothing_more(_logger: object, _method: str, line: EventDict) -> EventDict:
    return line


def _on_one_line(_logger: object, _method: str, line: EventDict) -> EventDict:
    """A library's text: Celery's has line breaks."""
    line["event"] = " ".join(str(line["event"]).split("\n"))
    return line
