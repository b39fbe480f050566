"""Runs that wait for approval, on each of the two databases: what holds them, what frees them, what cancels them."""

from time import sleep

import pytest
from sqlalchemy import Engine, select

from pipelines.plan import Concurrency
from pipelines.state import PASSED, Reason, State
from pipelines.trigger import Event, Trigger
from tests.support.builders import job_plan, plan, pull_request, push
from workers import store
from workers.db.models import Approval, Job, Run, Status
from workers.db.session import reading, transaction
from workers.store.jobs import leases

OTHER = "f" * 40


def fork(
    sha: str = "a" * 40, author: str = "7", number: int = 7, event: Event = Event.PULL_REQUEST, into: str = "main"
) -> Trigger:
    trigger = pull_request(from_fork=True)
    assert trigger.pull_request is not None
    new = {"author_id": author, "number": number, "target_branch": into}
    pull = trigger.pull_request.model_copy(update=new)
    return trigger.model_copy(
        update={"sha": sha, "event": event, "ref": f"refs/pull/{number}/head", "pull_request": pull}
    )


def held(database: Engine, repo_id: int, trigger: Trigger | None = None, parent: int | None = None) -> store.Queued:
    with transaction(database) as session:
        return store.queue_run(session, repo_id, trigger or fork(), parent, held=True)


def run_now(database: Engine, queued: store.Queued) -> Run:
    with reading(database) as session:
        return session.get_one(Run, queued.run_id)


def claimed(database: Engine, job_id: int) -> leases.Claim | None:
    with transaction(database) as session:
        return leases.claim(session, job_id, "w1", 60)


def approved(database: Engine, queued: store.Queued, by: str = "ada") -> list[int]:
    with transaction(database) as session:
        return store.approve(session, queued.run_id, by)


def test_a_held_run_is_offered_to_no_worker_and_says_what_it_waits_for(database: Engine, repo_id: int) -> None:
    queued = held(database, repo_id)
    assert claimed(database, queued.job_id) is None
    with reading(database) as session:
        assert leases.next_ready(session) is None
        assert leases.ready_not_notified(session, -1) == []
        assert leases.labels_needed(session, queued.job_id) is None
        (why,) = store.why_waiting(session, "acme/roof", store.jobs_of(session, queued.run_id)).values()
    assert why.startswith("Waits for approval by a maintainer")
    assert (run_now(database, queued).state, run_now(database, queued).held) == (State.QUEUED, True)


def test_a_held_run_has_no_turn_in_a_group(database: Engine, repo_id: int) -> None:
    held(database, repo_id)
    with transaction(database) as session:
        later = store.queue_run(session, repo_id, push())
        claim = leases.claim(session, later.job_id, "w1", 60)
        assert claim is not None
        deploy = job_plan("deploy").model_copy(update={"concurrency": Concurrency(limit=1)})
        planned = store.plan_run(session, later.job_id, claim.attempt, plan(deploy))
    assert planned.mine is not None, "it need not wait until the held run is planned"


def lanes(database: Engine) -> dict[int, str | None]:
    with reading(database) as session:
        return {job.id: job.lane for job in session.scalars(select(Job))}


def in_a_group(database: Engine, repo_id: int) -> int:
    """A planned job of a concurrency group, which no worker has."""
    deploy = job_plan("deploy").model_copy(update={"concurrency": Concurrency(limit=1)})
    with transaction(database) as session:
        queued = store.queue_run(session, repo_id, push())
        claim = leases.claim(session, queued.job_id, "w1", 60)
        assert claim is not None
        store.plan_run(session, queued.job_id, claim.attempt, plan(deploy), lambda _: False)
    return queued.job_id


