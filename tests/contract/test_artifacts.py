"""Artifacts on both databases: what is kept, by whom, what comes back, and what is removed when."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import Engine, func, select, update

from pipelines.plan import Artifacts
from pipelines.state import PASSED, Reason
from runner.artifacts.files import PIECE_BYTES, FoundFile
from runner.errors import MachineError, StepError
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.artifacts.housekeeping import delete_unused_artifacts
from workers.artifacts.storage import FILES_AT_ONCE, NO_LIMITS, RunLimits, StoredArtifacts
from workers.blobs import BlobDamagedError, LocalBlobs
from workers.db.models import Artifact, ArtifactBlob, Base, Job, Run
from workers.db.session import db_now_ms, reading, transaction
from workers.store import artifacts as rows
from workers.store.jobs import leases, takeovers
from workers.store.jobs.takeovers import Abandoned

ASKED = Artifacts(name="results", paths=("**",))


def found(path: str, content: bytes = b"", *, executable: bool = False) -> FoundFile:
    def opened() -> BinaryIO:
        return BytesIO(content or path.encode())

    return FoundFile(path, len(content or path), executable, opened)


@dataclass
class Place:
    """An installation with one repository."""

    database: Engine
    repo_id: int
    blobs: LocalBlobs

    def job(self, *names: str) -> leases.Claim:
        """The first job of a new run with workflows of these names, claimed and planned."""
        with transaction(self.database) as session:
            job_id = store.queue_run(session, self.repo_id, push()).job_id
            claim = leases.claim(session, job_id, "w1", 15)
            assert claim is not None
            jobs = [job_plan(name, number) for number, name in enumerate(names or ("build",), start=1)]
            store.plan_run(session, job_id, claim.attempt, plan(*jobs))
        return claim

    def next_job(self, claim: leases.Claim) -> leases.Claim:
        """The second job of a run."""
        with transaction(self.database) as session:
            job_id = session.scalars(select(Job.id).where(Job.run_id == claim.run_id, Job.number == 2)).one()
            claimed = leases.claim(session, job_id, "w2", 15)
            assert claimed is not None
            return claimed

    def storage(self, claim: leases.Claim, repo_id: int = 0, limits: RunLimits = NO_LIMITS) -> StoredArtifacts:
        return StoredArtifacts(self.database, self.blobs, claim, repo_id or self.repo_id, limits)

    def shown(self, claim: leases.Claim) -> list[str]:
        """The paths of a run's artifacts."""
        with reading(self.database) as session:
            return [each.artifact.path for each in rows.artifacts_of_run(session, claim.run_id, 1000)]

    def count(self, table: type[Base]) -> int:
        with reading(self.database) as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def names(self) -> list[str]:
        return sorted(self.blobs.names("artifacts"))

    def later(self, ms: int) -> None:
        """So much time passes for blobs."""
        with transaction(self.database) as session:
            session.execute(update(ArtifactBlob).values(used_ms=ArtifactBlob.used_ms - ms))


@pytest.fixture
def place(database: Engine, repo_id: int, tmp_path: Path) -> Place:
    (tmp_path / "blobs").mkdir()
    return Place(database, repo_id, LocalBlobs(tmp_path / "blobs"))


def test_files_are_kept_shown_and_come_back_in_the_next_workflow(place: Place) -> None:
    build = place.job("build", "deploy")
    place.storage(build).keep(1, ASKED, [found("bin/app", executable=True), found("empty", b"\0")])
    deploy = place.storage(place.next_job(build))
    app, empty = deploy.kept_by(["build"])
    assert (app.path, app.executable, app.source, b"".join(deploy.read(app))) == ("bin/app", True, "build", b"bin/app")
    assert (empty.path, empty.executable, b"".join(deploy.read(empty))) == ("empty", False, b"\0")
    assert deploy.kept_by(["deploy"]) == deploy.kept_by([]) == []
    assert place.shown(build) == ["bin/app", "empty"]
    with reading(place.database) as session:
        (first, _) = rows.artifacts_of_run(session, build.run_id, 1000)
        assert (first.job.name, first.step_name, first.artifact.name) == ("build", "step-1", "results")
        assert (first.artifact.mode, first.artifact.size_bytes) == (0o755, 7)
        assert rows.count_artifacts(session, build.run_id) == (2, 8)


def test_another_run_gets_none_of_them(place: Place) -> None:
    place.storage(place.job()).keep(1, ASKED, [found("a")])
    other = place.job()
    assert place.storage(other).kept_by(["build"]) == []
    assert place.shown(other) == []
    with reading(place.database) as session:
        assert rows.count_artifacts(session, other.run_id) == (0, 0)


