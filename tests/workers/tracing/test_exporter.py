"""The exporter against a collector at the far end of a socket: what it sends, and that it never holds anything up."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from tests.support.collector import Collector, collecting, values
from tests.support.paths import ROOT
from workers.tracing.exporter import REPORT_EVERY_S, Seldom, SpanExporter, import_early, report_problem
from workers.tracing.span import Span, Trace

TRACE = Trace("0a1b2c3d", 7, 1_700_000_000_000)
RUN = Span("run team/app", TRACE.id, TRACE.root, 0, 1_000, 9_000, {"headway.run.number": 3}, "exit_code")
JOB = Span("job test", TRACE.id, TRACE.job(1, 1), TRACE.root, 2_000, 8_000)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        yield found


def sent(*spans: Span) -> SpanExporter:
    exporter = SpanExporter()
    exporter.send(*spans)
    exporter.close()
    return exporter


def test_spans_arrive_with_their_ids_times_and_attributes(collector: Collector) -> None:
    sent(JOB, RUN)
    assert [path for path, _, _ in collector.requests] == ["/v1/traces"]
    root, job = collector.named("run team/app"), collector.named("job test")
    assert {root.trace_id, job.trace_id} == {TRACE.id.to_bytes(16)}
    assert (root.span_id, root.parent_span_id) == (TRACE.root.to_bytes(8), b"")
    assert (job.span_id, job.parent_span_id) == (TRACE.job(1, 1).to_bytes(8), TRACE.root.to_bytes(8))
    assert (job.start_time_unix_nano, job.end_time_unix_nano) == (2_000, 8_000)
    assert values(root.attributes) == {"headway.run.number": 3}
    assert (root.status.code, root.status.message) == (2, "exit_code")
    assert job.status.code == 0


def test_the_service_is_headway_and_has_its_version(collector: Collector) -> None:
    sent(JOB)
    assert collector.resource["service.name"] == "headway"
    assert collector.resource["service.version"]


def test_the_standard_variables_name_service_resource_and_headers(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ci")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,service.version=7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20word")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    sent(JOB)
    wanted = {"service.name": "ci", "deployment.environment.name": "prod", "service.version": "7"}
    assert wanted.items() <= collector.resource.items()
    assert collector.requests[0][1]["authorization"] == "Bearer word"


@pytest.mark.parametrize("sampler", ["always_off", "traceidratio"])
def test_a_sampler_leaves_out_whole_traces(collector: Collector, monkeypatch: pytest.MonkeyPatch, sampler: str) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.0")
    sent(JOB, RUN)
    assert collector.spans == []


def test_a_collector_that_hangs_holds_up_neither_a_job_nor_the_end(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    collector.silent.set()
    sent(*[JOB] * 100)
    assert collector.requests == []
    assert "close-traces" in [thread.name for thread in threading.enumerate()], "it is left behind"


@pytest.mark.slow
def test_a_process_ends_while_the_collector_hangs(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    collector.silent.set()
    program = "from tests.workers.tracing.test_exporter import JOB, SpanExporter\nSpanExporter().send(JOB)"
    # The library itself would wait for half a minute, at least.
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=28)


def test_a_collector_that_is_away_is_one_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:word@127.0.0.1:1")
    with capture_logs() as lines:
        sent(JOB)
    assert len(lines) == 1, "the library has tried several times"
    assert lines[0]["event"] == "traces are lost"
    assert "word" not in lines[0]["problem"]


def test_what_the_library_says_is_repeated_after_a_while() -> None:
    now_s = [0.0]
    seldom = Seldom(lambda: now_s[0])
    with capture_logs() as lines:
        for at_s in (0.0, 1.0, REPORT_EVERY_S - 0.1, REPORT_EVERY_S, REPORT_EVERY_S + 1):
            now_s[0] = at_s
            seldom.handle(logging.LogRecord("x", logging.WARNING, "", 0, "away at %s", (at_s,), None))
    assert [line["problem"] for line in lines] == ["away at 0.0", f"away at {REPORT_EVERY_S}"]


def test_a_variable_that_the_library_refuses_is_one_line_and_no_error(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    exporter = SpanExporter()
    with capture_logs() as lines:
        exporter.send(JOB)
        exporter.send(JOB)
    # A thread of an exporter that another test has left may say something of its own.
    own = [line["problem"] for line in lines if "max_queue_size" in line["problem"]]
    assert len(own) == 1
    assert "Look at the OTEL_ variables" in own[0]
    assert collector.spans == []


def test_without_the_variables_nothing_is_sent_or_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    with capture_logs() as lines:
        report_problem()
        import_early()
        sent(JOB)
    assert lines == []


def test_a_process_says_at_its_start_why_it_sends_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
    with capture_logs() as lines:
        report_problem()
    assert [line["problem"][:20] for line in lines] == ["No traces are sent: "]
