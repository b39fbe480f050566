"""Times, limits and sentences of the store at their edges, on each of the two databases."""

import pytest
from sqlalchemy import Engine, select, update

from pipelines.context import Trust
from pipelines.state import PASSED, Outcome, Reason, State
from pipelines.trigger import Event, Trigger
from tests.support.builders import held_by, job_plan, plan, pull_request, push
from workers import store
from workers.db.models import Job, Run, Status, Worker
from workers.db.session import db_now_ms, reading, transaction
from workers.store.jobs import leases
from workers.store.processes.installation import installation


def queued(database: Engine, name: str = "acme/roof", trigger: Trigger | None = None) -> store.Queued:
    """A run of a repository that is added where it is new."""
    with transaction(database) as session:
        repo = store.repo_by_name(session, name) or store.add_repo(session, store.NewRepo(name, f"file:///srv/{name}"))
        return store.queue_run(session, repo.id, trigger or push())


def claimed(database: Engine, job_id: int, lease_s: int = 1000) -> leases.Claim:
    with transaction(database) as session:
        claim = leases.claim(session, job_id, "w1", lease_s, "host-1")
    assert claim is not None
    return claim


def run_now(database: Engine, run_id: int) -> Run:
    with reading(database) as session:
        run = store.run_by_id(session, run_id)
    assert run is not None
    return run


def left_ms(database: Engine, job_id: int) -> int:
    """How long the job's lease goes on."""
    with reading(database) as session:
        job = store.job_by_id(session, job_id)
        assert job is not None
        assert job.lease_until_ms is not None
        return job.lease_until_ms - db_now_ms(session)


def test_a_lease_lasts_the_seconds_that_were_asked_for(database: Engine) -> None:
    job_id = queued(database).job_id
    claim = claimed(database, job_id, lease_s=100_000)
    assert 99_990_000 < left_ms(database, job_id) <= 100_000_000
    with transaction(database) as session:
        leases.renew(session, job_id, claim.attempt, "w1", 200_000)
    assert 199_990_000 < left_ms(database, job_id) <= 200_000_000


def test_a_job_is_broken_when_it_has_lost_as_many_workers_as_it_may(database: Engine) -> None:
    first = queued(database)
    for state in (State.QUEUED, State.BROKEN):
        claimed(database, first.job_id)
        with transaction(database) as session:
            assert [each.state for each in leases.reap(session, leases.held(session), attempts_max=2)] == [state]


def test_with_a_single_attempt_the_first_lost_worker_breaks_the_job(database: Engine) -> None:
    first = queued(database)
    claimed(database, first.job_id)
    with transaction(database) as session:
        assert [each.state for each in leases.reap(session, leases.held(session), attempts_max=1)] == [State.BROKEN]


def test_the_jobs_of_one_run_are_reaped_and_those_of_others_are_not(database: Engine) -> None:
    one, other = queued(database), queued(database)
    for each in (one, other):
        claimed(database, each.job_id)
    with transaction(database) as session:
        assert [each.run_id for each in leases.reap(session, held_by(session, other.job_id))] == [other.run_id]
        assert [lease.run_id for lease in leases.held(session)] == [one.run_id]


def test_a_job_is_rung_again_after_the_seconds_that_were_asked_for(database: Engine) -> None:
    job_id = queued(database).job_id
    with transaction(database) as session:
        leases.mark_notified(session, [job_id])
        assert leases.ready_not_notified(session, older_than_s=60) == []
        session.execute(update(Job).values(rung_ms=Job.rung_ms - 59_000))
        assert leases.ready_not_notified(session, older_than_s=60) == []
        session.execute(update(Job).values(rung_ms=Job.rung_ms - 1_000_000))
        assert leases.ready_not_notified(session, older_than_s=60) == [job_id]
        assert leases.ready_not_notified(session, older_than_s=1_060) == []


@pytest.mark.parametrize(("limit", "found"), [(1, 1), (2, 2), (3, 2)])
def test_at_most_as_many_jobs_are_rung_again_as_were_asked_for(database: Engine, limit: int, found: int) -> None:
    ids = [queued(database).job_id for _ in range(2)]
    with transaction(database) as session:
        for job_id in ids:
            leases.let_scheduler_notify(session, job_id)
        assert list(leases.ready_not_notified(session, older_than_s=60, limit=limit)) == ids[:found]


def test_a_delivery_to_a_repository_that_there_is_not_is_an_error(database: Engine) -> None:
    with pytest.raises(ValueError, match="There is no repository 404"), transaction(database) as session:
        store.record_delivery(session, 404, store.NewDelivery(key="k", body_bytes=1))


