"""Which commit statuses are reported: the newest state, once, of the newest run."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from pipelines.problem import Problem
from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Event, Trigger
from tests.support.builders import SHA, job_plan, plan, pull_request, push
from tests.support.forge import TOKEN
from tests.support.reporting import ReportingFixture, reporting_fixture
from workers import store
from workers.db.session import transaction
from workers.forges.status_request import short
from workers.secrets.vault import shared_forge_place
from workers.statuses.reporter import REFUSALS_MAX
from workers.store.repos.forge_tokens import put_forge_token
from workers.store.runs.statuses import retry_statuses_of_owner

FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "step 'test' ended with exit code 1")
LATER = "0" * 39 + "1"


@pytest.fixture
def site(database: Engine) -> Iterator[ReportingFixture]:
    with reporting_fixture(database) as site:
        yield site


def test_a_run_is_reported_when_it_waits_when_it_runs_and_when_it_ends(site: ReportingFixture) -> None:
    queued = site.queue()
    assert site.report() == [("headway/push", "pending")]
    site.claim(queued.job_id)
    assert site.report() == [("headway/push", "pending")]
    site.finish(queued.job_id, FAILED)
    assert site.report() == [("headway/push", "failure")]
    assert site.report() == []
    first, second, last = site.forge.told
    assert (first.description, second.description) == ("Waiting for a worker", "Running")
    assert last.description == "step 'test' ended with exit code 1"
    assert {(told.sha, told.url) for told in site.forge.told} == {(SHA, "https://ci.test/repos/acme/roof/runs/1")}


def test_only_the_newest_state_is_reported(site: ReportingFixture) -> None:
    site.run_through()
    assert site.report() == [("headway/push", "success")]
    assert site.report() == []


def test_without_a_token_nothing_is_reported(site: ReportingFixture) -> None:
    with transaction(site.database) as session:
        store.set_forge_token(session, site.repo_id, "", "")
    queued = site.run_through()
    assert site.report() == []
    assert site.status(queued.run_id) is None


def test_after_its_token_was_removed_a_run_is_reported_no_more(site: ReportingFixture) -> None:
    queued = site.run_through()
    with transaction(site.database) as session:
        store.set_forge_token(session, site.repo_id, "", "")
    assert site.report() == []
    assert site.problem(queued.run_id) == ""


def test_several_workflows_have_a_status_each_and_one_for_the_run(site: ReportingFixture) -> None:
    queued = site.queue()
    first, second = site.plan(queued, "lint", "test")
    assert dict(site.report()) == {
        "headway/push": "pending",
        "headway/push/lint": "pending",
        "headway/push/test": "pending",
    }
    site.finish(first.id)
    assert site.report() == [("headway/push/lint", "success")]
    site.finish(second.id, FAILED, site.claim(second.id))
    site.report()
    assert dict(site.forge.words()) == {
        "headway/push": "failure",
        "headway/push/lint": "success",
        "headway/push/test": "failure",
    }
    assert site.report() == []


def test_a_workflow_that_was_skipped_because_another_failed_has_not_passed(site: ReportingFixture) -> None:
    queued = site.queue()
    attempt = site.claim(queued.job_id)
    with transaction(site.database) as session:
        store.plan_run(session, queued.job_id, attempt, plan(job_plan("test"), job_plan("deploy", 2, needs=("test",))))
    site.finish(queued.job_id, FAILED)
    words = dict(site.report())
    assert (words["headway/push/test"], words["headway/push/deploy"]) == ("failure", "error")


def test_a_run_by_hand_in_which_nothing_ran_is_not_reported_as_passed(site: ReportingFixture) -> None:
    queued = site.queue(push().model_copy(update={"event": Event.MANUAL}))
    attempt = site.claim(queued.job_id)
    with transaction(site.database) as session:
        store.plan_run(session, queued.job_id, attempt, plan())
    assert site.report() == [("headway/manual", "error")]
    assert site.forge.told[-1].description == "Nothing ran: the pipeline has no steps."


@pytest.mark.slow
def test_the_cells_of_a_matrix_have_one_status(site: ReportingFixture) -> None:
    queued = site.queue()
    first, second = site.plan(queued, "test", "test")
    site.finish(first.id)
    site.finish(second.id, FAILED, site.claim(second.id))
    assert site.report() == [("headway/push", "failure")]


def test_a_push_and_a_pull_request_of_one_commit_have_a_status_each(site: ReportingFixture) -> None:
    site.queue()
    site.queue(pull_request(from_fork=False))
    assert site.report() == [("headway/push", "pending"), ("headway/pull_request", "pending")]


def test_an_older_run_of_the_same_commit_does_not_replace_the_status_of_a_newer_one(site: ReportingFixture) -> None:
    old = site.queue()
    assert site.report() == [("headway/push", "pending")]
    site.run_through()
    site.claim(old.job_id)
    site.finish(old.job_id, FAILED)
    assert site.report() == [("headway/push", "success")]
    assert site.report() == []
    assert site.forge.told[-1].url.endswith("/runs/2")


def test_a_run_is_reported_when_git_has_named_its_commit(site: ReportingFixture) -> None:
    trigger = Trigger(event=Event.MANUAL, sha="", ref="refs/heads/main", branch="main")
    queued = site.queue(trigger)
    attempt = site.claim(queued.job_id)
    assert site.report() == []
    with transaction(site.database) as session:
        found = trigger.model_copy(update={"sha": LATER})
        store.set_trigger(session, queued.job_id, attempt, found, on_branch=True)
    assert site.report() == [("headway/manual", "pending")]
    assert site.forge.told[0].sha == LATER


def test_a_run_whose_commit_was_never_found_is_not_reported(site: ReportingFixture) -> None:
    queued = site.queue(Trigger(event=Event.MANUAL, sha="", ref="refs/heads/main", branch="main"))
    site.claim(queued.job_id)
    site.finish(queued.job_id, Outcome(State.BROKEN, Reason.COMMIT_MISSING, "gone"))
    assert site.report() == []
    status = site.status(queued.run_id)
    assert status is not None
    assert status.next_try_ms is None


def test_an_invalid_pipeline_is_reported_with_its_first_error_in_full(site: ReportingFixture) -> None:
    queued = site.queue()
    attempt = site.claim(queued.job_id)
    wrong = Problem(".headway.yml", 3, 5, "unknown key 'imag'", "did you mean 'image'?")
    with transaction(site.database) as session:
        store.fail_planning(session, queued.job_id, attempt, FAILED, [wrong])
    assert site.report() == [("headway/push", "failure")]
    assert site.forge.told[0].description == str(wrong)


def test_no_text_of_a_status_hides_or_reorders_others() -> None:
    assert short("failed: \u202ekcatta\x1b[2J\n of \u200bit", 140) == "failed: \\u202ekcatta\\x1b[2J of \\u200bit"


def test_the_token_of_the_owner_is_used_where_the_repository_has_none(site: ReportingFixture) -> None:
    vault, host = site.reporter.vault, site.forge.url
    with transaction(site.database) as session:
        store.set_forge_token(session, site.repo_id, "", "")
        put_forge_token(session, "acme", "https://elsewhere.test", "", vault.seal("elsewhere", "x"))
    queued = site.run_through()
    assert site.report() == []
    assert site.problem(queued.run_id) == ""
    with transaction(site.database) as session:
        put_forge_token(session, "acme", host, "", vault.seal(shared_forge_place("acme", host), "tok-wrong"))
    queued = site.run_through()
    for _ in range(REFUSALS_MAX):
        site.report()
        site.end_pauses()
    assert f"renew the token with `headway repo token 'acme/*' --host {host}`" in site.problem(queued.run_id)
    with transaction(site.database) as session:
        put_forge_token(session, "acme", host, "", vault.seal(shared_forge_place("acme", host), TOKEN))
        retry_statuses_of_owner(session, "acm")
    assert site.report() == []
    with transaction(site.database) as session:
        retry_statuses_of_owner(session, "acme")
    assert site.report() == [("headway/push", "success")]
