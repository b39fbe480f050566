"""Forges that refuse, hang or do not answer: the report is retried or given up with a reason, and delays no run."""

import threading
from collections.abc import Iterator
from functools import partial
from time import sleep

import pytest
from sqlalchemy import Engine, delete, update
from structlog.testing import capture_logs

from tests.support.builders import push
from tests.support.forge import TOKEN
from tests.support.reporting import ReportingFixture, reporting_fixture
from tests.support.services import eventually, free_port
from workers import store
from workers.db.models import Repo, Status
from workers.db.session import make_engine, now_ms, reading, transaction
from workers.forges.status_request import Answer
from workers.scheduler.scheduler import run_scheduler
from workers.settings import Settings
from workers.statuses.reporter import REFUSALS_MAX, TRIES_MAX, background_reporter


@pytest.fixture
def site(database: Engine) -> Iterator[ReportingFixture]:
    with reporting_fixture(database) as site:
        yield site


def test_a_failed_report_is_retried_with_back_off(site: ReportingFixture) -> None:
    site.forge.fail(500, "out of order", times=2)
    queued = site.run_through()
    waits = []
    for _ in range(2):
        assert site.report() == []
        status = site.status(queued.run_id)
        assert status is not None
        assert status.next_try_ms is not None
        with reading(site.database) as session:
            waits.append(status.next_try_ms - session.scalars(now_ms().select()).one())
        assert site.problem(queued.run_id) == "the forge did not take the commit status: 500 out of order"
        assert site.report() == [], "not before the pause is over"
        site.end_pauses()
    assert waits[1] > waits[0] > 0
    assert site.report() == [("headway/push", "success")]
    assert site.problem(queued.run_id) == ""


def test_the_pause_of_a_rate_limit_is_kept(site: ReportingFixture) -> None:
    site.forge.fail(429, "slow down", headers={"retry-after": "1800"})
    queued = site.run_through()
    site.report()
    status = site.status(queued.run_id)
    assert status is not None
    with reading(site.database) as session:
        assert status.next_try_ms is not None
        assert status.next_try_ms - session.scalars(now_ms().select()).one() > 1_700_000


def test_a_status_that_was_reported_before_the_failure_is_not_sent_again(site: ReportingFixture) -> None:
    queued = site.queue()
    site.plan(queued, "lint", "test")
    site.forge.fail(500, after=2)
    assert site.report() == [("headway/push", "pending"), ("headway/push/lint", "pending")]
    site.end_pauses()
    assert site.report() == [("headway/push/test", "pending")]


def test_a_refused_token_ends_the_retries_and_a_new_token_starts_them_again(site: ReportingFixture) -> None:
    site.forge.fail(401, "Bad credentials")
    queued = site.run_through()
    assert site.report() == []
    site.end_pauses()
    assert site.report() == []
    assert site.forge.asked == 1
    assert site.problem(queued.run_id) == (
        "the forge refused the commit status: 401 Bad credentials; renew the token with `headway repo token acme/roof`"
    )
    with transaction(site.database) as session:
        store.retry_statuses(session, site.repo_id)
    assert site.report() == [("headway/push", "success")]
    assert site.problem(queued.run_id) == ""


@pytest.mark.slow
def test_a_forge_that_does_not_know_the_commit_yet_is_tried_a_few_times(site: ReportingFixture) -> None:
    site.forge.fail(404, "Not Found", times=3)
    queued = site.run_through()
    for _ in range(3):
        assert site.report() == []
        assert "the token may not write this repository's statuses" in site.problem(queued.run_id)
        site.end_pauses()
    assert site.report() == [("headway/push", "success")]
    site.forge.fail(422, "No commit found for SHA", times=9)
    unknown = site.run_through()
    for _ in range(6):
        assert site.report() == []
        site.end_pauses()
    assert site.forge.asked == 4 + REFUSALS_MAX
    assert "422 No commit found" in site.problem(unknown.run_id)


def test_after_too_many_tries_the_report_is_given_up(site: ReportingFixture) -> None:
    queued = site.run_through()
    with transaction(site.database) as session:
        session.execute(update(Status).values(tries=TRIES_MAX - 1))
    site.forge.fail(500)
    site.report()
    assert "given up after 20 tries; `headway repo token acme/roof` tries again" in site.problem(queued.run_id)
    site.end_pauses()
    assert site.report() == []


