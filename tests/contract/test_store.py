"""The store's contract, on each of the two databases."""

import threading

import pytest
from sqlalchemy import Engine, select

from pipelines.context import Trust
from pipelines.plan import (
    BuildStep,
    BuiltImage,
    CommandsStep,
    Container,
    LeftOut,
    NamedImage,
    Plan,
    PluginStep,
    PushStep,
    Step,
)
from pipelines.problem import Problem
from pipelines.state import PASSED, Outcome, Reason, State
from pipelines.trigger import Event
from tests.support.builders import job_plan, plan, pull_request, push
from workers import store
from workers.db.models import Delivery, Run
from workers.db.session import reading, transaction
from workers.store.jobs import leases
from workers.store.repos.secrets_in_reach import secrets_in_reach

FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "It ended with exit status 1.", exit_code=1)


def queued(database: Engine, repo_id: int) -> store.Queued:
    with transaction(database) as session:
        return store.queue_run(session, repo_id, push())


def claimed(database: Engine, job_id: int, owner: str = "w1") -> leases.Claim:
    with transaction(database) as session:
        claim = leases.claim(session, job_id, owner, 15)
    assert claim is not None
    return claim


def planned(database: Engine, repo_id: int, what: Plan) -> tuple[leases.Claim, store.Planned]:
    claim = claimed(database, queued(database, repo_id).job_id)
    with transaction(database) as session:
        return claim, store.plan_run(session, claim.job_id, claim.attempt, what)


def finish(database: Engine, claim: leases.Claim, outcome: Outcome) -> store.Finished:
    with transaction(database) as session:
        return store.finish_job(session, claim.job_id, claim.attempt, outcome)


def verdict_after(database: Engine, claim: leases.Claim, outcome: Outcome) -> State:
    """The run's state once this job has ended."""
    finish(database, claim, outcome)
    return run_now(database, claim.run_id).state


def states(database: Engine, run_id: int) -> dict[str, State]:
    with reading(database) as session:
        return {job.name: job.state for job in store.jobs_of(session, run_id)}


def run_now(database: Engine, run_id: int) -> Run:
    with reading(database) as session:
        run = store.run_by_id(session, run_id)
    assert run is not None
    return run


# Repositories


def test_a_repository_is_found_by_its_exact_name(database: Engine, repo_id: int) -> None:
    with reading(database) as session:
        repo = store.repo_by_name(session, "acme/roof")
        assert repo is not None
        assert repo.id == repo_id
        assert store.repo_by_name(session, "ACME/roof") is None


def test_a_name_is_unique(database: Engine, repo_id: int) -> None:
    with transaction(database) as session, pytest.raises(store.AlreadyThereError, match="acme/roof"):
        store.add_repo(session, store.NewRepo("acme/roof", "file:///elsewhere"))


def test_pipelines_see_a_repository_as_it_was_added(database: Engine) -> None:
    new = store.NewRepo("a/b", "ssh://git@x/a/b", "gitea", "https://x/a/b", "trunk", private=True)
    with transaction(database) as session:
        repo_id = store.add_repo(session, new).id
        store.set_trust(session, repo_id, Trust(volumes=True))
    with reading(database) as session:
        repo = store.repo_by_id(session, repo_id)
        assert repo is not None
        info = store.repo_info(repo)
    assert (info.name, info.clone_url, info.web_url, info.default_branch) == (
        "a/b",
        new.clone_url,
        new.web_url,
        "trunk",
    )
    assert (info.private, info.forge, info.trust) == (True, "gitea", Trust(volumes=True))


def test_removing_a_repository_removes_all_its_rows_and_names_the_runs(database: Engine, repo_id: int) -> None:
    claim, _ = planned(database, repo_id, plan(job_plan("test")))
    with transaction(database) as session:
        store.put_secret(session, repo_id, "token", "sealed")
        store.record_delivery(session, repo_id, store.NewDelivery("d1", trigger=push()))
    with transaction(database) as session:
        run_ids = store.remove_repo(session, repo_id).run_ids
    assert claim.run_id in run_ids
    assert len(run_ids) == 2
    with reading(database) as session:
        assert store.repos(session) == []
        assert store.steps_of(session, claim.job_id) == []
        assert session.scalars(select(Delivery)).all() == []


