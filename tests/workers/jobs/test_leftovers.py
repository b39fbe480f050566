"""What dead jobs left on this machine is found and goes; what lives, and what is others', stays."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import enumerate as enumerate_threads

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import update
from structlog.testing import capture_logs

from runner.cleanup.leftovers import Leftovers
from runner.docker.client import Engine
from runner.docker.containers.specs import ContainerSpec, job_labels
from tests.support.builders import push
from tests.support.engine import eventually
from tests.support.plans import BUSYBOX, secrets_hex
from workers import store
from workers.db.models import Job
from workers.db.session import transaction
from workers.jobs.leftovers import (
    PROBE,
    PROBE_S_MAX,
    PeriodicSweep,
    find_dead_attempts,
    job_key,
    remove_dead_attempts,
)
from workers.store.jobs import leases

pytestmark = pytest.mark.engine


class Place:
    """The leftovers of jobs of an installation of its own, in the engine and in a folder."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.installation = secrets_hex()
        self._made: list[str] = []

    def leave(self, job: str, attempt: int, installation: str = "") -> Leftovers:
        """A container on a network, the name of a built image and a folder, as a job makes them."""
        key = job_key(installation or self.installation, job)
        network = self.engine.create_network(f"headway-{key}-{attempt}", job_labels(key, attempt))
        spec = ContainerSpec(BUSYBOX, job_labels(key, attempt), f"headway-{key}-{attempt}", command=("sleep", "1000"))
        container = self.engine.create(spec)
        self.engine.start(container)
        self.engine.tag(BUSYBOX, "headway/build", f"{key}-{attempt}-1")
        folder = self.folder / f"{key}-{attempt}"
        (folder / "scratch").mkdir(parents=True)
        name = f"headway/build:{key}-{attempt}-1"
        return Leftovers(frozenset({container}), frozenset({name}), frozenset({network}), frozenset({folder}))

    def is_there(self, left: Leftovers) -> list[bool]:
        """For each of its things, in their order."""
        (container,), (name,), (network,), (folder,) = left.containers, left.image_names, left.networks, left.folders
        networks = [each["Id"] for each in self.engine.networks_labelled("headway.job")]
        return [
            self.engine.inspect(container) is not None, self.engine.image(name) is not None,
            network in networks, folder.exists(),
        ]  # fmt: skip

    def remove(self, left: Leftovers) -> None:
        """Takes away what a test left on purpose."""
        for container in left.containers:
            self.engine.remove(container)
        for name in left.image_names:
            self.engine.untag(name)
        for network in left.networks:
            self.engine.remove_network(network)


@pytest.fixture
def place(engine: Engine, tmp_path: Path) -> Place:
    return Place(engine, tmp_path / "workspaces")


@pytest.fixture
def running(sqlite_database: Database) -> leases.Claim:
    """A job that a worker has."""
    with transaction(sqlite_database) as session:
        repo = store.add_repo(session, store.NewRepo("team/app", "https://git.example.com/app.git"))
        queued = store.queue_run(session, repo.id, push())
    with transaction(sqlite_database) as session:
        claim = leases.claim(session, queued.job_id, "somebody", lease_s=60)
    assert claim is not None
    return claim


def test_only_what_belongs_to_dead_attempts_of_ours_is_removed(
    sqlite_database: Database, place: Place, running: leases.Claim
) -> None:
    job, attempt = running.key, running.attempt
    # The last is what another copy of the database left: there, the job with the same number had another key.
    dead = [
        place.leave(job, attempt - 1),
        place.leave("00000000000003e8", 1),
        place.leave(f"{running.job_id}", attempt),
    ]
    alive = [place.leave(job, attempt), place.leave(job, attempt - 1, installation=secrets_hex())]
    remove_dead_attempts(sqlite_database, place.engine, place.installation, place.folder)
    assert [place.is_there(each) for each in dead] == [[False] * 4] * 3
    assert [place.is_there(each) for each in alive] == [[True] * 4] * 2
    for each in alive:
        place.remove(each)


def test_the_job_of_a_worker_without_keys_is_left_alone_during_an_upgrade(
    sqlite_database: Database, place: Place, running: leases.Claim
) -> None:
    with transaction(sqlite_database) as session:
        session.execute(update(Job).values(key=""))
    left = place.leave(f"{running.job_id}", running.attempt)
    remove_dead_attempts(sqlite_database, place.engine, place.installation, place.folder)
    assert place.is_there(left) == [True] * 4
    place.remove(left)


