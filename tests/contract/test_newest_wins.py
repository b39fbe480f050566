"""Newer pushes and pull requests cancel older runs if the repository wants that, on each of the two databases."""

from itertools import pairwise

import pytest
from sqlalchemy import Engine, update

from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Event, Trigger
from tests.support.builders import SHA, held_by, pull_request, push
from workers import store
from workers.db.models import Job, Run
from workers.db.session import reading, transaction
from workers.store.jobs import leases
from workers.store.runs.superseding import newer_runs


@pytest.fixture
def repo_id(database: Engine) -> int:
    with transaction(database) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        store.set_newest_wins(session, repo.id, {Event.PUSH, Event.PULL_REQUEST})
        return repo.id


def queued(database: Engine, repo_id: int, trigger: Trigger) -> store.Queued:
    with transaction(database) as session:
        return store.queue_run(session, repo_id, trigger)


def run_now(database: Engine, run_id: int) -> Run:
    with reading(database) as session:
        return session.get_one(Run, run_id)


def test_a_newer_push_cancels_waiting_jobs_at_once_and_running_ones_through_their_workers(
    database: Engine, repo_id: int
) -> None:
    running, waiting = queued(database, repo_id, push()), queued(database, repo_id, push(branch="other"))
    with transaction(database) as session:
        claim = leases.claim(session, running.job_id, "w1", 60)
    assert claim is not None
    assert queued(database, repo_id, push()).superseded == (running.run_id,)
    assert queued(database, repo_id, push(branch="other")).superseded == ()
    ended = run_now(database, waiting.run_id)
    assert (ended.state, ended.reason, ended.sentence) == (State.CANCELED, Reason.SUPERSEDED, "Superseded by run 4.")
    with transaction(database) as session:
        renewal = leases.renew(session, running.job_id, claim.attempt, "w1", 60)
        assert (renewal.cancel_requested, renewal.cancel_by) == (True, "run 3")
        canceled = Outcome(State.CANCELED, Reason.CANCELED, "canceled by run 3")
        store.finish_job(session, running.job_id, claim.attempt, canceled)
    stopped = run_now(database, running.run_id)
    assert (stopped.state, stopped.reason, stopped.sentence) == (
        State.CANCELED,
        Reason.SUPERSEDED,
        "Superseded by run 3.",
    )


def test_a_run_that_cancels_others_takes_over_their_changed_files(database: Engine, repo_id: int) -> None:
    shas = [f"{number:040x}" for number in range(4)]
    for before, sha in pairwise(shas):
        last = queued(database, repo_id, push(sha=sha).model_copy(update={"previous_sha": before}))
    trigger = store.trigger_of(run_now(database, last.run_id))
    assert (trigger.previous_sha, trigger.sha) == (shas[0], shas[3])


def test_of_several_runs_that_are_canceled_at_once_the_changes_of_the_oldest_count_too(
    database: Engine, repo_id: int
) -> None:
    shas = [f"{number:040x}" for number in range(4)]
    pushes = [push(sha=sha).model_copy(update={"previous_sha": before}) for before, sha in pairwise(shas)]
    with transaction(database) as session:
        store.set_newest_wins(session, repo_id, set())
    for each in pushes[:2]:
        queued(database, repo_id, each)
    with transaction(database) as session:
        store.set_newest_wins(session, repo_id, {Event.PUSH})
    last = queued(database, repo_id, pushes[2])
    assert store.trigger_of(run_now(database, last.run_id)).previous_sha == shas[0]


def newer_in_the_group(database: Engine, run: store.Queued) -> dict[str, str]:
    with reading(database) as session:
        return newer_runs(session, session.get_one(Run, run.run_id), {"deploy", "other"})


