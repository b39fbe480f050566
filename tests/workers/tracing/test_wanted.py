"""By the variables that OpenTelemetry has for all programs, traces are on or off, or cannot be sent."""

import subprocess
import sys
from collections.abc import Mapping

import pytest

from workers.tracing.wanted import wanted

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    "environment",
    [
        ENDPOINT,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://user:word@collector.example.com/v1/traces"},
        ENDPOINT | {"OTEL_SDK_DISABLED": "false"},
        ENDPOINT | {"OTEL_SDK_DISABLED": "yes"},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": "console, otlp"},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": ""},
        ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4318/"},
    ],
)
def test_an_endpoint_turns_them_on(environment: Mapping[str, str]) -> None:
    assert wanted(environment) == (True, "")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "  "},
        {"OTEL_SERVICE_NAME": "ci", "OTEL_EXPORTER_OTLP_HEADERS": "a=b"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318"},
        ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_one_they_are_off(environment: Mapping[str, str]) -> None:
    assert wanted(environment) == (False, "")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER names another exporter than `otlp`"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL is not `http/protobuf`"),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is not `http/protobuf`",
        ),
        *(
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": address}, "is no address such as http://collector:4318")
            for address in (
                "collector:4318",
                "ftp://collector",
                "http://",
                "http://collector:70000",
                "http://[::1",
                "x",
            )
        ),
    ],
)
def test_what_cannot_work_is_one_sentence(more: Mapping[str, str], said: str) -> None:
    on, problem = wanted({**ENDPOINT, **more})
    assert not on
    assert problem.startswith("No traces are sent: ")
    assert problem.endswith(".")
    assert said in problem


def test_a_wrong_endpoint_is_not_repeated_for_it_may_hold_a_password() -> None:
    assert "word" not in wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "user:word@collector"}).problem


@pytest.mark.slow
def test_without_the_variables_nothing_that_sends_traces_is_loaded() -> None:
    program = "import sys, workers.jobs.process.process as p, workers.scheduler.scheduler; p.share_memory()\n"
    # redis-py loads the part for metrics wherever it is installed.
    program += "of = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'google')\n"
    program += "print([name for name in sys.modules if name.startswith(of)])"
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_without_the_library_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['opentelemetry.exporter'] = None\nfrom workers.tracing.wanted import wanted\n"
    program += f"print(wanted({ENDPOINT!r}).problem)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'headway[otel]'" in done.stdout