def test_a_host_that_does_not_answer_is_tried_once_and_other_forges_get_their_reports(site: ReportingFixture) -> None:
    away = [site.add_repo(f"acme/away-{number}", f"http://127.0.0.1:{free_port()}") for number in (1, 2)]
    with transaction(site.database) as session:
        url = session.get_one(Repo, away[0]).clone_url
        session.execute(update(Repo).where(Repo.id == away[1]).values(clone_url=url))
    first, second = (site.queue(repo_id=repo_id) for repo_id in away)
    site.queue()
    assert site.report() == [("headway/push", "pending")]
    assert site.problem(first.run_id) == site.problem(second.run_id)
    assert site.problem(first.run_id).startswith("the forge does not answer at 127.0.0.1:")


def test_a_token_that_cannot_be_unsealed_or_an_address_without_a_forge_is_the_problem(
    site: ReportingFixture,
) -> None:
    queued = site.run_through()
    with transaction(site.database) as session:
        session.execute(update(Repo).values(clone_url="file:///srv/roof.git"))
    site.report()
    assert "does not name its forge" in site.problem(queued.run_id)
    with transaction(site.database) as session:
        store.set_forge_token(session, site.repo_id, "v1|other|AAAA|AAAA", "")
        store.retry_statuses(session, site.repo_id)
    site.report()
    assert "damaged" in site.problem(queued.run_id)


@pytest.mark.slow
def test_of_two_reporters_one_claims_the_status(site: ReportingFixture) -> None:
    queued = site.run_through()
    with transaction(site.database) as session:
        assert store.claim_status(session, queued.run_id, 60_000)
        assert store.claim_status(session, queued.run_id, 60_000) is None
    assert site.report() == []


def test_the_token_is_in_no_log(site: ReportingFixture) -> None:
    site.forge.fail(422, f"cannot use {TOKEN}")
    site.run_through()
    with capture_logs() as logs:
        site.report()
    assert logs
    assert TOKEN not in str(logs)
    assert TOKEN not in repr(Answer(200))


def test_a_run_that_was_deleted_is_not_reported(site: ReportingFixture) -> None:
    site.queue()
    with transaction(site.database) as session:
        session.execute(delete(Repo))
    assert site.report() == []


@pytest.mark.stress
def test_a_forge_that_hangs_does_not_delay_the_shutdown_and_the_next_process_reports(site: ReportingFixture) -> None:
    queued = site.queue()
    site.forge.hang.set()
    with background_reporter(
        site.database, site.reporter.vault, site.reporter.settings, partial(sleep, 0.05)
    ) as hanging:
        eventually(lambda: site.forge.asked)
    assert hanging.is_alive()
    status = site.status(queued.run_id)
    assert status is not None
    assert status.told is None
    site.forge.hang.clear()
    hanging.join()
    site.end_pauses()
    site.reporter.report_due()
    assert site.forge.words()[-1] == ("headway/push", "pending")


def test_the_schedulers_process_reports(settings: Settings) -> None:
    engine, stop = make_engine(settings.database), threading.Event()
    with reporting_fixture(engine, settings) as site:
        site.queue()
        thread = threading.Thread(target=run_scheduler, args=(settings, stop))
        thread.start()
        eventually(lambda: site.forge.told)
        stop.set()
        thread.join()
    engine.dispose()


@pytest.mark.parametrize(
    ("clone_url", "moved_to"),
    [
        ("git@127.0.0.1:old/barn.git", "git@127.0.0.1:acme/roof.git"),
        ("ssh://git@{host}/old/barn", "ssh://git@{host}/acme/roof"),
        ("http://{host}/old/barn.git", ""),
    ],
)
def test_a_redirect_of_the_forge_tells_where_a_repository_is_that_is_cloned_over_ssh(
    site: ReportingFixture, clone_url: str, moved_to: str
) -> None:
    host = site.forge.url.removeprefix("http://")
    with transaction(site.database) as session:
        addresses = {"clone_url": clone_url.format(host=host), "web_url": f"{site.forge.url}/old/barn"}
        session.execute(update(Repo).values(addresses))
    sha = "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b"
    queued = site.queue(push(sha=sha))
    site.forge.fail(307, headers={"location": f"/api/v1/repos/acme/roof/statuses/{sha}"})
    assert site.report() == [("headway/push", "pending")]
    assert site.problem(queued.run_id) == ""
    with reading(site.database) as session:
        assert session.get_one(Repo, site.repo_id).moved_to == moved_to.format(host=host)
