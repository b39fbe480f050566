"""Rows of sent trees on both databases: which are removed, and when, and what becomes of their blobs."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from pipelines.state import PASSED
from tests.support.builders import job_plan, plan
from workers import store
from workers.artifacts.housekeeping import delete_unused_artifacts
from workers.artifacts.sent_trees import drop_old_sent_trees, keep_pack, read_pack
from workers.blobs import BlobMissingError, BlobStore, LocalBlobs
from workers.db.models import ArtifactBlob, Run, SentTree
from workers.db.session import reading, transaction
from workers.store import sent_trees as rows
from workers.store.artifacts import UNUSED_MS
from workers.store.common import DAY_MS
from workers.store.jobs import leases
from workers.triggers.sent_trees import SentTreeRun, trigger_for_tree

DAYS = 7


@dataclass
class Place:
    """An installation with one repository."""

    database: Engine
    blobs: BlobStore
    repo_id: int

    def send(self, *, ends: bool = True) -> str:
        """A tree with its run, which has ended; its ref."""
        trigger = trigger_for_tree(SentTreeRun(secrets.token_hex(20)), "main", "ada")
        kept = keep_pack(self.database, self.blobs, self.repo_id, [trigger.ref.encode()], 1)
        with transaction(self.database) as session:
            assert rows.put_sent_tree(session, self.repo_id, trigger.ref, kept.blob_key, kept.content)
            job_id = store.queue_run(session, self.repo_id, trigger).job_id
        if ends:
            with transaction(self.database) as session:
                claim = leases.claim(session, job_id, "w1", 15)
                assert claim is not None
                store.plan_run(session, job_id, claim.attempt, plan(job_plan("build", 1)))
                store.finish_job(session, job_id, claim.attempt, PASSED)
        return trigger.ref

    def refs(self) -> list[str]:
        with reading(self.database) as session:
            return list(session.scalars(select(SentTree.ref).order_by(SentTree.id)))

    def pack(self, ref: str) -> bytes:
        with reading(self.database) as session:
            tree = rows.sent_tree(session, self.repo_id, ref)
            assert tree is not None
        return b"".join(read_pack(self.blobs, tree))

    def later(self, ms: int) -> None:
        with transaction(self.database) as session:
            session.execute(update(SentTree).values(created_ms=SentTree.created_ms - ms))
            session.execute(update(ArtifactBlob).values(used_ms=ArtifactBlob.used_ms - ms))

    def clean(self) -> None:
        assert drop_old_sent_trees(self.database, DAYS) == ""
        assert delete_unused_artifacts(self.database, self.blobs) == ""


@pytest.fixture
def place(database: Engine, repo_id: int, tmp_path: Path) -> Place:
    return Place(database, LocalBlobs(tmp_path / "blobs"), repo_id)


def test_a_tree_stays_for_its_days_and_then_goes_with_its_blob(place: Place) -> None:
    ref = place.send()
    with reading(place.database) as session:
        tree = rows.sent_tree(session, place.repo_id, ref)
        assert tree is not None
    place.later(DAYS * DAY_MS - 60_000)
    place.clean()
    assert place.pack(ref) == ref.encode()
    place.later(60_000)
    place.clean()
    assert place.refs() == []
    with pytest.raises(BlobMissingError):
        b"".join(read_pack(place.blobs, tree))


def test_a_tree_stays_while_a_run_needs_it_and_goes_with_the_last_one(place: Place) -> None:
    waits, ended = place.send(ends=False), place.send()
    place.later(DAYS * DAY_MS)
    place.clean()
    assert place.refs() == [waits]
    other = place.send()
    with transaction(place.database) as session:
        session.delete(session.scalars(select(Run).where(Run.ref == other)).one())
    place.later(UNUSED_MS)
    place.clean()
    assert place.refs() == [waits]
    assert place.pack(waits) == waits.encode(), ended


def test_the_oldest_makes_room_unless_its_run_goes_on(place: Place) -> None:
    refs = [place.send(ends=False), place.send(), place.send()]
    with transaction(place.database) as session:
        assert rows.make_room(session, place.repo_id, 4)
    assert place.refs() == refs
    with transaction(place.database) as session:
        assert rows.make_room(session, place.repo_id, 3)
    assert place.refs() == [refs[0], refs[2]]
    with transaction(place.database) as session:
        assert rows.make_room(session, place.repo_id, 2)
        assert not rows.is_full(session, place.repo_id, 2)
        assert rows.is_full(session, place.repo_id, 1)
        assert not rows.make_room(session, place.repo_id, 1)
    assert place.refs() == [refs[0]]


def test_a_blob_that_was_dropped_meanwhile_is_not_taken(place: Place) -> None:
    kept = keep_pack(place.database, place.blobs, place.repo_id, [b"pack"], 4)
    place.later(UNUSED_MS)
    place.clean()
    with transaction(place.database) as session:
        assert not rows.put_sent_tree(session, place.repo_id, "refs/sent/x", kept.blob_key, kept.content)


def test_trees_go_with_their_repository(place: Place) -> None:
    place.send(ends=False)
    with transaction(place.database) as session:
        store.remove_repo(session, place.repo_id)
    assert place.refs() == []
    place.clean()
    assert list(place.blobs.names("artifacts")) == []
