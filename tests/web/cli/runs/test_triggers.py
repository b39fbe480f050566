"""`headway trigger` and `headway cron`."""

import pytest

from pipelines.trigger import Event
from tests.web.cli.command import URL, Headway
from workers import store
from workers.db.models import Run
from workers.db.session import make_engine, reading
from workers.scheduler.scheduler import NOTIFY_AGAIN_S
from workers.settings import Settings
from workers.store.jobs import leases

pytestmark = pytest.mark.slow

REPO = "acme/harbour"


@pytest.fixture
def headway(headway: Headway) -> Headway:
    headway.ok("repo", "add", URL)
    return headway


def runs(headway: Headway) -> list[Run]:
    engine = make_engine(Settings(data_dir=headway.folder).database)
    with reading(engine) as session:
        found = session.query(Run).order_by(Run.number).all()
    engine.dispose()
    return found


def test_a_run_is_started_and_its_address_is_printed(headway: Headway) -> None:
    printed = headway.ok("trigger", REPO, "--branch", "topic", "--input", "A=b", "-i", "C=d=e")
    assert printed == f"http://localhost:8080/repos/{REPO}/runs/1\n"
    (run,) = runs(headway)
    trigger = store.trigger_of(run)
    assert (trigger.event, trigger.branch, trigger.inputs) == (Event.MANUAL, "topic", {"A": "b", "C": "d=e"})
    assert trigger.inputs_by_admin
    assert trigger.sender


def test_a_started_run_is_left_to_the_scheduler_to_wake_a_worker(headway: Headway) -> None:
    headway.ok("trigger", REPO)
    engine = make_engine(Settings(data_dir=headway.folder).database)
    with reading(engine) as session:
        assert len(leases.ready_not_notified(session, NOTIFY_AGAIN_S)) == 1
    engine.dispose()


def test_a_deployment_is_started(headway: Headway) -> None:
    headway.ok("trigger", REPO, "--tag", "v1", "--deploy-to", "production", "--task", "migrate")
    trigger = store.trigger_of(runs(headway)[0])
    assert (trigger.event, trigger.tag, trigger.deploy_target) == (Event.DEPLOYMENT, "v1", "production")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("trigger", "none"), "no repository named none"),
        (("trigger", REPO, "--branch", "a b"), "cannot be a branch"),
        (("trigger", REPO, "--input", "A"), "write NAME=VALUE"),
        (("trigger", REPO, "--task", "x"), "Only a deployment"),
        (("cron", "add", REPO, "nightly", "often"), "is no cron expression"),
        (("cron", "add", REPO, "nightly", "@daily", "--zone", "Moon"), "no time zone"),
        (("cron", "remove", REPO, "nightly"), "no cron named nightly"),
        (("cron", "run", REPO, "nightly"), "no cron named nightly"),
        (("cron", "list", "none"), "no repository named none"),
    ],
)
def test_invalid_arguments_are_refused_with_a_sentence(headway: Headway, arguments: tuple[str, ...], why: str) -> None:
    assert why in headway.refused(*arguments)
    assert runs(headway) == []


def test_a_cron_is_added_shown_switched_run_and_removed(headway: Headway) -> None:
    assert headway.ok("cron", "add", REPO, "nightly", "30 2 * * *", "--zone", "Asia/Kolkata").endswith(" 02:30 IST\n")
    name, expression, zone, branch, due = headway.ok("cron", "list", REPO).rstrip("\n").split("\t")
    assert (name, expression, zone, branch) == ("nightly", "30 2 * * *", "Asia/Kolkata", "main")
    assert due.endswith(" 02:30 IST")
    assert headway.ok("cron", "off", REPO, "nightly") == "nightly: off\n"
    assert headway.ok("cron", "list", REPO).endswith("\toff\n")
    assert headway.ok("cron", "on", REPO, "nightly").endswith(" 02:30 IST\n")
    assert headway.ok("cron", "run", REPO, "nightly") == f"http://localhost:8080/repos/{REPO}/runs/1\n"
    headway.ok("cron", "remove", REPO, "nightly")
    assert headway.ok("cron", "list", REPO) == ""
    assert store.trigger_of(runs(headway)[0]).cron == "nightly"