def test_one_content_is_one_blob_of_a_repository_and_is_never_written_again(place: Place) -> None:
    claim = place.job()
    place.storage(claim).keep(1, ASKED, [found("a", b"same"), found("b", b"same"), found("c", b"other")])
    before = place.names()
    assert len(before) == 2
    place.storage(place.job()).keep(2, ASKED, [found("d", b"same")])
    assert place.names() == before
    with transaction(place.database) as session:
        other = store.add_repo(session, store.NewRepo("acme/cellar", "file:///cellar")).id
    place.storage(place.job(), other).keep(1, ASKED, [found("e", b"same")])
    assert len(place.names()) == 3, "of another repository it is another blob"
    assert not any("same" in name or "0967115f" in name for name in place.names()), "names say nothing of the content"


def test_an_empty_file_is_kept(place: Place) -> None:
    claim = place.job()
    place.storage(claim).keep(1, ASKED, [FoundFile("empty", 0, executable=False, opened=BytesIO)])
    (kept,) = place.storage(claim).kept_by(["build"])
    assert (kept.size_bytes, b"".join(place.storage(claim).read(kept))) == (0, b"")


def test_a_step_that_is_done_again_replaces_what_it_kept(place: Place) -> None:
    claim = place.job()
    storage = place.storage(claim)
    storage.keep(1, ASKED, [found("a"), found("b")])
    storage.keep(2, ASKED, [found("a")])
    storage.keep(1, ASKED, [found("c")])
    assert place.shown(claim) == ["a", "c"]
    storage.keep(1, ASKED, [])
    assert place.shown(claim) == ["a"]


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (RunLimits(bytes_max=6, files_max=3), ""),
        (RunLimits(bytes_max=5, files_max=3), "more than 5 bytes; keep fewer, or raise .* HEADWAY_ARTIFACT_RUN_BYTES_"),
        (RunLimits(bytes_max=6, files_max=2), "more than 2 files; keep fewer, or raise .* HEADWAY_ARTIFACT_RUN_FILES_"),
    ],
)
def test_all_steps_of_a_run_together_keep_only_so_much(place: Place, limits: RunLimits, problem: str) -> None:
    build = place.job("build", "test")
    place.storage(build).keep(1, ASKED, [found("a", b"12"), found("b", b"34")])
    test = place.storage(place.next_job(build), limits=limits)
    if problem:
        with pytest.raises(StepError, match=problem) as caught:
            test.keep(1, ASKED, [found("c", b"56")])
        assert caught.value.reason is Reason.ARTIFACTS_REFUSED
    else:
        test.keep(1, ASKED, [found("c", b"56")])
    assert place.shown(build) == ["a", "b", *([] if problem else ["c"])]
    place.storage(build, limits=limits).keep(1, ASKED, [found("d", b"78")])  # in place of those before
    place.storage(place.job(), limits=limits).keep(1, ASKED, [found("e", b"12345")])


def test_while_the_disk_is_nearly_full_nothing_is_kept_and_a_large_file_stops(place: Place) -> None:
    low, pieces = [False, True], []

    def disk_low() -> bool:
        pieces.append(1)
        return low[min(len(pieces), len(low)) - 1]

    claim = place.job()
    storage = place.storage(claim, limits=RunLimits(disk_low=disk_low))
    with pytest.raises(MachineError, match="the disk of the server is nearly full") as caught:
        storage.keep(1, ASKED, [found("large", b"x" * (3 * PIECE_BYTES))])
    assert caught.value.reason is Reason.DISK_FULL
    assert len(pieces) == 2
    assert place.shown(claim) == place.names() == []


@pytest.mark.parametrize("count", [FILES_AT_ONCE, FILES_AT_ONCE + 1])
def test_many_files_are_kept_in_parts(place: Place, count: int) -> None:
    claim = place.job()
    place.storage(claim).keep(1, ASKED, [found(f"f{number}", b"x") for number in range(count)])
    assert len(place.shown(claim)) == count
    assert len(place.names()) == 1


def test_only_the_attempt_counts_that_runs_the_job(place: Place) -> None:
    first = place.job()
    place.storage(first).keep(1, ASKED, [found("a"), found("b")])
    with transaction(place.database) as session:
        leases.release(session, first.job_id, first.attempt)
        second = leases.claim(session, first.job_id, "w2", 15)
        assert second is not None
    assert place.shown(first) == []
    with pytest.raises(store.StaleAttemptError):
        place.storage(first).keep(2, ASKED, [found("late")])
    place.storage(second).keep(1, ASKED, [found("a")])
    assert place.shown(second) == ["a"]
    assert [file.path for file in place.storage(second).kept_by(["build"])] == ["a"]
    assert place.count(Artifact) == 1


