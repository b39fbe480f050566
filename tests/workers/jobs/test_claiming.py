"""From a wake-up to a claim: which worker gets a job, and where a wake-up is forwarded to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from redis import Redis
from sqlalchemy import Engine

from tests.support.builders import job_plan, plan, push
from tests.support.services import eventually
from workers import store
from workers.db.session import reading, transaction
from workers.jobs.claiming import JobClaimer
from workers.jobs.machine.heartbeat import Heartbeat
from workers.labels import offered_here, queue_of
from workers.queue.celery_app import make_celery
from workers.queue.wakeups import Notifier
from workers.settings import Settings
from workers.store.jobs import leases
from workers.store.processes import leaders
from workers.store.processes.duties import WAKE_UPS
from workers.streaming import redis_stream

GPU = offered_here("gpu=true")


@dataclass
class Site:
    """A database with workers of several kinds, and what was forwarded."""

    database: Engine
    repo_id: int
    forwarded: list[tuple[int, Mapping[str, int]]] = field(default_factory=list)

    def claimer(self, labels: str = "") -> JobClaimer:
        return JobClaimer(
            self.database, f"w{labels}/1", offered_here(labels), 60, lambda *on: self.forwarded.append(on)
        )

    def add_worker(self, name: str, labels: str = "", slots: int = 1, silent_s: int = 60) -> None:
        with transaction(self.database) as session:
            store.record_heartbeat(session, name, offered_here(labels), slots, silent_s)

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


@pytest.mark.slow
def test_a_job_goes_to_a_worker_that_offers_what_it_asks_for(site: Site) -> None:
    job_id = site.planned(gpu="true")
    assert site.claimer().claim(job_id) is None
    claim = site.claimer("gpu=true").claim(job_id)
    assert claim is not None
    assert claim.job_id == job_id


def test_a_worker_whose_labels_do_not_match_forwards_the_job_to_those_whose_labels_do(site: Site) -> None:
    site.add_worker("plain")
    site.add_worker("one", "gpu=true", slots=2)
    site.add_worker("two", "gpu=true", slots=3)
    site.add_worker("other", "gpu=*")
    site.add_worker("gone", "gpu=true,old=yes", silent_s=-1)
    job_id = site.planned(gpu="true")
    assert site.claimer().claim(job_id) is None
    assert site.forwarded == [(job_id, {queue_of(GPU): 5, queue_of(offered_here("gpu=*")): 1})]


def test_a_job_that_no_worker_can_run_or_that_is_taken_is_not_forwarded(site: Site) -> None:
    site.add_worker("one", "gpu=true")
    site.claimer().claim(site.planned(disk="ssd"))
    taken = site.planned(gpu="true")
    assert site.claimer("gpu=true").claim(taken) is not None
    assert site.claimer().claim(taken) is None
    assert site.forwarded == []


def test_a_worker_that_comes_too_late_claims_the_fitting_job_that_has_waited_longest(site: Site) -> None:
    first = site.queue()
    assert site.claimer().claim(first) is not None
    site.planned(gpu="true")
    second, third = site.planned(), site.planned()
    claim = site.claimer().claim(first)
    assert claim is not None
    assert (claim.job_id, site.claimer().next_ready()) == (second, third)


def test_an_exclusive_worker_plans_no_runs(site: Site) -> None:
    site.add_worker("plain")
    job_id = site.queue()
    assert site.claimer("!gpu=true").claim(job_id) is None
    assert site.forwarded == [(job_id, {queue_of(offered_here("")): 1})]


def test_a_planner_goes_on_with_a_job_that_fits_its_labels_or_leaves_all_to_others(site: Site) -> None:
    jobs = [
        job_plan("gpu", 1).model_copy(update={"labels": {"gpu": "true"}}),
        job_plan("plain", 2),
    ]
    claim = site.claimer().claim(site.queue())
    assert claim is not None
    with transaction(site.database) as session:
        planned = store.plan_run(session, claim.job_id, claim.attempt, plan(*jobs), lambda job: not job.labels)
    assert planned.mine == jobs[1]
    assert len(planned.ready_job_ids) == 1
    second = site.planned(gpu="true")
    with reading(site.database) as session:
        job = store.job_by_id(session, second)
        assert job is not None
        assert (job.lease_owner, job.lease_until_ms, job.started_ms) == ("", None, None)


def test_no_queue_gets_more_messages_than_it_has_slots(redis_url: str) -> None:
    redis: Redis = redis_stream.connect(redis_url)
    notifier = Notifier(make_celery(Settings(redis_url=redis_url)))
    for job_id in range(5):
        notifier.forward(job_id, {"one": 2, "two": 9})
    assert (redis.llen("headway:one"), redis.llen("headway:two")) == (2, 5)
    redis.close()


def test_a_worker_is_known_while_it_sends_heartbeats_and_counts_its_jobs(site: Site) -> None:
    heartbeat = Heartbeat(site.database, "host-1", GPU, 2, 60)
    heartbeat.start()
    eventually(lambda: _workers(site))
    heartbeat.stop()
    site.occupy("host-1")
    (worker,) = _workers(site)
    assert (worker.name, worker.labels, worker.slots, worker.busy, worker.free) == ("host-1", GPU, 2, 1, 1)
    with transaction(site.database) as session:
        store.remove_worker(session, "host-1")
    assert _workers(site) == []


def test_a_heartbeat_says_why_the_worker_takes_no_job(site: Site) -> None:
    heartbeat = Heartbeat(site.database, "host-1", GPU, 2, 60, lambda: "Its disk is nearly full.")
    heartbeat.start()
    eventually(lambda: _workers(site))
    heartbeat.stop()
    (worker,) = _workers(site)
    assert (worker.problem, worker.free) == ("Its disk is nearly full.", 0)


def _workers(site: Site) -> list[store.KnownWorker]:
    with reading(site.database) as session:
        return store.workers(session)


@pytest.mark.slow
def test_a_wake_up_is_sent_only_for_jobs_that_a_free_worker_could_take(site: Site) -> None:
    plain, gpu = site.planned(), site.planned(gpu="true")

    def takeable() -> set[int]:
        with reading(site.database) as session:
            return set(store.jobs_for_free_workers(session, -1))

    assert takeable() == {plain, gpu}
    site.add_worker("host-1")
    assert takeable() == {plain}
    site.add_worker("host-2", "!gpu=true")
    assert takeable() == {plain, gpu}
    site.occupy("host-1")
    assert takeable() == {gpu}


def why(site: Site, job_id: int) -> str:
    with reading(site.database) as session:
        job = store.job_by_id(session, job_id)
        assert job is not None
        return store.why_waiting(session, "acme/roof", store.jobs_of(session, job.run_id))[job_id]


def test_every_job_that_waits_says_why_and_what_to_do(site: Site) -> None:
    plain, gpu = site.queue(), site.planned(gpu="true", disk="ssd")
    assert why(site, plain) == "Waits for a worker, and none is running. Start one: headway worker."
    site.add_worker("host-1", slots=2)
    assert why(site, plain).startswith("No scheduler is running: a worker takes it only if its wake-up arrives.")
    with transaction(site.database) as session:
        leaders.take_lead(session, leaders.SCHEDULER, "here", 60)
        store.note_failed_duty(session, WAKE_UPS, "No worker can be woken while Redis does not answer.")
    assert why(site, plain) == "No worker can be woken while Redis does not answer."
    with transaction(site.database) as session:
        store.note_done_duty(session, WAKE_UPS)
    assert why(site, plain) == "A worker takes it in a moment."
    assert why(site, gpu) == (
        "Waits for a worker with gpu=true and disk=ssd, and there is none for acme/roof. Start one with "
        "HEADWAY_WORKER_LABELS=gpu=true,disk=ssd, or change the workflow's labels."
    )
    site.occupy("host-1")
    site.occupy("host-1")
    assert why(site, plain) == "Waits for a free slot: 2 of 2 are taken on 1 worker that can run it."


def test_a_job_says_so_where_all_workers_are_exclusive(site: Site) -> None:
    site.add_worker("host-1", "!gpu=true")
    assert why(site, site.queue()).startswith("Waits for a worker that takes jobs without labels of acme/roof")


def test_a_job_says_which_workflows_it_waits_for(site: Site) -> None:
    job_id = site.queue()
    with transaction(site.database) as session:
        claim = leases.claim(session, job_id, "w", 60)
        assert claim is not None
        jobs = [job_plan("build", 1), job_plan("lint", 2), job_plan("test", 3, ("build", "lint"))]
        last = store.plan_run(session, job_id, claim.attempt, plan(*jobs)).job_ids[-1]
    assert why(site, last) == "Waits for 'build' and 'lint', which it depends on."


def test_a_drained_worker_claims_nothing_until_it_is_taken_back(site: Site) -> None:
    site.add_worker("w")
    job_id, claims = site.queue(), []
    claimer = replace(site.claimer(), on_claim=lambda: claims.append(1))
    with transaction(site.database) as session:
        assert store.set_drained(session, "w", drained=True)
    assert claimer.claim(job_id) is None
    with transaction(site.database) as session:
        assert store.set_drained(session, "w", drained=False)
    assert claims == []
    assert claimer.claim(job_id) is not None
    assert claims == [1]
    with reading(site.database) as session:
        assert (store.jobs_of_worker(session, "w"), store.jobs_of_worker(session, "w2")) == (1, 0)
