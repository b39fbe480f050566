"""The log of a server process: one format for Headway's own lines and for those of the libraries, on standard error."""

import logging
import sys

import structlog
from structlog.stdlib import BoundLogger, LoggerFactory, ProcessorFormatter
from structlog.typing import EventDict, Processor

OWN_PACKAGES = ("pipelines", "runner", "web", "workers")
"""Their lines are shown from INFO on; those of libraries from WARNING on."""


def configure_log() -> None:
    """Sends all lines of this process to standard error: time, level, text, and the values that belong to it."""
    common: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper("%Y-%m-%d %H:%M:%S", utc=False),
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
            processors=[
                ProcessorFormatter.remove_processors_meta,
                # Values in quotes, with escapes: they may come from outside, and a line stays one line.
                structlog.dev.ConsoleRenderer(
                    pad_event_to=0,
                    colors=sys.stderr.isatty(),
                    repr_native_str=True,
                    exception_formatter=structlog.dev.plain_traceback,
                ),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in OWN_PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


def _on_one_line(_logger: object, _method: str, line: EventDict) -> EventDict:
    """A library's text: Celery's has line breaks."""
    line["event"] = " ".join(str(line["event"]).split("\n"))
    return line