def test_a_process_that_goes_on_with_the_job_keeps_what_was_kept(place: Place) -> None:
    first = place.job()
    place.storage(first).keep(1, ASKED, [found("a")])
    with transaction(place.database) as session:
        mine = takeovers.take_over(session, Abandoned(first.job_id, 1, "w1"), "w2", 20, "host-2")
        assert mine is not None
    place.storage(mine).keep(2, ASKED, [found("b")])
    assert place.shown(mine) == ["a", "b"]


def test_of_a_matrix_and_of_steps_the_later_comes_last(place: Place) -> None:
    build = place.job("build", "build")
    second = place.next_job(build)
    place.storage(second).keep(1, ASKED, [found("a", b"4")])
    place.storage(build).keep(2, ASKED, [found("a", b"3")])
    place.storage(build).keep(1, ASKED, [found("b", b"2"), found("a", b"1")])
    storage = place.storage(build)
    assert [b"".join(storage.read(file)) for file in storage.kept_by(["build"])] == [b"1", b"2", b"3", b"4"]


def test_a_damaged_blob_is_no_artifact(place: Place, tmp_path: Path) -> None:
    claim = place.job()
    place.storage(claim).keep(1, ASKED, [found("a")])
    (name,) = place.names()
    (tmp_path / "blobs" / name).write_bytes(b"?")
    (kept,) = place.storage(claim).kept_by(["build"])
    with pytest.raises(BlobDamagedError):
        list(place.storage(claim).read(kept))


def test_a_file_that_changes_while_it_is_kept_is_kept_as_it_was_stored(place: Place) -> None:
    contents: Iterator[bytes] = iter([b"first", b"later"])
    changing = FoundFile("a", 5, executable=False, opened=lambda: BytesIO(next(contents)))
    claim = place.job()
    place.storage(claim).keep(2, ASKED, [found("same size", b"other")])
    place.storage(claim).keep(1, ASKED, [changing])
    kept = {file.path: file for file in place.storage(claim).kept_by(["build"])}
    assert b"".join(place.storage(claim).read(kept["a"])) == b"later"


@pytest.mark.parametrize(("there", "times"), [(b"12", 1), (b"abc", 2), (b"1234", 1)])
def test_a_small_file_is_read_twice_only_where_another_has_its_size(place: Place, there: bytes, times: int) -> None:
    opened: list[BytesIO] = []

    def opening() -> BytesIO:
        opened.append(BytesIO(b"123"))
        return opened[-1]

    counted = FoundFile("a", 3, executable=False, opened=opening)
    claim = place.job()
    place.storage(claim).keep(2, ASKED, [found("there", there)])
    place.storage(claim).keep(1, ASKED, [counted])
    assert len(opened) == times


def test_two_writers_of_the_same_content_end_with_one_blob(place: Place) -> None:
    claim, content = place.job(), rows.Content("ab" * 32, 1)
    one, two = "1" * 32, "2" * 32
    for key in (one, one, two):
        with transaction(place.database) as session:
            assert rows.use_blobs(session, place.repo_id, {content: key}) == {content: (key, False)}
    for key in (one, two, one):
        with transaction(place.database) as session:
            assert rows.blobs_are_stored(session, place.repo_id, {key: content}) == {key: one}
    with transaction(place.database) as session:
        assert rows.use_blobs(session, place.repo_id, {content: "3" * 32}) == {content: (one, True)}
    file = rows.NewArtifact("a", 0o644, content, one)
    add: Callable[..., bool] = partial(
        rows.replace_artifacts, address=(claim.job_id, 1, 1), name="n", expire_s=None, files=[file], first=True
    )
    with transaction(place.database) as session:
        assert add(session)
        assert add(session)
    assert place.shown(claim) == ["a"]


def test_a_large_file_is_kept_in_pieces(place: Place) -> None:
    claim, content = place.job(), b"0123456789abcdef" * 200_000
    place.storage(claim).keep(1, ASKED, [found("large", content), found("again", content)])
    again, large = place.storage(claim).kept_by(["build"])
    assert (large.size_bytes, b"".join(place.storage(claim).read(large)) == content) == (len(content), True)
    assert again.key == large.key
    assert len(place.names()) == 1


def test_jobs_that_keep_the_same_files_at_once_do_not_lock_each_other(place: Place) -> None:
    claims = [place.job() for _ in range(4)]
    files = [found(f"f{number}", b"%d" % (number % 50)) for number in range(100)]
    with ThreadPoolExecutor(4) as pool:
        for each in [
            pool.submit(place.storage(claim).keep, 1, ASKED, files if index % 2 else files[::-1])
            for index, claim in enumerate(claims)
        ]:
            each.result()
    assert [len(place.shown(claim)) for claim in claims] == [100] * 4
    with reading(place.database) as session:
        assert session.scalar(select(func.count(Artifact.blob_key.distinct()))) == 50


