"""Whether the environment asks for traces, by the variables that OpenTelemetry has for all programs."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import NamedTuple
from urllib.parse import urlsplit

_PROTOCOL = "http/protobuf"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_LIBRARY = "opentelemetry.exporter.otlp.proto.http"


class Wanted(NamedTuple):
    """Whether to send traces. ``problem`` says why not where the environment asks for them."""

    on: bool
    problem: str = ""


_NO = Wanted(on=False)


def wanted(environment: Mapping[str, str]) -> Wanted:
    """What the environment asks for. An empty variable counts as none, as OpenTelemetry has it."""
    endpoint = next(filter(None, (environment.get(name, "").strip() for name in _ENDPOINTS)), "")
    exporters = {word.strip() for word in environment.get("OTEL_TRACES_EXPORTER", "").split(",")} - {""}
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not endpoint or disabled or "none" in exporters:
        return _NO
    problem = _problem(environment, endpoint, exporters)
    return Wanted(on=not problem, problem=problem and f"No traces are sent: {problem}.")


def _problem(environment: Mapping[str, str], endpoint: str, exporters: set[str]) -> str:
    if exporters and "otlp" not in exporters:
        return "OTEL_TRACES_EXPORTER names another exporter than `otlp`, the only one that Headway has"
    for name in _PROTOCOLS:
        if protocol := environment.get(name, "").strip():
            if protocol != _PROTOCOL:
                return f"{name} is not `{_PROTOCOL}`, the only one that Headway sends; collectors take it on port 4318"
            break
    if not _is_address(endpoint):
        return "the endpoint in OTEL_EXPORTER_OTLP_ENDPOINT is no address such as http://collector:4318"
    if not _is_installed():
        return "the library for them is not installed. Run `pip install 'headway[otel]'`, or unset the OTEL_ variables"
    return ""


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_installed() -> bool:
    try:
        return find_spec(_LIBRARY) is not None
    except ImportError:
        return False
