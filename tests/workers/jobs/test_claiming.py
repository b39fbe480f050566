"""From a message to a claim: who takes a job, and to whom a message is passed on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from redis import Redis
from sqlalchemy import Engine

from tests.support.builders import job_plan, plan, push
from tests.support.services import eventually
from workers import store
from workers.db.session import reading, transaction
from workers.jobs.claiming import Ear
from workers.jobs.heartbeat import Presence
from workers.labels import offered_here, queue_of
from workers.queue.celery_app import Bell, make_celery
from workers.settings import Settings
from workers.store import leases
from workers.streaming import redis_stream

GPU = offered_here("gpu=true")


@dataclass
class Site:
    """A database with workers of several kinds, and what was passed on to them."""

    database: Engine
    repo_id: int
    passed_on: list[tuple[int, Mapping[str, int]]] = field(default_factory=list)

    def ear(self, labels: str = "") -> Ear:
        return Ear(self.database, f"w{labels}/1", offered_here(labels), 60, lambda *on: self.passed_on.append(on))

    def there(self, name: str, labels: str = "", slots: int = 1, silent_s: int = 60) -> None:
        with transaction(self.database) as session:
            store.beat(session, name, offered_here(labels), slots, silent_s)

    def queue(self) -> int:
        with transaction(self.database) as session:
            return store.queue_run(session, self.repo_id, push()).job_id

    def occupy(self, worker: str) -> None:
        """The worker has a job."""
        job_id = self.queue()
        with transaction(self.database) as session:
            leases.claim(session, job_id, f"{worker}/1", 60)

    def planned(self, **labels: str) -> int:
        """A job that asks for these labels, and waits."""
        job_id = self.queue()
        with transaction(self.database) as session:
            claim = leases.claim(session, job_id, "planner", 60)
            assert claim is not None
            what = plan(job_plan("test").model_copy(update={"labels": labels}))
            store.plan_run(session, job_id, claim.attempt, what, lambda _: False)
        return job_id


@pytest.fixture
def site(sqlite_database: Engine) -> Site:
    with transaction(sqlite_database) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof"))
    return Site(sqlite_database, repo.id)


def test_a_job_goes_to_a_worker_that_offers_what_it_asks_for(site: Site) -> None:
    job_id = site.planned(gpu="true")
    assert site.ear().take(job_id) is None
    claim = site.ear("gpu=true").take(job_id)
    assert claim is not None
    assert claim.job_id == job_id


def test_a_worker_that_may_not_have_a_job_passes_it_on_to_all_kinds_that_may(site: Site) -> None:
    site.there("plain")
    site.there("one", "gpu=true", slots=2)
    site.there("two", "gpu=true", slots=3)
    site.there("other", "gpu=*")
    site.there("gone", "gpu=true,old=yes", silent_s=-1)
    job_id = site.planned(gpu="true")
    assert site.ear().take(job_id) is None
    assert site.passed_on == [(job_id, {queue_of(GPU): 5, queue_of(offered_here("gpu=*")): 1})]


def test_what_no_worker_may_have_or_what_is_taken_is_passed_on_to_nobody(site: Site) -> None:
    site.there("one", "gpu=true")
    site.ear().take(site.planned(disk="ssd"))
    taken = site.planned(gpu="true")
    assert site.ear("gpu=true").take(taken) is not None
    assert site.ear().take(taken) is None
    assert site.passed_on == []


def test_a_worker_that_comes_too_late_takes_what_has_waited_longest_of_what_fits(site: Site) -> None:
    first = site.queue()
    assert site.ear().take(first) is not None
    site.planned(gpu="true")
    second, third = site.planned(), site.planned()
    claim = site.ear().take(first)
    assert claim is not None
    assert (claim.job_id, site.ear().next()) == (second, third)


def test_an_exclusive_worker_plans_no_runs(site: Site) -> None:
    site.there("plain")
    job_id = site.queue()
    assert site.ear("!gpu=true").take(job_id) is None
    assert site.passed_on == [(job_id, {queue_of(offered_here("")): 1})]


def test_a_planner_goes_on_with_a_job_that_fits_it_or_leaves_all_to_others(site: Site) -> None:
    jobs = [
        job_plan("gpu", 1).model_copy(update={"labels": {"gpu": "true"}}),
        job_plan("plain", 2),
    ]
    claim = site.ear().take(site.queue())
    assert claim is not None
    with transaction(site.database) as session:
        planned = store.plan_run(session, claim.job_id, claim.attempt, plan(*jobs), lambda job: not job.labels)
    assert planned.mine == jobs[1]
    assert len(planned.ring) == 1
    second = site.planned(gpu="true")
    with reading(site.database) as session:
        job = store.job_by_id(session, second)
        assert job is not None
        assert (job.lease_owner, job.lease_until_ms, job.started_ms) == ("", None, None)


def test_no_queue_gets_more_messages_than_it_has_slots(redis_url: str) -> None:
    redis: Redis = redis_stream.connect(redis_url)
    bell = Bell(make_celery(Settings(redis_url=redis_url)))
    for job_id in range(5):
        bell.pass_on(job_id, {"one": 2, "two": 9})
    assert (redis.llen("headway:one"), redis.llen("headway:two")) == (2, 5)
    redis.close()


def test_a_worker_is_there_while_it_says_so_and_counts_its_jobs(site: Site) -> None:
    presence = Presence(site.database, "host-1", GPU, 2, 60)
    presence.start()
    eventually(lambda: _workers(site))
    presence.stop()
    site.occupy("host-1")
    (worker,) = _workers(site)
    assert (worker.name, worker.labels, worker.slots, worker.busy, worker.free) == ("host-1", GPU, 2, 1, 1)
    with transaction(site.database) as session:
        store.leave(session, "host-1")
    assert _workers(site) == []


def _workers(site: Site) -> list[store.KnownWorker]:
    with reading(site.database) as session:
        return store.workers(session)


def test_a_job_is_rung_for_only_where_a_worker_could_take_it(site: Site) -> None:
    plain, gpu = site.planned(), site.planned(gpu="true")

    def heard() -> set[int]:
        with reading(site.database) as session:
            return store.heard(session, [plain, gpu])

    assert heard() == {plain, gpu}
    site.there("host-1")
    assert heard() == {plain}
    site.there("host-2", "!gpu=true")
    assert heard() == {plain, gpu}
    site.occupy("host-1")
    assert heard() == {gpu}


def why(site: Site, job_id: int) -> str:
    with reading(site.database) as session:
        job = store.job_by_id(session, job_id)
        assert job is not None
        return store.why_waiting(session, "acme/roof", store.jobs_of(session, job.run_id))[job_id]


def test_every_job_that_waits_says_why_and_what_would_end_that(site: Site) -> None:
    plain, gpu = site.queue(), site.planned(gpu="true", disk="ssd")
    assert why(site, plain) == "Waits for a worker, and none is running. Start one: headway worker."
    site.there("host-1", slots=2)
    assert why(site, plain) == "A worker takes it in a moment."
    assert why(site, gpu) == (
        "Waits for a worker with gpu=true and disk=ssd, and there is none for acme/roof. Start one with "
        "HEADWAY_WORKER_LABELS=gpu=true,disk=ssd, or change the workflow's labels."
    )
    site.occupy("host-1")
    site.occupy("host-1")
    assert why(site, plain) == "Waits for a free slot: 2 of 2 are taken on 1 worker that may have it."


def test_a_job_that_only_exclusive_workers_are_there_for_says_so(site: Site) -> None:
    site.there("host-1", "!gpu=true")
    assert why(site, site.queue()).startswith("Waits for a worker that takes jobs without labels of acme/roof")


def test_a_job_says_which_workflows_it_waits_for(site: Site) -> None:
    job_id = site.queue()
    with transaction(site.database) as session:
        claim = leases.claim(session, job_id, "w", 60)
        assert claim is not None
        jobs = [job_plan("build", 1), job_plan("lint", 2), job_plan("test", 3, ("build", "lint"))]
        last = store.plan_run(session, job_id, claim.attempt, plan(*jobs)).job_ids[-1]
    assert why(site, last) == "Waits for 'build' and 'lint', which it depends on."