@pytest.mark.parametrize(("author", "sender", "shown"), [("ada", "bob", "ada"), ("", "bob", "bob"), ("", "", "")])
def test_a_run_is_its_authors_or_else_its_senders(database: Engine, author: str, sender: str, shown: str) -> None:
    trigger = push().model_copy(update={"author": author, "sender": sender})
    assert run_now(database, queued(database, trigger=trigger).run_id).author == shown


@pytest.mark.parametrize(("by", "sentence"), [("ada", "The run was canceled by ada."), ("", "The run was canceled.")])
def test_a_canceled_run_says_who_canceled_it_if_that_is_known(database: Engine, by: str, sentence: str) -> None:
    run_id = queued(database).run_id
    with transaction(database) as session:
        store.request_cancel(session, run_id, by)
    assert run_now(database, run_id).sentence == sentence


@pytest.mark.parametrize(
    ("failed", "more"), [(1, ""), (2, " (and 1 more job failed)"), (3, " (and 2 more jobs failed)")]
)
def test_a_run_says_how_many_more_jobs_failed_alike(database: Engine, failed: int, more: str) -> None:
    first = queued(database)
    claim = claimed(database, first.job_id)
    with transaction(database) as session:
        store.plan_run(session, first.job_id, claim.attempt, plan(*(job_plan(f"j{n}", n) for n in (1, 2, 3))))
        jobs = [job.id for job in store.jobs_of(session, first.run_id)]
    attempts = [claim.attempt, *(claimed(database, job_id).attempt for job_id in jobs[1:])]
    outcome = Outcome(State.FAILED, Reason.EXIT_CODE, "It failed.")
    for number, (job_id, attempt) in enumerate(zip(jobs, attempts, strict=True)):
        with transaction(database) as session:
            store.finish_job(session, job_id, attempt, outcome if number < failed else PASSED)
    assert run_now(database, first.run_id).sentence == f"j1: It failed.{more}"


def test_the_newest_run_of_each_repository_is_its_own(database: Engine) -> None:
    runs = {
        name: [queued(database, name).run_id for _ in range(count)] for name, count in (("a", 2), ("b", 1), ("c", 3))
    }
    with transaction(database) as session:
        store.add_repo(session, store.NewRepo("empty", "file:///empty"))
        newest = store.last_runs(session, store.repos(session))
    assert sorted(run.id for run in newest.values()) == sorted(ids[-1] for ids in runs.values())


def test_the_previous_run_is_the_last_before_it_on_its_branch(database: Engine) -> None:
    ids = [queued(database, trigger=push(branch=branch)).run_id for branch in ("main", "main", "topic", "main")]
    with reading(database) as session:
        found = [store.previous_run(session, session.get_one(Run, run_id)) for run_id in ids]
    assert [run and run.id for run in found] == [None, ids[0], None, ids[1]]


@pytest.mark.parametrize("fresh", [0, 1, 2**31 - 2, 2**31 - 1, 2**32])
def test_an_installation_keeps_the_first_name_of_eight_hex_digits(database: Engine, fresh: int) -> None:
    with transaction(database) as session:
        name = installation(session, fresh)
    assert name == f"{fresh % (2**31 - 1):08x}"
    assert len(name) == 8
    with transaction(database) as session:
        assert installation(session, fresh + 1) == name


def test_a_repository_is_stored_with_all_that_was_given(database: Engine) -> None:
    new = store.NewRepo(
        "acme/roof",
        "https://git.test/roof.git",
        forge="github",
        web_url="https://git.test/roof",
        default_branch="trunk",
        private=True,
        push_repo="registry.test/roof",
    )
    with transaction(database) as session:
        added = store.add_repo(session, new)
        store.set_trust(session, added.id, Trust(network=True, volumes=False, security=True))
        store.set_clone_login(session, added.id, "mara", "sealed")
        with pytest.raises(store.AlreadyThereError):
            store.add_repo(session, store.NewRepo("acme/roof", "elsewhere"))
    with reading(database) as session:
        repo = store.repo_by_name(session, "acme/roof")
    assert repo is not None
    stored = (repo.clone_url, repo.forge, repo.web_url, repo.default_branch, repo.private, repo.push_repo)
    assert stored == (new.clone_url, "github", "https://git.test/roof", "trunk", True, "registry.test/roof")
    assert (repo.trust_network, repo.trust_volumes, repo.trust_security) == (True, False, True)
    assert (repo.hook_secret_sealed, repo.clone_username, repo.clone_password_sealed) == ("", "mara", "sealed")


def alive(database: Engine) -> dict[str, int]:
    """The workers that are alive, and how many jobs each could start now."""
    with reading(database) as session:
        return {worker.name: worker.free for worker in store.workers(session)}


def beat(database: Engine, name: str, silent_s: int = 1000, slots: int = 2) -> None:
    with transaction(database) as session:
        store.record_heartbeat(session, name, {}, slots, silent_s)