def test_only_an_approval_gives_a_held_run_its_lane(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        new = [store.NewDelivery("d1", trigger=fork(), held=True), store.NewDelivery("d2", trigger=push())]
        receipts = store.record_deliveries(session, [(repo_id, each) for each in new])
    waits, free = (receipt.job_id for receipt in receipts if receipt and receipt.job_id and receipt.run_id)
    assert lanes(database) == {waits: None, free: ""}
    with transaction(database) as session:
        run_id = session.get_one(Job, waits).run_id
        assert store.approve(session, run_id, "ada") == [waits]
    assert lanes(database) == {waits: "", free: ""}
    with reading(database) as session:
        assert leases.next_ready(session) == waits


def test_a_run_that_is_held_by_its_worker_lets_later_ones_go_on(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        first = store.queue_run(session, repo_id, push())
        claim = leases.claim(session, first.job_id, "w1", 60)
        assert claim is not None
    later = in_a_group(database, repo_id)
    assert lanes(database) == {first.job_id: None, later: None}
    with transaction(database) as session:
        store.hold_run(session, first.job_id, claim.attempt)
    assert lanes(database) == {first.job_id: None, later: ""}


def test_a_run_that_is_rejected_after_it_was_approved_lets_later_ones_go_on(database: Engine, repo_id: int) -> None:
    first = held(database, repo_id)
    approved(database, first)
    later = in_a_group(database, repo_id)
    assert lanes(database) == {first.job_id: "", later: None}
    with transaction(database) as session:
        store.request_cancel(session, first.run_id, "ada")
    assert lanes(database) == {first.job_id: None, later: ""}


def test_an_approval_frees_the_run_and_names_who_gave_it(database: Engine, repo_id: int) -> None:
    queued = held(database, repo_id)
    assert approved(database, queued) == [queued.job_id]
    run = run_now(database, queued)
    assert (run.held, run.approved_by) == (False, "ada")
    assert claimed(database, queued.job_id) is not None


def test_an_approval_is_for_all_waiting_and_later_runs_of_the_commit_and_author(database: Engine, repo_id: int) -> None:
    first, labeled = held(database, repo_id), held(database, repo_id, fork(event=Event.PULL_REQUEST_METADATA))
    others = [held(database, repo_id, fork(sha=OTHER, number=8)), held(database, repo_id, fork(author="8", number=9))]
    assert sorted(approved(database, first)) == [first.job_id, labeled.job_id]
    assert [run_now(database, each).held for each in others] == [True, True]
    again = held(database, repo_id, parent=first.run_id)
    assert (run_now(database, again).held, run_now(database, again).approved_by) == (False, "ada")
    assert claimed(database, again.job_id) is not None


@pytest.mark.parametrize("trigger", [fork(sha=OTHER), fork(author="8"), fork(author="")])
def test_another_commit_or_another_author_needs_another_approval(
    database: Engine, repo_id: int, trigger: Trigger
) -> None:
    approved(database, held(database, repo_id))
    assert run_now(database, held(database, repo_id, trigger)).held


def test_an_approval_is_for_one_repository(database: Engine, repo_id: int) -> None:
    approved(database, held(database, repo_id))
    with transaction(database) as session:
        other = store.add_repo(session, store.NewRepo("acme/door", "file:///srv/door.git")).id
    assert run_now(database, held(database, other)).held


def test_a_run_can_be_approved_once_and_not_after_its_end(database: Engine, repo_id: int) -> None:
    queued = held(database, repo_id)
    approved(database, queued)
    with pytest.raises(store.NotHeldError):
        approved(database, queued)
    rejected = held(database, repo_id, fork(sha=OTHER))
    with transaction(database) as session:
        store.request_cancel(session, rejected.run_id, "ada")
    run = run_now(database, rejected)
    assert (run.state, run.reason, run.held, run.sentence) == (
        State.CANCELED, Reason.CANCELED, False, "The run was canceled by ada.",
    )  # fmt: skip
    with pytest.raises(store.NotHeldError):
        approved(database, rejected)
    with reading(database) as session:
        assert session.scalars(select(Approval.sha)).all() == ["a" * 40]


@pytest.mark.parametrize("event", [Event.PULL_REQUEST, Event.PULL_REQUEST_CLOSED])
def test_a_newer_push_to_the_pull_request_cancels_what_waits(database: Engine, repo_id: int, event: Event) -> None:
    with transaction(database) as session:
        store.set_newest_wins(session, repo_id, [])
    older, labeled = held(database, repo_id), held(database, repo_id, fork(event=Event.PULL_REQUEST_METADATA))
    other = held(database, repo_id, fork(number=8))
    newer = held(database, repo_id, fork(sha=OTHER, event=event))
    for each in (older, labeled):
        run = run_now(database, each)
        assert (run.state, run.reason) == (State.CANCELED, Reason.SUPERSEDED)
        assert run.sentence == f"Superseded by run {newer.number}."
    assert run_now(database, other).held
    assert run_now(database, newer).held


def test_a_newer_run_that_need_not_wait_cancels_what_waits(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        store.set_newest_wins(session, repo_id, [])
        first = store.queue_run(session, repo_id, push())
    older = held(database, repo_id, push())
    with transaction(database) as session:
        newer = store.queue_run(session, repo_id, push())
    states = [run_now(database, each).state for each in (first, older, newer)]
    assert states == [State.QUEUED, State.CANCELED, State.QUEUED]


def test_a_label_or_a_rerun_cancels_nothing(database: Engine, repo_id: int) -> None:
    first = held(database, repo_id)
    held(database, repo_id, fork(event=Event.PULL_REQUEST_METADATA))
    held(database, repo_id, parent=first.run_id)
    assert run_now(database, first).held


def test_of_two_deliveries_in_one_batch_the_newer_waits(database: Engine, repo_id: int) -> None:
    new = [store.NewDelivery(f"d{n}", trigger=fork(sha=str(n) * 40), held=True) for n in (1, 2)]
    with transaction(database) as session:
        receipts = store.record_deliveries(session, [(repo_id, each) for each in new])
    states = []
    with reading(database) as session:
        for receipt in receipts:
            assert receipt is not None
            run = store.run_by_id(session, receipt.run_id or 0)
            assert run is not None
            states.append((run.state, run.held))
    assert states == [(State.CANCELED, False), (State.QUEUED, True)]


def test_a_worker_gives_a_run_back_that_turns_out_to_be_untrusted(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        store.set_forge_token(session, repo_id, "sealed", "")
        queued = store.queue_run(session, repo_id, push())
        claim = leases.claim(session, queued.job_id, "w1", 60)
        assert claim is not None
        pending = store.claim_status(session, queued.run_id, 1000)
        assert pending is not None
        store.mark_reported(session, pending, {"": State.QUEUED}, over=False)
        store.set_trigger(session, queued.job_id, claim.attempt, push(), on_branch=False)
        store.hold_run(session, queued.job_id, claim.attempt)
    run = run_now(database, queued)
    assert (run.state, run.held, run.on_branch, run.started_ms) == (State.QUEUED, True, False, None)
    with reading(database) as session:
        job = session.get_one(Job, queued.job_id)
        assert (job.state, job.ready, job.lease_owner, job.lease_until_ms) == (State.QUEUED, False, "", None)
        assert session.get_one(Status, queued.run_id).told is None, "the forge is told what it waits for"
    with transaction(database) as session, pytest.raises(store.StaleAttemptError):
        store.hold_run(session, queued.job_id, claim.attempt)
    assert approved(database, queued) == [queued.job_id]
    again = claimed(database, queued.job_id)
    assert again is not None
    assert again.attempt == claim.attempt + 1
    with transaction(database) as session:
        store.plan_run(session, queued.job_id, again.attempt, plan(job_plan("build")))
        store.finish_job(session, queued.job_id, again.attempt, PASSED)
    assert run_now(database, queued).state is State.PASSED


def test_a_run_that_was_canceled_meanwhile_is_not_held(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        queued = store.queue_run(session, repo_id, push())
        claim = leases.claim(session, queued.job_id, "w1", 60)
        assert claim is not None
        store.request_cancel(session, queued.run_id, "ada")
        store.hold_run(session, queued.job_id, claim.attempt)
    assert (run_now(database, queued).state, run_now(database, queued).held) == (State.CANCELED, False)


HERE, THERE = "refs/heads/topic", "refs/heads/main"


def answered(database: Engine, repo_id: int, ref: str, *answers: bool, ends: bool = True) -> store.Queued:
    """A run of a commit at a ref, of which git says this; each further answer is after an approval."""
    trigger = push().model_copy(update={"ref": ref})
    with transaction(database) as session:
        queued = store.queue_run(session, repo_id, trigger)
    for on_branch in answers:
        say(database, queued, trigger, on_branch=on_branch)
    if ends:
        with transaction(database) as session:
            store.request_cancel(session, queued.run_id, "ada")
    return queued


def say(database: Engine, queued: store.Queued, trigger: Trigger, *, on_branch: bool) -> None:
    with transaction(database) as session:
        claim = leases.claim(session, queued.job_id, "w1", 60)
        assert claim is not None
        store.set_trigger(session, queued.job_id, claim.attempt, trigger, on_branch=on_branch)
        store.hold_run(session, queued.job_id, claim.attempt)
        store.approve(session, queued.run_id, "ada")


def known(database: Engine, repo_id: int, ref: str = HERE) -> bool:
    with reading(database) as session:
        return store.was_on_branch(session, repo_id, ref, push().sha)


def test_while_git_cannot_be_asked_its_last_answer_counts(database: Engine, repo_id: int) -> None:
    assert not known(database, repo_id)
    answered(database, repo_id, HERE, True)
    assert known(database, repo_id)
    assert not known(database, repo_id, THERE), "of another ref nothing is known"
    answered(database, repo_id, HERE, False)
    assert not known(database, repo_id)
    sleep(0.002)
    answered(database, repo_id, HERE, True)
    assert known(database, repo_id)


def test_an_answer_about_the_commit_at_another_ref_counts_too(database: Engine, repo_id: int) -> None:
    answered(database, repo_id, HERE, True)
    answered(database, repo_id, THERE, False)
    assert not known(database, repo_id)


def test_an_older_run_may_have_been_judged_later(database: Engine, repo_id: int) -> None:
    older = answered(database, repo_id, HERE, True, ends=False)
    answered(database, repo_id, HERE, True)
    assert known(database, repo_id)
    say(database, older, push().model_copy(update={"ref": HERE}), on_branch=False)
    assert not known(database, repo_id)


def test_a_pull_request_of_a_fork_is_no_answer_of_git(database: Engine, repo_id: int) -> None:
    answered(database, repo_id, HERE, True)
    of_fork = fork(push().sha)
    with transaction(database) as session:
        queued = store.queue_run(session, repo_id, of_fork)
    say(database, queued, of_fork, on_branch=False)
    assert known(database, repo_id)


def test_an_approval_for_one_target_branch_is_none_for_another(database: Engine, repo_id: int) -> None:
    first = held(database, repo_id)
    release = held(database, repo_id, fork(number=8, into="release"))
    assert approved(database, first) == [first.job_id]
    assert run_now(database, release).held
    assert run_now(database, held(database, repo_id, fork(number=9, into="release"))).held
    assert not run_now(database, held(database, repo_id, fork(number=10))).held


def test_without_the_id_of_an_author_an_approval_is_for_one_run(database: Engine, repo_id: int) -> None:
    first = held(database, repo_id, fork(author=""))
    others = [held(database, repo_id, fork(author="", number=8)), held(database, repo_id, push(sha="a" * 40))]
    assert approved(database, first) == [first.job_id]
    assert not run_now(database, first).held
    others.append(held(database, repo_id, fork(author="", number=9)))
    assert [run_now(database, each).held for each in others] == [True] * 3
    with reading(database) as session:
        assert store.approver(session, repo_id, fork(author=""), first.run_id) == "ada", "its worker asks again"
        assert store.approver(session, repo_id, fork(author=""), others[0].run_id) == ""
        assert store.approver(session, repo_id, fork(author=f"run:{first.run_id}")) == "", "no sender can name it"