def test_a_hook_secret_is_stored(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        store.set_hook_secret(session, repo_id, "v1|sealed")
    with reading(database) as session:
        repo = store.repo_by_id(session, repo_id)
    assert repo is not None
    assert repo.hook_secret_sealed == "v1|sealed"


# Deliveries


def test_a_delivery_with_a_trigger_queues_a_run_and_names_its_job(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        receipt = store.record_delivery(session, repo_id, store.NewDelivery("d1", "push", 120, push("Mend\n\nmore")))
    assert (receipt.state, receipt.run_number) == (store.DeliveryState.ACCEPTED, 1)
    assert receipt.run_id is not None
    run = run_now(database, receipt.run_id)
    assert (run.state, run.title, run.message, run.author) == (State.QUEUED, "Mend", "Mend\n\nmore", "Ada Lovelace")
    with reading(database) as session:
        assert [job.id for job in store.jobs_of(session, run.id)] == [receipt.job_id]
        assert store.trigger_of(run) == push("Mend\n\nmore")


def test_the_same_delivery_again_finds_the_same_run_and_wakes_no_worker(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        first = store.record_delivery(session, repo_id, store.NewDelivery("d1", trigger=push()))
    with transaction(database) as session:
        again = store.record_delivery(session, repo_id, store.NewDelivery("d1", trigger=push("other")))
    assert again.job_id is None
    assert (again.run_id, again.run_number) == (first.run_id, first.run_number)
    with reading(database) as session:
        assert len(store.runs_of(session, repo_id)) == 1


def test_the_same_key_of_another_repository_is_another_delivery(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        other = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall")).id
        store.record_delivery(session, repo_id, store.NewDelivery("d1", trigger=push()))
        receipt = store.record_delivery(session, other, store.NewDelivery("d1", trigger=push()))
    assert receipt.job_id is not None
    assert receipt.run_number == 1


@pytest.mark.parametrize("state", [store.DeliveryState.NOTHING_TO_DO, store.DeliveryState.REFUSED])
def test_a_delivery_without_a_trigger_is_stored_with_its_reason(
    database: Engine, repo_id: int, state: store.DeliveryState
) -> None:
    new = store.NewDelivery("d1", "ping", state=state, reason="A ping needs no run.")
    with transaction(database) as session:
        first = store.record_delivery(session, repo_id, new)
    with transaction(database) as session:
        again = store.record_delivery(session, repo_id, new)
    assert first == again == store.Receipt(state, new.reason)
    with reading(database) as session:
        assert len(session.scalars(select(Delivery)).all()) == 1


def test_a_delivery_sent_many_times_at_once_makes_one_run(database: Engine, repo_id: int) -> None:
    receipts: list[store.Receipt] = []

    def send() -> None:
        with transaction(database) as session:
            receipts.append(store.record_delivery(session, repo_id, store.NewDelivery("d1", trigger=push())))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.job_id is not None for receipt in receipts) == [False] * 7 + [True]
    assert {receipt.run_number for receipt in receipts} == {1}


def test_a_batch_of_deliveries_is_stored_each_with_its_own_receipt(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        other = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall")).id
        old = store.record_delivery(session, repo_id, store.NewDelivery("d0", trigger=push("old")))
    incoming = [
        (repo_id, store.NewDelivery("d1", trigger=push("first"))),
        (other, store.NewDelivery("d1", trigger=push("elsewhere"))),
        (repo_id, store.NewDelivery("d1", trigger=push("again"))),
        (repo_id, store.NewDelivery("d0", trigger=push("known"))),
        (repo_id + other, store.NewDelivery("d1", trigger=push("to no repository"))),
        (repo_id, store.NewDelivery("d2", reason="A ping needs no run.")),
        (repo_id, store.NewDelivery("d3", trigger=push("last"))),
    ]
    with transaction(database) as session:
        receipts = store.record_deliveries(session, incoming)
    assert receipts[4] is None
    first, elsewhere, again, known, ping, last = (receipt for receipt in receipts if receipt)
    assert [each.run_number for each in (first, elsewhere, again, known, ping, last)] == [2, 1, 2, 1, None, 3]
    assert (again.run_id, again.job_id, known.run_id, known.job_id) == (first.run_id, None, old.run_id, None)
    assert (ping.state, ping.reason) == (store.DeliveryState.NOTHING_TO_DO, "A ping needs no run.")
    for receipt, message in ((first, "first"), (elsewhere, "elsewhere"), (last, "last")):
        assert receipt.run_id is not None
        assert run_now(database, receipt.run_id).message == message
        with reading(database) as session:
            assert [job.id for job in store.jobs_of(session, receipt.run_id)] == [receipt.job_id]
            kept = session.scalars(select(Delivery).where(Delivery.run_id == receipt.run_id)).all()
        assert [row.repo_id for row in kept] == [other if receipt is elsewhere else repo_id]


def test_an_empty_batch_is_no_error(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        assert store.record_deliveries(session, []) == []


def test_the_same_deliveries_in_two_orders_at_once_make_each_run_once_without_deadlocks(
    database: Engine, repo_id: int
) -> None:
    with transaction(database) as session:
        other = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall")).id
    rounds = [
        [(repo, store.NewDelivery(f"{number}-{key}", trigger=push())) for key in "abc" for repo in (repo_id, other)]
        for number in range(20)
    ]
    failures: list[Exception] = []

    def send(*, backwards: bool) -> None:
        try:
            for incoming in rounds:
                with transaction(database) as session:
                    store.record_deliveries(session, incoming[::-1] if backwards else incoming)
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=send, kwargs={"backwards": each}) for each in (False, True, False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with reading(database) as session:
        for repo in (repo_id, other):
            numbers = [run.number for run in store.runs_of(session, repo, limit=1000)]
            assert sorted(numbers) == list(range(1, 61))
        assert len(session.scalars(select(Delivery)).all()) == 120


def test_only_repositories_with_a_hook_secret_are_found(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        locked = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall", forge="gitea")).id
        store.set_hook_secret(session, locked, "sealed")
    with reading(database) as session:
        targets = store.hook_targets(session, {"acme/roof", "acme/wall", "acme/nothing", "a\0b"})
    assert targets == [store.HookTarget("acme/wall", locked, "gitea", "sealed", active=True)]


# Runs


def test_runs_that_are_queued_at_once_get_numbers_without_gaps(database: Engine, repo_id: int) -> None:
    numbers: list[int] = []

    def work() -> None:
        for _ in range(5):
            numbers.append(queued(database, repo_id).number)  # noqa: PERF401 - one transaction each

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 21))


def test_hostile_text_in_a_commit_is_kept_as_text(database: Engine, repo_id: int) -> None:
    message = '\'; DROP TABLE runs; -- <script>alert(1)</script> $(reboot) \0 \x1b[31m \N{SNOWMAN}\n"quoted"'
    with transaction(database) as session:
        run_id = store.queue_run(session, repo_id, push(message)).run_id
    run = run_now(database, run_id)
    assert run.message == message.replace("\0", "\N{REPLACEMENT CHARACTER}")
    assert store.trigger_of(run).message == message


def test_a_pull_requests_run_has_the_pull_requests_title(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        run_id = store.queue_run(session, repo_id, pull_request(from_fork=False, title="A better roof")).run_id
    assert run_now(database, run_id).title == "A better roof"


def test_runs_are_listed_newest_first_and_page_by_page(database: Engine, repo_id: int) -> None:
    for _ in range(5):
        queued(database, repo_id)
    with reading(database) as session:
        assert [run.number for run in store.runs_of(session, repo_id, limit=2)] == [5, 4]
        assert [run.number for run in store.runs_of(session, repo_id, before=4, limit=2)] == [3, 2]
        assert [(run.number, repo.name) for run, repo in store.recent_runs(session, 1)] == [(5, "acme/roof")]
        assert {repo: run.number for repo, run in store.last_runs(session, store.repos(session)).items()} == {
            repo_id: 5
        }
        found = store.run_by_number(session, repo_id, 3)
        assert found is not None
        assert found.number == 3
        assert store.run_by_number(session, repo_id, 6) is None


def test_the_previous_run_is_the_one_before_on_the_same_branch(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        for branch in ("main", "other", "main"):
            store.queue_run(session, repo_id, push(branch=branch))
    with reading(database) as session:
        last = store.run_by_number(session, repo_id, 3)
        assert last is not None
        previous = store.previous_run(session, last)
        assert previous is not None
        assert previous.number == 1
        assert store.previous_run(session, previous) is None


def test_a_rerun_has_the_same_trigger_a_new_number_and_a_parent(database: Engine, repo_id: int) -> None:
    first = queued(database, repo_id)
    with transaction(database) as session:
        again = store.rerun(session, first.run_id)
    run = run_now(database, again.run_id)
    assert (run.number, run.parent_run_id, run.state) == (2, first.run_id, State.QUEUED)
    assert store.trigger_of(run) == store.trigger_of(run_now(database, first.run_id))


def test_what_git_knows_about_the_commit_replaces_the_trigger(database: Engine, repo_id: int) -> None:
    claim = claimed(database, queued(database, repo_id).job_id)
    with transaction(database) as session:
        store.set_trigger(session, claim.job_id, claim.attempt, push("From git"), on_branch=True)
    run = run_now(database, claim.run_id)
    assert (run.title, store.trigger_of(run).message) == ("From git", "From git")


# Planning


def test_planning_turns_the_unplanned_job_into_the_first_and_adds_the_others_with_their_steps(
    database: Engine, repo_id: int
) -> None:
    what = plan(job_plan("deploy", 1, needs=("test",)), job_plan("test", 2, steps=3), job_plan("lint", 3))
    claim, done = planned(database, repo_id, what)
    assert done.mine == what.jobs[1]
    with reading(database) as session:
        jobs = {job.name: job for job in store.jobs_of(session, claim.run_id)}
        steps = [(step.number, step.name, step.kind, step.image) for step in store.steps_of(session, claim.job_id)]
        assert len(store.steps_of_run(session, claim.run_id)) == 7
    assert jobs["test"].id == claim.job_id
    assert steps == [(n, f"step-{n}", "commands", "busybox") for n in (1, 2, 3)]
    assert done.ready_job_ids == [jobs["lint"].id]
    assert (jobs["deploy"].ready, jobs["lint"].ready) == (False, True)
    assert sorted(done.job_ids) == sorted(job.id for job in jobs.values())


def test_a_planned_job_is_claimed_with_its_plan(database: Engine, repo_id: int) -> None:
    what = plan(job_plan("test", 1), job_plan("lint", 2))
    _, done = planned(database, repo_id, what)
    assert claimed(database, done.ready_job_ids[0]).plan == what.jobs[1]


@pytest.mark.parametrize("event", [Event.MANUAL, Event.DEPLOYMENT])
def test_a_run_that_a_person_started_and_in_which_nothing_ran_is_skipped(
    database: Engine, repo_id: int, event: Event
) -> None:
    by_hand = push().model_copy(update={"event": event})
    with transaction(database) as session:
        first, second, third = (store.queue_run(session, repo_id, by_hand) for _ in range(3))
    left_out = (LeftOut(what="workflow 'deploy'", why='evaluate says no: TARGET == "x"'),)
    claim = claimed(database, first.job_id)
    with transaction(database) as session:
        store.plan_run(session, claim.job_id, claim.attempt, Plan(jobs=(), left_out=left_out))
    run = run_now(database, first.run_id)
    assert (run.state, run.reason) == (State.SKIPPED, Reason.CONDITION)
    why = "(workflow 'deploy': evaluate says no: TARGET == \"x\")"
    assert run.sentence == f"Nothing ran: nothing in the pipeline runs for this trigger {why}."
    # All of its steps were left out by their own conditions, or one of them ran.
    for queued_run, state, verdict in ((second, State.SKIPPED, State.SKIPPED), (third, State.PASSED, State.PASSED)):
        claim = claimed(database, queued_run.job_id)
        with transaction(database) as session:
            store.plan_run(session, claim.job_id, claim.attempt, plan(job_plan("alarm")))
            for number, step_state in ((1, state), (2, State.SKIPPED)):
                store.finish_step(session, claim.job_id, claim.attempt, number, Outcome(step_state))
            store.finish_job(session, claim.job_id, claim.attempt, PASSED)
        assert run_now(database, queued_run.run_id).state is verdict
    assert run_now(database, second.run_id).sentence.startswith("Nothing ran: each step was left out")


def test_a_plan_without_jobs_ends_the_run_as_passed_and_says_why(database: Engine, repo_id: int) -> None:
    claim, done = planned(database, repo_id, Plan(jobs=(), left_out=(LeftOut(what="test", why="event is push"),)))
    assert done == store.Planned(None)
    run = run_now(database, claim.run_id)
    assert (run.state, run.reason) == (State.PASSED, Reason.CONDITION)
    assert "test: event is push" in run.sentence
    assert run.left_out == [{"what": "test", "why": "event is push"}]
    assert run.finished_ms is not None


def test_problems_end_the_run_and_are_stored_with_it(database: Engine, repo_id: int) -> None:
    claim = claimed(database, queued(database, repo_id).job_id)
    problem = Problem(".headway.yml", 3, 5, "unknown key: imge", "did you mean image?")
    outcome = Outcome(State.FAILED, Reason.INVALID_PIPELINE, "The pipeline has 1 problem.")
    with transaction(database) as session:
        finished = store.fail_planning(session, claim.job_id, claim.attempt, outcome, [problem])
    assert finished == store.Finished(claim.run_id)
    run = run_now(database, claim.run_id)
    assert run.state is State.FAILED
    assert (run.reason, run.sentence) == (Reason.INVALID_PIPELINE, outcome.message)
    assert run.problems == [
        {"file": ".headway.yml", "line": 3, "column": 5, "message": "unknown key: imge",
         "hint": "did you mean image?", "level": "error", "excerpt": [], "text": str(problem)}
    ]  # fmt: skip


# Steps and jobs


def test_a_step_is_stored_from_start_to_end(database: Engine, repo_id: int) -> None:
    claim, _ = planned(database, repo_id, plan(job_plan("test")))
    fence = claim.job_id, claim.attempt
    with transaction(database) as session:
        store.start_step(session, *fence, 1)
        store.set_step_facts(session, *fence, 1, {"image_id": "sha256:1"})
    with transaction(database) as session:
        store.finish_step(session, *fence, 1, FAILED, (120, 3), {"image_id": "sha256:2"})
    with reading(database) as session:
        step = store.steps_by_number(session, claim.job_id)[1]
        place = store.step_place(session, step.id)
        assert store.step_by_id(session, step.id) is step
    assert (step.state, step.reason, step.exit_code, step.message) == (
        State.FAILED,
        Reason.EXIT_CODE,
        1,
        FAILED.message,
    )
    assert (step.log_bytes, step.log_lines, step.attempt, step.facts) == (120, 3, 1, {"image_id": "sha256:2"})
    assert step.started_ms is not None
    assert step.finished_ms is not None
    assert step.started_ms <= step.finished_ms
    assert place is not None
    assert (place.job.id, place.run.id, place.repo.id) == (claim.job_id, claim.run_id, repo_id)


def test_the_last_job_gives_the_run_its_verdict_and_skips_steps_that_did_not_start(
    database: Engine, repo_id: int
) -> None:
    claim, _ = planned(database, repo_id, plan(job_plan("test")))
    with transaction(database) as session:
        store.start_step(session, claim.job_id, claim.attempt, 1)
        store.finish_step(session, claim.job_id, claim.attempt, 1, FAILED)
    finished = finish(database, claim, FAILED)
    assert finished == store.Finished(claim.run_id, [])
    run = run_now(database, claim.run_id)
    assert (run.state, run.reason, run.sentence) == (State.FAILED, Reason.EXIT_CODE, FAILED.message)
    assert run.started_ms is not None
    assert run.finished_ms is not None
    with reading(database) as session:
        assert [step.state for step in store.steps_of(session, claim.job_id)] == [State.FAILED, State.SKIPPED]


@pytest.mark.slow
def test_a_step_that_still_runs_when_its_job_ends_ends_as_the_job_does(database: Engine, repo_id: int) -> None:
    claim, _ = planned(database, repo_id, plan(job_plan("test")))
    with transaction(database) as session:
        store.start_step(session, claim.job_id, claim.attempt, 1)
    finish(database, claim, Outcome(State.BROKEN, Reason.ENGINE_GONE, "The engine is gone."))
    with reading(database) as session:
        first, second = store.steps_of(session, claim.job_id)
    assert (first.state, first.reason, first.message) == (State.BROKEN, Reason.ENGINE_GONE, "The engine is gone.")
    assert second.state is State.SKIPPED
    assert None not in {first.finished_ms, second.finished_ms}


def test_each_kind_of_step_shows_the_image_that_it_is_about(database: Engine, repo_id: int) -> None:
    built = Container(image=BuiltImage(step=1))
    steps: tuple[Step, ...] = (
        BuildStep(number=1, name="image"),
        CommandsStep(number=2, name="test", container=built, commands=("make test",)),
        PluginStep(number=3, name="notify", container=Container(image=NamedImage(name="plugins/mail"))),
        PushStep(number=4, name="push", image=1, repos=("registry/a", "registry/b"), tags=("latest",)),
    )
    claim, _ = planned(database, repo_id, plan(job_plan("test").model_copy(update={"steps": steps})))
    with reading(database) as session:
        shown = [(step.kind, step.image) for step in store.steps_of(session, claim.job_id)]
    assert shown == [
        ("build", ""),
        ("commands", "image"),
        ("plugin", "plugins/mail"),
        ("push", "registry/a, registry/b"),
    ]


@pytest.mark.slow
def test_a_run_ends_with_its_last_job_and_the_worst_state_decides(database: Engine, repo_id: int) -> None:
    claim, done = planned(database, repo_id, plan(job_plan("test", 1), job_plan("lint", 2)))
    assert verdict_after(database, claim, FAILED) is State.RUNNING
    assert verdict_after(database, claimed(database, done.ready_job_ids[0]), PASSED) is State.FAILED
    assert run_now(database, claim.run_id).sentence == f"test: {FAILED.message}"


def test_a_run_names_the_cell_that_failed_first_and_counts_the_others(database: Engine, repo_id: int) -> None:
    cells = [{"db": "sqlite", "python": "3.12"}, {"db": "postgres", "python": "3.12"}]
    jobs = [job_plan("test", number).model_copy(update={"cell": cell}) for number, cell in enumerate(cells, 1)]
    claim, done = planned(database, repo_id, plan(*jobs))
    finish(database, claim, FAILED)
    finish(database, claimed(database, done.ready_job_ids[0]), FAILED)
    sentence = run_now(database, claim.run_id).sentence
    assert sentence == f"test sqlite, 3.12: {FAILED.message} (and 1 more job failed)"


def test_the_end_of_a_job_makes_those_ready_that_need_it(database: Engine, repo_id: int) -> None:
    what = plan(job_plan("test", 1), job_plan("lint", 2), job_plan("deploy", 3, needs=("test", "lint")))
    claim, done = planned(database, repo_id, what)
    deploy = next(each for each in done.job_ids if each not in {claim.job_id, *done.ready_job_ids})
    with transaction(database) as session:
        assert leases.claim(session, deploy, "w2", 15) is None
    assert finish(database, claim, PASSED).ready_job_ids == []
    assert finish(database, claimed(database, done.ready_job_ids[0]), PASSED).ready_job_ids == [deploy]
    assert verdict_after(database, claimed(database, deploy), PASSED) is State.PASSED


def test_jobs_that_need_a_failed_one_are_skipped_and_so_are_those_after_them(database: Engine, repo_id: int) -> None:
    what = plan(
        job_plan("test", 1),
        job_plan("deploy", 2, needs=("test",)),
        job_plan("announce", 3, needs=("deploy",)),
        job_plan("alarm", 4, needs=("test",), on_failure=True, on_success=False),
    )
    claim, _ = planned(database, repo_id, what)
    finished = finish(database, claim, FAILED)
    assert run_now(database, claim.run_id).state is State.RUNNING
    assert states(database, claim.run_id) == {
        "test": State.FAILED,
        "deploy": State.SKIPPED,
        "announce": State.SKIPPED,
        "alarm": State.QUEUED,
    }
    assert verdict_after(database, claimed(database, finished.ready_job_ids[0]), PASSED) is State.FAILED


def test_a_job_for_failures_is_skipped_when_all_passed_and_those_after_it_still_run(
    database: Engine, repo_id: int
) -> None:
    what = plan(
        job_plan("test", 1),
        job_plan("alarm", 2, needs=("test",), on_failure=True, on_success=False),
        job_plan("after", 3, needs=("alarm",)),
    )
    claim, _ = planned(database, repo_id, what)
    finished = finish(database, claim, PASSED)
    assert states(database, claim.run_id)["alarm"] is State.SKIPPED
    assert verdict_after(database, claimed(database, finished.ready_job_ids[0]), PASSED) is State.PASSED


def test_all_jobs_of_a_matrix_must_end_before_what_needs_them(database: Engine, repo_id: int) -> None:
    what = plan(job_plan("test", 1), job_plan("test", 2), job_plan("deploy", 3, needs=("test",)))
    claim, done = planned(database, repo_id, what)
    assert finish(database, claim, PASSED).ready_job_ids == []
    assert len(finish(database, claimed(database, done.ready_job_ids[0]), PASSED).ready_job_ids) == 1


@pytest.mark.slow
def test_two_jobs_that_end_at_the_same_time_still_end_the_run(database: Engine, repo_id: int) -> None:
    for _ in range(5):
        claim, done = planned(database, repo_id, plan(job_plan("a", 1), job_plan("b", 2)))
        claims = [claim, claimed(database, done.ready_job_ids[0])]
        start = threading.Barrier(2)

        def end(mine: leases.Claim, start: threading.Barrier = start) -> None:
            start.wait()
            finish(database, mine, PASSED)

        threads = [threading.Thread(target=end, args=(each,)) for each in claims]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert run_now(database, claim.run_id).state is State.PASSED


def test_a_note_is_shown_until_the_job_ends(database: Engine, repo_id: int) -> None:
    claim, _ = planned(database, repo_id, plan(job_plan("test")))
    with transaction(database) as session:
        store.note_job(session, claim.job_id, claim.attempt, "Waiting for services.")
    with reading(database) as session:
        job = store.job_by_id(session, claim.job_id)
        assert job is not None
        assert job.message == "Waiting for services."
    finish(database, claim, FAILED)
    with reading(database) as session:
        job = store.job_by_id(session, claim.job_id)
        assert job is not None
        assert job.message == FAILED.message


# Cancel


def test_a_run_without_a_worker_ends_at_once_when_it_is_canceled(database: Engine, repo_id: int) -> None:
    run = queued(database, repo_id)
    with transaction(database) as session:
        result = store.request_cancel(session, run.run_id, "ada")
    assert result == store.CancelResult(State.CANCELED)
    row = run_now(database, run.run_id)
    assert (row.reason, row.sentence) == (Reason.CANCELED, "The run was canceled by ada.")
    with transaction(database) as session:
        assert leases.claim(session, run.job_id, "w1", 15) is None


def test_a_cancellation_ends_waiting_jobs_and_reaches_running_ones_at_their_renewal(
    database: Engine, repo_id: int
) -> None:
    what = plan(job_plan("test", 1), job_plan("lint", 2), job_plan("deploy", 3, needs=("test",)))
    claim, _ = planned(database, repo_id, what)
    with transaction(database) as session:
        result = store.request_cancel(session, claim.run_id, "ada")
    assert result == store.CancelResult(State.RUNNING)
    with transaction(database) as session:
        renewal = leases.renew(session, claim.job_id, claim.attempt, "w1", 15)
    assert renewal == leases.Renewal(still_mine=True, cancel_requested=True, cancel_by="ada")
    outcome = Outcome(State.CANCELED, Reason.CANCELED, "Canceled by ada.")
    assert verdict_after(database, claim, outcome) is State.CANCELED
    assert set(states(database, claim.run_id).values()) == {State.CANCELED}


def test_canceling_an_ended_run_changes_nothing(database: Engine, repo_id: int) -> None:
    claim, _ = planned(database, repo_id, plan(job_plan("test")))
    finish(database, claim, PASSED)
    with transaction(database) as session:
        result = store.request_cancel(session, claim.run_id, "ada")
    assert result == store.CancelResult(State.PASSED)
    assert run_now(database, claim.run_id).cancel_requested_ms is None


def test_a_job_that_passes_during_the_cancellation_does_not_start_the_next(database: Engine, repo_id: int) -> None:
    claim, _ = planned(database, repo_id, plan(job_plan("test", 1), job_plan("deploy", 2, needs=("test",))))
    with transaction(database) as session:
        store.request_cancel(session, claim.run_id, "ada")
    finished = finish(database, claim, PASSED)
    assert finished.ready_job_ids == []
    assert run_now(database, claim.run_id).state is State.CANCELED


# Secrets and registries


def test_secrets_are_shown_by_name_only_and_in_lower_case(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        store.put_secret(session, repo_id, "TOKEN", "sealed-1")
        store.put_secret(session, repo_id, "a_key", "sealed-2", [Event.TAG])
    with reading(database) as session:
        found = store.secrets_of(session, repo_id)
    assert [(secret.name, secret.events) for secret in found] == [
        ("a_key", ("tag",)),
        ("token", ("push", "tag", "release", "deployment", "cron", "manual")),
    ]
    assert not any("sealed" in str(vars(secret)) for secret in found)


def test_a_secret_that_is_set_again_keeps_its_events_unless_others_are_named(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        store.put_secret(session, repo_id, "token", "old", [Event.TAG])
        store.put_secret(session, repo_id, "token", "new")
    with reading(database) as session:
        assert store.secrets_of(session, repo_id)[0].events == ("tag",)
    with transaction(database) as session:
        store.put_secret(session, repo_id, "token", "newest", [Event.PUSH])
    with reading(database) as session:
        assert store.secrets_of(session, repo_id)[0].events == ("push",)
        assert secrets_in_reach(session, repo_id, Event.PUSH) == {"token": (None, "newest")}


def test_a_run_gets_the_secrets_for_its_event(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        store.put_secret(session, repo_id, "usual", "1")
        store.put_secret(session, repo_id, "pulls", "2", [Event.PULL_REQUEST])
    with reading(database) as session:
        assert secrets_in_reach(session, repo_id, Event.PUSH) == {"usual": (None, "1")}
        assert secrets_in_reach(session, repo_id, Event.PULL_REQUEST) == {"pulls": (None, "2")}


def test_a_dropped_secret_is_gone(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        store.put_secret(session, repo_id, "token", "1")
        assert store.drop_secret(session, repo_id, "Token")
        assert not store.drop_secret(session, repo_id, "token")


def test_a_repositorys_own_registry_login_comes_before_the_one_for_all(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        other = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall")).id
        store.put_registry(session, repo_id, "registry.example", "roof", "sealed-roof")
        store.put_registry(session, None, "registry.example", "all", "sealed-all")
        store.put_registry(session, None, "other.example", "all", "sealed")
    with reading(database) as session:
        mine = store.registries_for(session, repo_id)
        assert {host: row.username for host, row in mine.items()} == {
            "registry.example": "roof",
            "other.example": "all",
        }
        assert store.registries_for(session, other)["registry.example"].username == "all"


def test_a_registry_login_is_replaced_and_dropped_without_touching_others(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        store.put_registry(session, None, "registry.example", "old", "1")
        store.put_registry(session, None, "registry.example", "new", "2")
        store.put_registry(session, repo_id, "registry.example", "roof", "3")
        assert store.drop_registry(session, None, "registry.example")
        assert not store.drop_registry(session, None, "registry.example")
        assert [row.username for row in store.registries(session)] == ["roof"]


def test_a_repository_and_a_claimed_job_have_random_keys(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        other = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall"))
        queued = store.queue_run(session, repo_id, push())
    with transaction(database) as session:
        repo, job = store.repo_by_id(session, repo_id), store.job_by_id(session, queued.job_id)
        assert repo is not None
        assert job is not None
        assert len({repo.key, other.key, ""}) == 3
        # A copy of the database has the queued row: another timeline must give it another key.
        assert job.key == ""
        first = leases.claim(session, queued.job_id, "w1", 60)
        assert first is not None
        leases.release(session, queued.job_id, first.attempt)
        again = leases.claim(session, queued.job_id, "w2", 60)
        assert again is not None
        assert (len(first.key), again.key) == (16, first.key)
        found = store.job_by_key(session, first.key)
        assert found is not None
        assert found.id == queued.job_id
        assert store.job_by_key(session, "") is None
