"""Sends spans to a collector, from a thread of the library's: a bounded queue, timeouts, and what does not fit is lost.

The one module that loads OpenTelemetry, and only where the environment asks for traces.
"""

import logging
import os
import time
from collections.abc import Callable
from importlib import import_module
from math import inf
from threading import Lock, Thread, local
from typing import TYPE_CHECKING, Any

import structlog

from workers.tracing.span import Span
from workers.tracing.wanted import wanted

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

CLOSE_S_MAX = 2.0
"""For so long a process that ends waits until its last spans are sent."""
REPORT_EVERY_S = 300.0
_NAME = "headway"
_MODULES = (
    "opentelemetry.sdk.trace",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
)

_log = structlog.get_logger()


class Seldom(logging.Handler):
    """Takes the library's own lines, of which there are many while a collector is away, and says one in a while."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._monotonic_s = monotonic_s
        self._said_s = -inf

    def emit(self, record: logging.LogRecord) -> None:
        if self._monotonic_s() - self._said_s >= REPORT_EVERY_S:
            self._said_s = self._monotonic_s()
            _log.warning("traces are lost", problem=record.getMessage())


def report_problem() -> None:
    """Says once, at the start of a process, why no traces are sent though the environment asks for them."""
    if problem := wanted(os.environ).problem:
        _log.warning("traces", problem=problem)


def import_early() -> None:
    """Before a fork: the children then share the library's memory. Does nothing where no traces are sent."""
    if wanted(os.environ).on:
        for name in _MODULES:
            import_module(name)


class SpanExporter:
    """Sends spans that have ended. Opened at the first one, so in the process that has it; from any thread."""

    def __init__(self) -> None:
        self.on = wanted(os.environ).on
        self._lock = Lock()
        self._ids = _NextIds()
        self._provider: TracerProvider | None = None

    def send(self, *spans: Span) -> None:
        """Returns at once, and raises nothing: a trace is worth no job."""
        if not self.on:
            return
        try:
            provider = self._opened()
            for span in spans:
                _send(provider, self._ids, span)
        except Exception as error:  # noqa: BLE001 - whatever the library raises, for a wrong variable for example
            self.on = False
            _log.warning("traces", problem=f"No traces are sent: {error}. Look at the OTEL_ variables.")

    def close(self) -> None:
        """Sends what waits, for ``CLOSE_S_MAX`` at most."""
        if provider := self._provider:
            closing = Thread(target=provider.shutdown, name="close-traces", daemon=True)
            closing.start()
            closing.join(CLOSE_S_MAX)

    def _opened(self) -> "TracerProvider":
        with self._lock:
            if self._provider is None:
                self._provider = _open(self._ids)
            return self._provider


class _NextIds(local):
    """The library's source of ids: gives those of the span that this thread is about to make."""

    trace_id = span_id = 1

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id

    def is_trace_id_random(self) -> bool:
        return True


def _open(ids: _NextIds) -> "TracerProvider":
    from importlib.metadata import version  # noqa: PLC0415 - only here, where traces are sent

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    theirs = logging.getLogger("opentelemetry")
    theirs.handlers, theirs.propagate = [Seldom()], False
    given = Resource.create()
    ours: dict[str, str] = {}
    if str(given.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        ours[SERVICE_NAME] = _NAME
    if SERVICE_VERSION not in given.attributes:
        ours[SERVICE_VERSION] = version("headway")
    provider = TracerProvider(
        resource=given.merge(Resource(ours)),
        id_generator=ids,  # type: ignore[arg-type]  # has its methods; its class would have to be imported for all
        shutdown_on_exit=False,  # it would wait for half a minute
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _send(provider: "TracerProvider", ids: _NextIds, span: Span) -> None:
    from opentelemetry import trace  # noqa: PLC0415 - only here, where traces are sent
    from opentelemetry.sdk.trace.sampling import Decision  # noqa: PLC0415

    # By the trace alone: all processes decide alike.
    if provider.sampler.should_sample(None, span.trace_id, "run").decision is Decision.DROP:
        return
    ids.trace_id, ids.span_id = span.trace_id, span.id
    above: Any = trace.INVALID_SPAN_CONTEXT
    if span.parent:
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        above = trace.SpanContext(span.trace_id, span.parent, is_remote=True, trace_flags=flags)
    context = trace.set_span_in_context(trace.NonRecordingSpan(above))
    made = provider.get_tracer(_NAME).start_span(
        span.name, context, start_time=span.start_ns, attributes=dict(span.attributes)
    )
    if span.failure:
        made.set_status(trace.StatusCode.ERROR, span.failure)
    made.end(max(span.start_ns, span.end_ns))
