"""Traces of real jobs, at a collector at the far end of a socket."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.state import State
from runner.docker.client import Engine
from tests.support.collector import Collector, collecting, values
from tests.support.working import FinishedRun, PushWorker
from workers.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

PIPELINE = """
services:
  - {name: db, image: busybox, commands: [sleep 60]}
steps:
  - name: show
    image: busybox
    environment:
      PLAIN: a-plain-value
      TOKEN: {from_secret: token}
    commands: [echo words-of-a-command]
  - {name: fails, image: busybox, commands: [exit 3]}
  - {name: left out, image: busybox, commands: [echo never]}
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def worker(
    settings: Settings, tmp_path: Path, collector: Collector, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PushWorker]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    made = PushWorker(settings.model_copy(update={"steps_reach_host": True}), tmp_path)
    yield made
    made.close()


def names(collector: Collector, worker: PushWorker) -> list[str]:
    worker.context.tracing.exporter.close()
    return sorted(span.name for span in collector.spans)


def test_a_run_is_one_trace_with_a_span_for_each_thing_that_takes_time(
    worker: PushWorker, collector: Collector
) -> None:
    worker.secret("token", "a-very-secret-token")
    done: FinishedRun = worker.runs(PIPELINE)
    assert done.run.state is State.FAILED
    found = names(collector, worker)
    wanted = {"run acme/roof", "queue", "fetch", "plan", "checkout", "create db", "create show", "create fails"}
    job = next(name for name in found if name.startswith("job"))
    assert wanted | {job, "step show", "step fails"} <= set(found)
    assert "step left out" not in found
    assert len({span.trace_id for span in collector.spans}) == 1
    root = collector.named("run acme/roof")
    own = collector.named(job)
    assert own.parent_span_id == root.span_id
    for name in ("plan", "checkout", "create db", "create show", "step show", "step fails"):
        assert collector.named(name).parent_span_id == own.span_id, name
    assert collector.named("step fails").status.message == "exit_code"
    assert values(collector.named("step fails").attributes)["process.exit.code"] == 3
    assert root.start_time_unix_nano <= own.start_time_unix_nano <= own.end_time_unix_nano <= root.end_time_unix_nano
    _holds_nothing_that_is_said(collector)


def _holds_nothing_that_is_said(collector: Collector) -> None:
    sent = b"".join(body for _, _, body in collector.requests)
    for word in ("a-very-secret-token", "a-plain-value", "words-of-a-command", "exit 3", "PLAIN", "TOKEN"):
        assert word.encode() not in sent, word


def test_a_name_that_contains_a_secret_is_masked(worker: PushWorker, collector: Collector) -> None:
    worker.secret("token", "a-very-secret-token")
    secret = "environment: {T: {from_secret: token}}"
    worker.runs(f"steps:\n  - {{name: a-very-secret-token, image: busybox, {secret}, commands: ['true']}}\n")
    created = [name for name in names(collector, worker) if name.startswith("create")]
    assert created
    assert not [name for name in created if "secret" in name]


def test_a_pull_is_a_span_and_its_failure_has_no_text(worker: PushWorker, collector: Collector) -> None:
    image = "127.0.0.1:1/no/such-image:1"
    quick = worker.context.settings.model_copy(update={"registry_retry_s": 0})
    worker.context = replace(worker.context, settings=quick)
    worker.runs(f"steps:\n  - {{name: a, image: '{image}', commands: ['true']}}\n")
    assert f"pull {image}" in names(collector, worker)
    assert {span.status.code for span in collector.spans if span.name.startswith("pull")} == {2}
    assert b"refused" not in b"".join(body for _, _, body in collector.requests)


def test_a_collector_that_hangs_delays_no_job(worker: PushWorker, collector: Collector) -> None:
    collector.silent.set()
    try:
        done = worker.runs("steps:\n  - {name: a, image: busybox, commands: ['true']}\n")
    finally:
        collector.silent.clear()
        collector.resume.set()
    assert done.run.state is State.PASSED