def test_artifacts_expire(place: Place) -> None:
    claim = place.job()
    place.storage(claim).keep(1, ASKED.model_copy(update={"expire_s": 60}), [found("a")])
    place.storage(claim).keep(2, ASKED, [found("b")])
    assert place.shown(claim) == ["a", "b"]
    with transaction(place.database) as session:
        of_first = Artifact.path == "a"
        assert session.scalars(select(Artifact.expires_ms - Artifact.created_ms).where(of_first)).one() == 60_000
        session.execute(update(Artifact).where(of_first).values(expires_ms=db_now_ms(session)))
        number = session.scalars(select(Artifact.id).where(of_first)).one()
    assert place.shown(claim) == ["b"]
    with reading(place.database) as session:
        assert rows.artifact_by_id(session, number) is None
    place.later(rows.UNUSED_MS)
    assert delete_unused_artifacts(place.database, place.blobs) == ""
    assert place.count(Artifact) == place.count(ArtifactBlob) == len(place.names()) == 1


def test_blobs_are_deleted_when_no_artifact_refers_to_them_for_an_hour(place: Place) -> None:
    claim = place.job()
    place.storage(claim).keep(1, ASKED, [found("a"), found("b")])
    with transaction(place.database) as session:
        store.finish_job(session, claim.job_id, claim.attempt, PASSED)
        session.delete(session.get_one(Run, claim.run_id))
    assert place.count(Artifact) == 0
    place.later(rows.UNUSED_MS - 60_000)
    assert delete_unused_artifacts(place.database, place.blobs) == ""
    assert len(place.names()) == 2
    place.later(60_000)
    assert delete_unused_artifacts(place.database, place.blobs) == ""
    assert place.names() == []
    assert place.count(ArtifactBlob) == 0


def test_what_is_used_again_stays(place: Place) -> None:
    first = place.job()
    place.storage(first).keep(1, ASKED, [found("a")])
    with transaction(place.database) as session:
        session.delete(session.get_one(Run, first.run_id))
    place.later(rows.UNUSED_MS)
    second = place.job()
    place.storage(second).keep(1, ASKED, [found("a")])
    assert delete_unused_artifacts(place.database, place.blobs) == ""
    assert len(place.names()) == 1


def test_a_blob_of_a_writer_that_died_is_deleted_after_a_day(place: Place) -> None:
    key = "a" * 32
    with transaction(place.database) as session:
        rows.use_blobs(session, place.repo_id, {rows.Content("ab", 1): key})
    place.blobs.put(f"artifacts/aa/{key}", b"half")
    place.later(rows.UNFINISHED_MS - 60_000)
    delete_unused_artifacts(place.database, place.blobs)
    assert len(place.names()) == 1
    place.later(60_000)
    delete_unused_artifacts(place.database, place.blobs)
    assert place.names() == []


def test_a_dropped_blob_is_not_used_any_more(place: Place) -> None:
    claim, content = place.job(), rows.Content("ab", 1)
    with transaction(place.database) as session:
        rows.use_blobs(session, place.repo_id, {content: "a"})
        rows.blobs_are_stored(session, place.repo_id, {"a": content})
        session.execute(update(ArtifactBlob).values(dropped_ms=1))
    with transaction(place.database) as session:
        assert rows.use_blobs(session, place.repo_id, {content: "b"}) == {content: ("b", False)}
        file = rows.NewArtifact("a", 0o644, content, "a")
        assert not rows.replace_artifacts(session, (claim.job_id, 1, 1), "n", None, [file], first=True)


def test_the_blobs_of_a_removed_repository_are_deleted_at_once(place: Place) -> None:
    place.storage(place.job()).keep(1, ASKED, [found("a")])
    with transaction(place.database) as session:
        repo = store.repo_by_id(session, place.repo_id)
        session.delete(repo)
    delete_unused_artifacts(place.database, place.blobs)
    assert place.names() == []
    assert place.count(ArtifactBlob) == 0


def test_a_blob_store_that_is_away_is_a_sentence_and_tried_again(place: Place, tmp_path: Path) -> None:
    place.storage(place.job()).keep(1, ASKED, [found("a")])
    with transaction(place.database) as session:
        session.delete(session.scalars(select(Run)).one())
    place.later(rows.UNUSED_MS)
    away = LocalBlobs(tmp_path / "file")
    (tmp_path / "file").write_text("")
    assert delete_unused_artifacts(place.database, away).startswith(
        "Artifacts of removed or old runs cannot be deleted"
    )
    assert delete_unused_artifacts(place.database, place.blobs) == ""
    assert place.names() == []
