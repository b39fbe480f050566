"""Following attempts at jobs: times, takeovers, attempts without a verdict, and a database that is away."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from pipelines.state import PASSED, State
from runner import events
from runner.timing import untimed
from tests.support.builders import job_plan, plan, push
from tests.support.collector import Collector, collecting, values
from tests.workers.scheduler.conftest import SchedulerFixture
from workers import store
from workers.db.models import Step
from workers.db.session import make_engine, reading, transaction
from workers.scheduler.scheduler import Reaper
from workers.settings import Settings
from workers.store.jobs import leases
from workers.tracing.tracing import UNTRACED, Tracing, open_tracing


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        yield found


@pytest.fixture
def tracing(sqlite_database: Engine, collector: Collector) -> Tracing:
    return Tracing(sqlite_database, "0a1b", lambda repo, number: f"/{repo}/{number}")


@pytest.fixture
def claim(sqlite_database: Engine) -> leases.Claim:
    with transaction(sqlite_database) as session:
        repo = store.add_repo(session, store.NewRepo("team/app", "https://git.example.com/app")).id
        queued = store.queue_run(session, repo, push())
        claim = leases.claim(session, queued.job_id, "w-1/1", 60, "host-1")
        assert claim is not None
        store.plan_run(session, queued.job_id, claim.attempt, plan(job_plan("one")), lambda _: True)
    return claim


def finish(database: Engine, claim: leases.Claim) -> None:
    with transaction(database) as session:
        store.finish_job(session, claim.job_id, claim.attempt, PASSED)


def rows(database: Engine, claim: leases.Claim) -> dict[int, Step]:
    with reading(database) as session:
        return dict(store.steps_by_number(session, claim.job_id))


def test_a_job_that_is_given_back_has_a_span_that_says_so(
    tracing: Tracing, claim: leases.Claim, collector: Collector
) -> None:
    with tracing.job(claim) as timing, timing.timed("fetch", ""):
        pass
    tracing.exporter.close()
    own, fetch = collector.named("job"), collector.named("fetch")
    assert own.status.message == "given_back"
    assert fetch.parent_span_id == own.span_id
    assert own.start_time_unix_nano <= fetch.start_time_unix_nano


def test_an_error_of_the_job_passes_through_and_its_text_does_not(
    tracing: Tracing, claim: leases.Claim, collector: Collector
) -> None:
    with pytest.raises(OSError, match="words"), tracing.job(claim) as timing, timing.timed("pull", "busybox"):
        raise OSError("words of an error")
    tracing.exporter.close()
    assert collector.named("pull busybox").status.message == "OSError"
    assert b"words" not in collector.requests[0][2]


def test_a_process_that_takes_a_job_over_goes_on_with_its_spans(
    tracing: Tracing, sqlite_database: Engine, claim: leases.Claim, collector: Collector
) -> None:
    with transaction(sqlite_database) as session:
        store.start_step(session, claim.job_id, claim.attempt, 1)
    begun = rows(sqlite_database, claim)
    successor = replace(claim, attempt=2, takeovers=1)
    seen: list[events.Event] = []
    with tracing.job(successor) as timing:
        emit = timing.following(seen.append, begun)
        for event in (
            events.StepStarted(1), events.StepMeasured(1, 4096, 1.5, 0), events.StepFinished(1, PASSED),
            events.StepFinished(2, PASSED),
        ):  # fmt: skip
            emit(event)
    tracing.exporter.close()
    assert len(seen) == 4
    step = collector.named("step step-1")
    assert (
        values(step.attributes).items() >= {"headway.step.memory_peak_bytes": 4096, "headway.step.cpu_ms": 1500}.items()
    )
    assert step.start_time_unix_nano == (begun[1].started_ms or 0) * 1_000_000
    assert collector.named("job").span_id == step.parent_span_id
    assert "step step-2" not in [span.name for span in collector.spans], "it never started"


def test_times_are_the_databases(tracing: Tracing, sqlite_database: Engine, claim: leases.Claim) -> None:
    with tracing.job(claim) as timing:
        finish(sqlite_database, claim)
        trace = timing.trace
    assert trace is not None
    assert trace.given_back().start_ns <= trace.given_back().end_ns


def test_a_database_that_is_away_costs_the_spans_alone(
    collector: Collector, claim: leases.Claim, tmp_path: Path
) -> None:
    away = make_engine(f"sqlite:///{tmp_path}/empty.db")
    tracing = Tracing(away, "0a1b", lambda *_: "")
    with capture_logs() as lines, tracing.job(claim) as timing:
        assert timing.timed is untimed
    away.dispose()
    assert [line["event"] for line in lines] == ["a job has no trace"]
    assert not tracing.ended(claim.job_id)
    assert collector.spans == []


def test_a_run_that_was_deleted_has_no_trace(tracing: Tracing, claim: leases.Claim) -> None:
    with tracing.job(replace(claim, run_id=404, job_id=404)) as timing:
        assert timing.trace is None


def test_without_the_variables_nothing_asks_the_database(
    claim: leases.Claim, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    tracing = Tracing(None, "", lambda *_: "")  # type: ignore[arg-type]  # it is not touched
    with tracing.job(claim) as timing:
        assert timing == UNTRACED
        seen: list[events.Event] = []
        emit: Callable[[events.Event], None] = seen.append
        assert timing.following(emit, {}) == emit
    assert open_tracing(settings, None).installation == ""  # type: ignore[arg-type]


def test_a_process_that_ends_jobs_knows_the_installation(
    settings: Settings, sqlite_database: Engine, collector: Collector
) -> None:
    assert len(open_tracing(settings, sqlite_database).installation) == 8


def test_the_scheduler_sends_what_no_worker_can(
    sqlite_database: Engine, redis_url: str, tmp_path: Path, collector: Collector
) -> None:
    site = SchedulerFixture(sqlite_database, redis_url, tmp_path)
    tracing = Tracing(sqlite_database, "0a1b", lambda *_: "")
    reaper = Reaper(replace(site.context, trace_ended=tracing.ended, attempts_max=1))
    site.claim()
    reaper()
    site.now_s += 15
    reaper()
    site.redis.close()
    assert site.run().state is State.BROKEN
    tracing.exporter.close()
    assert collector.named("run acme/roof").status.message == "worker_lost"