@pytest.mark.slow
def test_of_the_newer_runs_in_a_group_the_newest_of_the_branch_is_named_and_never_the_run_itself(
    database: Engine, repo_id: int
) -> None:
    with transaction(database) as session:
        store.set_newest_wins(session, repo_id, set())
        other_repo = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall")).id
    runs = [queued(database, repo_id, push()) for _ in range(3)]
    queued(database, repo_id, push(branch="other"))
    queued(database, other_repo, push())
    with transaction(database) as session:
        session.execute(update(Job).values(group_key="deploy"))
    newer = [newer_in_the_group(database, run) for run in runs]
    assert newer == [{"deploy": "run 3"}, {"deploy": "run 3"}, {}]


def test_a_newer_run_by_hand_does_not_count_as_newer_in_a_group(database: Engine, repo_id: int) -> None:
    by_hand = Trigger(event=Event.MANUAL, sha=SHA, ref="refs/heads/main", branch="main")
    runs = [queued(database, repo_id, by_hand) for _ in range(2)]
    with transaction(database) as session:
        session.execute(update(Job).values(group_key="deploy"))
    assert newer_in_the_group(database, runs[0]) == {}


def test_a_run_of_another_repository_is_not_canceled(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        other_repo = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall")).id
    older = queued(database, other_repo, push())
    queued(database, repo_id, push())
    assert run_now(database, older.run_id).state is State.QUEUED


def test_of_the_deliveries_in_a_batch_the_last_wins(database: Engine, repo_id: int) -> None:
    deliveries = [(repo_id, store.NewDelivery(f"d{number}", trigger=push())) for number in range(3)]
    with transaction(database) as session:
        receipts = store.record_deliveries(session, deliveries)
    states = [run_now(database, receipt.run_id or 0).state for receipt in receipts if receipt]
    assert states == [State.CANCELED, State.CANCELED, State.QUEUED]


@pytest.mark.slow
@pytest.mark.parametrize("event", set(Event) - {Event.PUSH, Event.PULL_REQUEST})
def test_no_other_event_cancels_or_is_canceled(database: Engine, repo_id: int, event: Event) -> None:
    trigger = Trigger(event=event, sha=SHA, ref="refs/heads/main", branch="main")
    runs = [queued(database, repo_id, each) for each in (trigger, trigger, push(), trigger)]
    assert {run_now(database, run.run_id).state for run in runs} == {State.QUEUED}
    with transaction(database) as session, pytest.raises(ValueError, match="never canceled"):
        store.set_newest_wins(session, repo_id, {event})


def test_a_rerun_cancels_none_and_a_newer_push_cancels_it(database: Engine, repo_id: int) -> None:
    first = queued(database, repo_id, push(branch="old"))
    newer = queued(database, repo_id, push(branch="old"))
    with transaction(database) as session:
        again = store.rerun(session, first.run_id)
    assert run_now(database, newer.run_id).state is State.QUEUED
    queued(database, repo_id, push(branch="old"))
    assert run_now(database, again.run_id).state is State.CANCELED


def test_by_default_only_pull_requests_cancel_older_runs(database: Engine) -> None:
    with transaction(database) as session:
        repo = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall")).id
    pushes = [queued(database, repo, push()) for _ in range(2)]
    requests = [queued(database, repo, pull_request(from_fork=True)) for _ in range(2)]
    assert [run_now(database, run.run_id).state for run in pushes] == [State.QUEUED] * 2
    assert [run_now(database, run.run_id).state for run in requests] == [State.CANCELED, State.QUEUED]


def test_another_pull_request_is_not_canceled(database: Engine, repo_id: int) -> None:
    one = queued(database, repo_id, pull_request(from_fork=False))
    queued(database, repo_id, pull_request(from_fork=False).model_copy(update={"ref": "refs/pull/8/head"}))
    assert run_now(database, one.run_id).state is State.QUEUED


def test_a_job_that_loses_its_worker_during_its_cancellation_ends_as_superseded(database: Engine, repo_id: int) -> None:
    first = queued(database, repo_id, push())
    with transaction(database) as session:
        leases.claim(session, first.job_id, "w1", 60)
    queued(database, repo_id, push())
    with transaction(database) as session:
        leases.reap(session, held_by(session, first.job_id))
    assert run_now(database, first.run_id).reason is Reason.SUPERSEDED
