"""When images were pulled and services were ready, on each of the two databases."""

from typing import Any

import pytest
from sqlalchemy import Engine

from pipelines.plan import BuiltImage, Container, NamedImage, Service
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.db.session import reading, transaction
from workers.store.jobs import leases
from workers.store.jobs.recording import PULLED_NAME_CHARS_MAX, PULLS_COUNT_MAX

TIMES = ("begun_ms", "started_ms", "ready_ms", "finished_ms")


class Recorded:
    """A planned job with a service of a named image and one of a built image, and what a worker writes of it."""

    def __init__(self, database: Engine) -> None:
        self.database = database
        services = (
            Service(name="db", container=Container(image=NamedImage(name="postgres:17"))),
            Service(name="web", container=Container(image=BuiltImage(step=1))),
        )
        with transaction(database) as session:
            repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof"))
            self.job_id = store.queue_run(session, repo.id, push()).job_id
        self.claim()
        with transaction(database) as session:
            planned = job_plan("test").model_copy(update={"services": services})
            store.plan_run(session, self.job_id, self.attempt, plan(planned))

    def claim(self) -> None:
        with transaction(self.database) as session:
            claim = leases.claim(session, self.job_id, "w1", 60)
        assert claim is not None
        self.attempt = claim.attempt

    def service(self, state: str, *, has_container: bool = False, attempt: int = 0) -> None:
        said = {"state": state, "message": ""}
        with transaction(self.database) as session:
            store.set_service(
                session, self.job_id, attempt or self.attempt, "db", said, has_container=has_container
            )  # fmt: skip

    def pull(
        self, image: str, *, ended: bool, size_bytes: int = 0, failed: bool = False, attempt: int = 0
    ) -> None:  # fmt: skip
        with transaction(self.database) as session:
            store.set_pull(
                session, self.job_id, attempt or self.attempt, image, ended=ended, size_bytes=size_bytes, failed=failed
            )  # fmt: skip

    def services(self) -> list[dict[str, Any]]:
        with reading(self.database) as session:
            job = store.job_by_id(session, self.job_id)
        assert job is not None
        return job.services

    def pulls(self) -> list[dict[str, Any]]:
        with reading(self.database) as session:
            job = store.job_by_id(session, self.job_id)
        assert job is not None
        return job.pulls


@pytest.fixture
def recorded(database: Engine) -> Recorded:
    return Recorded(database)


def known(service: dict[str, Any]) -> list[str]:
    return [name for name in TIMES if service.get(name) is not None]


def test_a_service_gets_its_times_as_it_goes(recorded: Recorded) -> None:
    db, web = recorded.services()
    assert [(each["name"], each["after"], each["state"]) for each in (db, web)] == [
        ("db", "", "waiting"),
        ("web", "step-1", "waiting"),
    ]
    seen = []
    for state, has_container in (("starting", False), ("starting", True), ("ready", False), ("ended", False)):
        recorded.service(state, has_container=has_container)
        seen.append(known(recorded.services()[0]))
    assert seen == [["begun_ms"], ["begun_ms", "started_ms"], [*TIMES[:3]], [*TIMES]]
    db, web = recorded.services()
    assert db["begun_ms"] <= db["started_ms"] <= db["ready_ms"] <= db["finished_ms"]
    assert known(web) == []


def test_a_service_that_starts_again_has_only_its_new_times(recorded: Recorded) -> None:
    for state in ("starting", "ready", "failed", "starting"):
        recorded.service(state)
    assert known(recorded.services()[0]) == ["begun_ms"]


def test_a_pull_begins_and_ends(recorded: Recorded) -> None:
    recorded.pull("a:1", ended=False)
    recorded.pull("b:1", ended=False)
    (first, second) = recorded.pulls()
    assert (first["image"], first["finished_ms"], second["image"]) == ("a:1", None, "b:1")
    recorded.pull("b:1", ended=True, failed=True)
    recorded.pull("a:1", ended=True, size_bytes=3_000_000_000)
    (first, second) = recorded.pulls()
    assert (first["downloaded_bytes"], first["failed"]) == (3_000_000_000, False)
    assert (second["downloaded_bytes"], second["failed"]) == (0, True)
    assert first["started_ms"] <= first["finished_ms"]


def test_a_second_pull_of_an_image_takes_the_place_of_one_without_an_end(recorded: Recorded) -> None:
    recorded.pull("a:1", ended=False)
    recorded.pull("a:1", ended=False)
    recorded.pull("a:1", ended=True, size_bytes=5)
    recorded.pull("a:1", ended=True, size_bytes=6)
    recorded.pull("a:1", ended=False)
    assert [(each["downloaded_bytes"], each["finished_ms"] is None) for each in recorded.pulls()] == [
        (5, False),
        (0, True),
    ]


def test_so_many_pulls_are_noted(recorded: Recorded) -> None:
    for number in range(PULLS_COUNT_MAX + 1):
        recorded.pull(f"i:{number}", ended=False)
        assert len(recorded.pulls()) == min(number + 1, PULLS_COUNT_MAX)
    recorded.pull(f"i:{PULLS_COUNT_MAX}", ended=True)
    assert [each["image"] for each in recorded.pulls()] == [f"i:{number}" for number in range(PULLS_COUNT_MAX)]
    assert all(each["finished_ms"] is None for each in recorded.pulls())


@pytest.mark.parametrize("length", [PULLED_NAME_CHARS_MAX, PULLED_NAME_CHARS_MAX + 1])
def test_so_much_is_kept_of_a_name(recorded: Recorded, length: int) -> None:
    recorded.pull("x" * length, ended=False)
    recorded.pull("x" * length, ended=True)
    (pull,) = recorded.pulls()
    assert (len(pull["image"]), pull["finished_ms"] is not None) == (PULLED_NAME_CHARS_MAX, True)


def test_an_attempt_from_the_beginning_has_new_times(recorded: Recorded) -> None:
    recorded.service("starting")
    recorded.service("ready")
    recorded.pull("a:1", ended=False)
    with transaction(recorded.database) as session:
        leases.release(session, recorded.job_id, recorded.attempt)
    recorded.claim()
    assert recorded.pulls() == []
    assert recorded.services()[0] == {
        "name": "db",
        "image": "postgres:17",
        "after": "",
        "state": "waiting",
        "message": "",
    }


def test_a_stale_attempt_writes_no_times(recorded: Recorded) -> None:
    with pytest.raises(store.StaleAttemptError):
        recorded.service("ready", attempt=recorded.attempt + 1)
    with pytest.raises(store.StaleAttemptError):
        recorded.pull("a:1", ended=False, attempt=recorded.attempt + 1)
    assert recorded.pulls() == []