def test_what_a_worker_made_as_it_started_is_removed_unless_it_may_be_starting_now(
    sqlite_database: Database, place: Place
) -> None:
    now_s = int(time.time())
    old, new = (place.leave(PROBE, made_s) for made_s in (now_s - PROBE_S_MAX - 1, now_s + PROBE_S_MAX))
    remove_dead_attempts(sqlite_database, place.engine, place.installation, place.folder)
    assert (place.is_there(old), place.is_there(new)) == ([False] * 4, [True] * 4)
    place.remove(new)


def test_what_cannot_be_removed_does_not_keep_the_rest(sqlite_database: Database, place: Place) -> None:
    left = place.leave("1", 1)
    (network,) = left.networks
    guest = place.engine.create(ContainerSpec(BUSYBOX, {}, network, command=("sleep", "1000")))
    place.engine.start(guest)
    remove_dead_attempts(sqlite_database, place.engine, place.installation, place.folder)
    assert place.is_there(left) == [False, False, True, False]
    place.engine.remove(guest)
    remove_dead_attempts(sqlite_database, place.engine, place.installation, place.folder)
    assert place.is_there(left) == [False] * 4


def test_a_round_leaves_alone_what_was_not_there_at_the_round_before(sqlite_database: Database, place: Place) -> None:
    """A job that has just ended is cleaned up by its own worker."""
    sweep = PeriodicSweep(lambda: sqlite_database, place.engine, place.installation, place.folder)
    first = place.leave("1", 1)
    sweep()
    second = place.leave("2", 1)
    sweep()
    eventually(lambda: place.is_there(first) == [False] * 4)
    assert place.is_there(second) == [True] * 4
    assert find_dead_attempts(sqlite_database, place.engine, place.installation, place.folder) == second
    place.remove(second)


BAD_LABELS = [
    ("{0}-1", "1"), ("{0}-99999999999999999999999", "1"), ("{0}-1", "99999999999999999999999"), ("{0}-1", "²"),
    ("{0}-²", "1"), ("{0}-probe", "1"), ("{0}-probe", "٣"), ("{0}", "1"), ("{0}-1", "-1"), ("{0}-1", ""), ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("job", "attempt"), BAD_LABELS)
def test_a_container_that_has_our_labels_from_its_image_is_not_ours(
    sqlite_database: Database, place: Place, given_image: Callable[..., str], job: str, attempt: str
) -> None:
    """A repository may build an image with any labels, and a person may run it."""
    image = given_image(f'FROM {BUSYBOX}\nLABEL headway.job="{job.format(place.installation)}" headway.step=1\n'
                        f'LABEL headway.attempt="{attempt}"\n')  # fmt: skip
    theirs = place.engine.create(ContainerSpec(image, {}, "none", command=("sleep", "1000")))
    dead = place.leave("1", 1)
    try:
        remove_dead_attempts(sqlite_database, place.engine, place.installation, place.folder)
        assert place.engine.inspect(theirs) is not None
        assert place.is_there(dead) == [False] * 4
    finally:
        place.engine.remove(theirs)


@pytest.mark.parametrize(("job", "attempt"), BAD_LABELS[1:5] + BAD_LABELS[6:-1])
def test_a_network_with_labels_of_no_job_stays_and_does_not_end_the_sweep(
    sqlite_database: Database, place: Place, job: str, attempt: str
) -> None:
    labels = {"headway.job": job.format(place.installation), "headway.attempt": attempt}
    network = place.engine.create_network(f"headway-test-{secrets_hex()}", labels)
    dead = place.leave("1", 1)
    try:
        remove_dead_attempts(sqlite_database, place.engine, place.installation, place.folder)
        assert network in [each["Id"] for each in place.engine.networks_labelled("headway.job")]
        assert place.is_there(dead) == [False] * 4
    finally:
        place.engine.remove_network(network)


def test_what_cannot_be_removed_is_reported_once(sqlite_database: Database, place: Place) -> None:
    sweep = PeriodicSweep(lambda: sqlite_database, place.engine, place.installation, place.folder)
    left = place.leave("1", 1)
    (network,) = left.networks
    guest = place.engine.create(ContainerSpec(BUSYBOX, {}, network, command=("sleep", "1000")))
    place.engine.start(guest)
    with capture_logs() as logs:
        for _ in range(5):
            sweep()
            eventually(lambda: not any(thread.name == "sweep" for thread in enumerate_threads()))
    place.engine.remove(guest)
    place.engine.remove_network(network)
    assert [entry["event"] for entry in logs] == [
        "a leftover could not be removed; it is tried again without another report"
    ]


def test_nothing_that_the_search_meets_ends_a_worker(place: Place) -> None:
    def broken() -> Database:
        raise OverflowError("a number is too large")

    with capture_logs() as logs:
        PeriodicSweep(broken, place.engine, place.installation, place.folder)()
    assert [entry["error"] for entry in logs] == ["a number is too large"]
