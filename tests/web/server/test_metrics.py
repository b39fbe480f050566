"""``/metrics``: what it says, who reads it, and how often the database is asked."""

import re
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from starlette.testclient import TestClient

from pipelines.state import State
from tests.web.conftest import REPO, Site
from web.hooks.endpoint import VERDICTS
from web.server.app import create_app
from web.server.metrics import CACHE_S, LABELS_CHARS_MAX, InstallationMetrics
from web.server.prometheus import DURATIONS_S, Family, Histogram, Sample, exposition
from web.services import Services
from workers import setting_checks as checks
from workers import store
from workers.db.models import Job, Run
from workers.db.session import make_engine, now_ms, reading, transaction
from workers.store.processes import leaders
from workers.store.runs import metrics as rows

TOKEN = "a-token-of-the-scraper"
_LABEL = r'[a-z]+="(?:[^"\\\n]|\\[\\"n])*"'
_LINE = re.compile(rf"([a-z_]+(?:\{{{_LABEL}(?:,{_LABEL})*\}})?) (\S+)")


def read(text: str) -> dict[str, float]:
    """The values by name and labels. Fails for a line that a scraper would refuse."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = {line: _LINE.fullmatch(line) for line in lines}
    assert [line for line, match in found.items() if match is None] == []
    return {match[1]: float(match[2]) for match in found.values() if match}


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Reader:
    """The metrics of a site, read anew each time."""

    def __init__(self, site: Site) -> None:
        self.clock = Clock()
        self.metrics = InstallationMetrics(site.engine, self.clock)

    def __call__(self) -> dict[str, float]:
        self.clock.now_s += CACHE_S
        return read(exposition(self.metrics.families()))


@pytest.fixture
def reader(site: Site) -> Reader:
    site.add_repo()
    return Reader(site)


@pytest.fixture
def scraper(site: Site) -> Iterator[TestClient]:
    settings = site.services.settings.model_copy(update={"metrics_token": metrics_token(TOKEN)})
    given = site.services
    services = Services(
        settings, given.engine, given.wake_workers, given.logs, given.vault, given.redis, given.limiter
    )  # fmt: skip
    with TestClient(create_app(services), base_url="http://localhost", follow_redirects=False) as client:
        yield client


def metrics_token(text: str) -> SecretStr:
    return SecretStr(text)


def authorization(text: str) -> dict[str, str]:
    return {"authorization": text}


def test_the_token_of_the_setting_opens_the_metrics_and_nothing_else(scraper: TestClient) -> None:
    answer = scraper.get("/metrics", headers=authorization(f"Bearer {TOKEN}"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert read(answer.text)["headway_database_up"] == 1
    assert scraper.get("/api/runs", headers=authorization(f"Bearer {TOKEN}")).status_code == 401


@pytest.mark.parametrize("text", ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN])
def test_another_token_is_refused(scraper: TestClient, text: str) -> None:
    answer = scraper.get("/metrics", headers=authorization(text))
    assert (answer.status_code, "error" in answer.json()) == (401, True)


def test_without_the_setting_an_empty_token_opens_nothing(client: TestClient) -> None:
    for text in ("Bearer ", "Bearer", "bearer  "):
        assert client.get("/metrics", headers=authorization(text)).status_code == 401


def test_an_administrator_reads_them_and_another_user_does_not(site: Site, guest: TestClient) -> None:
    assert guest.get("/metrics").status_code == 403
    admin = authorization(f"Bearer {site.token(site.add_user('ada'))}")
    assert "headway_build_info{version=" in guest.get("/metrics", headers=admin).text


def test_a_metrics_token_is_long_enough_to_be_a_secret() -> None:
    checks.metrics_token("")
    checks.metrics_token("x" * checks.METRICS_TOKEN_CHARS_MIN)
    for wrong in ("x" * (checks.METRICS_TOKEN_CHARS_MIN - 1), "two words of a token", "ä" * 20, "a" * 20 + "\n"):
        with pytest.raises(ValueError, match="use 16 letters"):
            checks.metrics_token(wrong)


def test_the_queue_by_labels_with_its_oldest_job(site: Site, reader: Reader) -> None:
    plain, other = site.queue(), site.queue()
    with transaction(site.engine) as session:
        session.execute(update(Job).where(Job.id == plain.job_id).values(created_ms=now_ms() - 90_000))
        labels = {"gpu": 'a"\\b', "disk": "ssd", "none": ""}
        session.execute(update(Job).where(Job.id == other.job_id).values(labels=labels, lane="x"))
    values = reader()
    assert values['headway_jobs_queued{labels=""}'] == 1
    assert 90 <= values['headway_jobs_queued_oldest_seconds{labels=""}'] < 100
    assert values[r'headway_jobs_queued{labels="disk=ssd,gpu=a\"\\b"}'] == 1


def test_labels_of_a_pipeline_cannot_break_the_page(site: Site, program: TestClient) -> None:
    site.add_repo()
    long = "x" * LABELS_CHARS_MAX
    chosen = ({"a": "b,c=d"}, {"a": "b", "c": "d"}, {"a": long}, {"a": long + "y"}, {"a": "\ud800\n\x00"})
    for number, labels in enumerate(chosen):
        queued = site.queue()
        with transaction(site.engine) as session:
            session.execute(update(Job).where(Job.id == queued.job_id).values(labels=labels, lane=f"l{number}"))
    answer = program.get("/metrics")
    names = [line.rpartition(" ")[0] for line in answer.text.split("\n") if not line.startswith("#")]
    assert len(names) == len(set(names))
    assert 'headway_jobs_queued{labels="a=b,c=d"} 2\n' in answer.text
    assert f'headway_jobs_queued{{labels="a={long[2:]}"}} 2\n' in answer.text


@pytest.mark.parametrize(
    ("reason", "values"),
    [
        ("worker", {"lane": ""}),
        ("forge", {"not_before_ms": 1, "lane": None}),
        ("approval", {"ready": False, "lane": None}),
        ("needs", {"ready": False, "lane": None, "plan": "{}"}),
        ("concurrency", {"lane": None, "group_key": "g"}),
    ],
)
def test_a_queued_job_counts_for_what_it_waits(
    site: Site, reader: Reader, reason: str, values: dict[str, object]
) -> None:
    queued = site.queue()
    with transaction(site.engine) as session:
        session.execute(update(Job).where(Job.id == queued.job_id).values(values))
    found = reader()
    assert {name: found[f'headway_jobs_waiting{{reason="{name}"}}'] for name in rows.WAITS} == {
        name: int(name == reason) for name in rows.WAITS
    }


def test_workers_running_jobs_the_scheduler_and_what_fails(site: Site, reader: Reader) -> None:
    site.begin()
    assert reader()["headway_scheduler_up"] == 0
    with transaction(site.engine) as session:
        store.record_heartbeat(session, "one", {}, 3, 60)
        store.record_heartbeat(session, "two", {}, 2, 60, "Its disk is nearly full.")
        store.record_heartbeat(session, "three", {}, 1, 60)
        store.set_drained(session, "three", drained=True)
        leaders.take_lead(session, leaders.SCHEDULER, "s", 60)
        store.note_failed_duty(session, "crons", "It fails.")
        store.bump_counter(session, store.LEASES_LOST, 2)
    values = reader()
    assert values['headway_workers{state="ready"}'] == values['headway_workers{state="stopped"}'] == 1
    assert values['headway_workers{state="drained"}'] == 1
    assert (values["headway_worker_slots"], values["headway_worker_slots_free"]) == (6, 3)
    assert (values["headway_jobs_running"], values["headway_scheduler_up"]) == (1, 1)
    assert (values["headway_scheduler_failing_duties"], values["headway_leases_lost_total"]) == (1, 2)


def end(site: Site, run_id: int, finished_ago_ms: int = 2_000) -> None:
    with transaction(site.engine) as session:
        end_ms = now_ms() - finished_ago_ms
        values = {"state": State.PASSED, "created_ms": end_ms - 12_000, "finished_ms": end_ms}
        session.execute(update(Run).where(Run.id == run_id).values(values))
        values["started_ms"] = end_ms - 5_000
        session.execute(update(Job).where(Job.run_id == run_id).values(values))


def test_runs_that_end_are_counted_once_and_those_before_the_first_read_never(site: Site, reader: Reader) -> None:
    end(site, site.queue().run_id, finished_ago_ms=60_000)
    reader.metrics._position = None
    assert 'headway_run_duration_seconds_count{state="passed"}' not in reader()
    with reading(site.engine) as session:
        position = rows.here_and_now(session)
    reader.metrics._position = rows.Position(position.finished_ms - 10_000)
    end(site, site.queue().run_id)
    needy = site.queue()
    end(site, needy.run_id)
    with transaction(site.engine) as session:
        session.execute(update(Job).where(Job.id == needy.job_id).values(needs=["build"]))
    for values in (reader(), reader()):
        assert values['headway_run_duration_seconds_count{state="passed"}'] == 2
        assert values['headway_run_duration_seconds_sum{state="passed"}'] == 24
        assert values['headway_job_duration_seconds_bucket{state="passed",le="5"}'] == 2
        assert values['headway_job_duration_seconds_bucket{state="passed",le="2"}'] == 0
        assert (values["headway_job_queue_seconds_count"], values["headway_job_queue_seconds_sum"]) == (1, 7)


def test_a_read_goes_on_behind_the_last_one(site: Site, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "ENDED_RUNS_MAX", 2)
    for _ in range(3):
        end(site, site.queue().run_id)
    reader.metrics._position = rows.Position(0)
    counts = [reader()['headway_run_duration_seconds_count{state="passed"}'] for _ in range(3)]
    assert counts == [2, 3, 3]


def test_a_run_that_ended_just_now_counts_a_second_later(site: Site, reader: Reader) -> None:
    end(site, site.queue().run_id, finished_ago_ms=0)
    reader.metrics._position = rows.Position(0)
    assert 'headway_run_duration_seconds_count{state="passed"}' not in reader()


def test_scrapers_cannot_load_the_database(site: Site, reader: Reader) -> None:
    before = reader()
    site.queue()
    reader.clock.now_s += CACHE_S - 0.1
    assert read(exposition(reader.metrics.families())) == before
    reader.clock.now_s += 0.1
    assert read(exposition(reader.metrics.families())) != before


def test_without_the_database_they_say_so() -> None:
    away = make_engine("postgresql+psycopg://headway@127.0.0.1:1/none")
    assert read(exposition(InstallationMetrics(away).families())) == {"headway_database_up": 0}


def test_webhooks_are_counted_by_verdict(site: Site, program: TestClient) -> None:
    site.add_repo()
    assert program.post(f"/hooks/{REPO}", json={}).status_code == 404
    values = read(program.get("/metrics").text)
    counts = {verdict: values[f'headway_deliveries_total{{verdict="{verdict}"}}'] for verdict in VERDICTS}
    assert counts == {verdict: int(verdict == "not_verified") for verdict in VERDICTS}
    assert values["headway_open_streams"] == 0
    assert values["headway_disk_free_bytes"] > 0


@pytest.mark.parametrize(("duration_s", "bound"), [(0, "1"), (1, "1"), (1.001, "2"), (7_200, "7200"), (7_201, "+Inf")])
def test_a_duration_counts_in_the_bucket_that_holds_it(duration_s: float, bound: str) -> None:
    histogram = Histogram("h", "text")
    histogram.observe(duration_s)
    values = read(exposition([histogram.family()]))
    first = next(le for le in (*map(str, DURATIONS_S), "+Inf") if values[f'h_bucket{{le="{le}"}}'])
    assert first == bound


def test_the_text_has_the_kind_of_each_family() -> None:
    text = exposition([Family("a", "counter", "What.", [Sample(1e9 + 1, {"x": "1\n2"})])])
    assert text == '# HELP a What.\n# TYPE a counter\na{x="1\\n2"} 1000000001\n'