def test_a_worker_is_alive_for_as_long_as_its_heartbeat_says(database: Engine) -> None:
    beat(database, "w1")
    with transaction(database) as session:
        left_ms = session.scalars(select(Worker.until_ms)).one() - db_now_ms(session)
        assert 990_000 < left_ms <= 1_000_000
        session.execute(update(Worker).values(until_ms=Worker.until_ms - 900_000))
    assert alive(database) == {"w1": 2}
    with transaction(database) as session:
        session.execute(update(Worker).values(until_ms=Worker.until_ms - 100_001))
    assert alive(database) == {}
    beat(database, "w1")
    assert alive(database) == {"w1": 2}


def test_a_worker_that_stops_takes_those_along_that_are_silent_and_no_other(database: Engine) -> None:
    for name, silent_s in (("stops", 1000), ("silent", 0), ("alive", 1000)):
        beat(database, name, silent_s)
    with transaction(database) as session:
        session.execute(update(Worker).where(Worker.name == "silent").values(until_ms=1))
        store.remove_worker(session, "stops")
        assert list(session.scalars(select(Worker.name))) == ["alive"]


def test_a_worker_with_more_jobs_than_slots_has_none_free(database: Engine) -> None:
    beat(database, "w1", slots=1)
    for free in (0, 0):
        claimed(database, queued(database).job_id)
        assert alive(database) == {"w1": free}


@pytest.mark.parametrize(("event", "kept"), [(Event.PUSH, "1" * 40), (Event.PULL_REQUEST, "2" * 40)])
def test_a_push_takes_over_the_changes_of_the_run_that_it_supersedes(database: Engine, event: Event, kept: str) -> None:
    """A pull request's changes are those since its branch left the target, however often it is pushed to."""
    with transaction(database) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        store.set_newest_wins(session, repo.id, {event})
    ids = []
    for previous in ("1" * 40, "2" * 40):
        trigger = push() if event is Event.PUSH else pull_request(from_fork=False)
        run = queued(database, trigger=trigger.model_copy(update={"previous_sha": previous}))
        ids.append(run.run_id)
    assert run_now(database, ids[0]).state is State.CANCELED
    assert Trigger.model_validate_json(run_now(database, ids[1]).trigger).previous_sha == kept


def logins(database: Engine) -> list[tuple[int | None, str, str, str]]:
    with reading(database) as session:
        found = store.registries(session)
    return sorted(((row.repo_id, row.host, row.username, row.sealed_password) for row in found), key=str)


def test_a_login_to_a_registry_is_replaced_and_removed_where_it_is_and_nowhere_else(database: Engine) -> None:
    with transaction(database) as session:
        one, two = (store.add_repo(session, store.NewRepo(name, f"file:///{name}")).id for name in ("one", "two"))
        for repo_id in (None, one, two):
            store.put_registry(session, repo_id, "registry.test", "old", "sealed")
        store.put_registry(session, one, "elsewhere.test", "old", "sealed")
        store.put_registry(session, one, "registry.test", "new", "sealed again")
    expected = [
        (one, "elsewhere.test", "old", "sealed"),
        (one, "registry.test", "new", "sealed again"),
        (two, "registry.test", "old", "sealed"),
        (None, "registry.test", "old", "sealed"),
    ]
    assert logins(database) == expected
    with transaction(database) as session:
        assert store.registries_for(session, one)["registry.test"].username == "new"
        assert store.drop_registry(session, None, "registry.test")
        assert not store.drop_registry(session, None, "registry.test")
        assert store.drop_registry(session, two, "registry.test")
    assert logins(database) == expected[:2]


def outdated(database: Engine, run_ids: list[int]) -> list[bool]:
    """For each run whether a newer one stands in for it at the forge."""
    with transaction(database) as session:
        session.execute(update(Status).values(next_try_ms=0))
        claims = [store.claim_status(session, run_id, 1000) for run_id in run_ids]
    return [claim.newer for claim in claims if claim is not None]


def test_a_status_is_outdated_by_a_newer_run_of_the_same_commit_and_event_alone(database: Engine) -> None:
    with transaction(database) as session:
        for name in ("acme/roof", "acme/elsewhere"):
            repo = store.add_repo(session, store.NewRepo(name, f"file:///srv/{name}", forge="github"))
            store.set_forge_token(session, repo.id, "sealed", "")
    again, other_commit = push(), push(sha="f" * 40)
    by_tag = again.model_copy(update={"event": Event.MANUAL})
    runs = [queued(database, trigger=trigger).run_id for trigger in (again, other_commit, by_tag)]
    runs.append(queued(database, "acme/elsewhere", again).run_id)
    assert outdated(database, runs) == [False, False, False, False]
    queued(database, trigger=again)
    assert outdated(database, runs) == [True, False, False, False]
