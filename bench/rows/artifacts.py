"""Artifacts of one job and their way into the checkout of the next, against copying them."""

import os
import secrets
import shutil
import time
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from bench import measure
from bench.measure import interleave
from bench.result import Bench, Kind, Measured, Row, Target
from pipelines.plan import Artifacts
from runner.artifacts.checkout_files import find_in_checkout
from runner.artifacts.files import ArtifactLimits, Found
from runner.artifacts.patterns import Patterns
from runner.artifacts.restoring import put_back
from runner.step_files import StepFolder
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.artifacts.storage import StoredArtifacts
from workers.blobs import LocalBlobs
from workers.db.session import make_engine, transaction, upgrade
from workers.store.jobs import leases

ROW = Row(
    "artifacts",
    "artifacts of 200 MB (40 files) collected, stored durably, and restored in the next job",
    "`cp -r` of them twice",
    "s",
    Target(Kind.RATIO_AT_MOST, 1.5),
)
ROUNDS, FILES, FILE_BYTES = 7, 40, 5_000_000
_ASKED = Artifacts(name="results", paths=("dist",))


def kept(bench: Bench) -> dict[Row, Measured]:
    """New files in each round, which the store cannot have already."""
    place = bench.place(ROW.name)
    database = make_engine(f"sqlite:///{place}/headway.db")
    upgrade(database)
    with transaction(database) as session:
        repo_id = store.add_repo(session, store.NewRepo("bench/artifacts", "file:///bench")).id
    variants = {"ours": partial(_ours, place, database, repo_id), "baseline": partial(_copies, place)}
    timed = interleave(bench.rounds_of(ROUNDS), variants)
    database.dispose()
    return {ROW: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures))}


def _ours(place: Path, database: Engine, repo_id: int) -> float:
    checkout, following = _files(place), place / "next"
    following.mkdir()
    storage = StoredArtifacts(database, LocalBlobs(place / "blobs"), _claim(database, repo_id), repo_id)
    started_s = time.perf_counter()
    found = Found(ArtifactLimits())
    find_in_checkout(StepFolder(checkout), (), Patterns(_ASKED.paths, ()), found, _nothing)
    storage.keep(1, _ASKED, found.files)
    put_back(following, storage.kept_by(["build"]), storage.read, _nothing)
    took_s = time.perf_counter() - started_s
    if sum(path.stat().st_size for path in (following / "dist").iterdir()) != FILES * FILE_BYTES:
        raise measure.NotMeasurableError("not all artifacts came back")
    for folder in (checkout, following, place / "blobs"):
        shutil.rmtree(folder)
    return took_s


def _copies(place: Path) -> float:
    source, first, second = _files(place), place / "first", place / "second"
    took_s = measure.run(["cp", "-r", source, first]) + measure.run(["cp", "-r", first, second])
    for folder in (source, first, second):
        shutil.rmtree(folder)
    return took_s


def _files(place: Path) -> Path:
    """A checkout with what a build has just made. Earlier writes are on the disk."""
    os.sync()
    folder = place / "checkout" / "dist"
    folder.mkdir(parents=True)
    for number in range(FILES):
        (folder / f"{number}.bin").write_bytes(secrets.token_bytes(FILE_BYTES))
    return folder.parent


def _claim(database: Engine, repo_id: int) -> leases.Claim:
    with transaction(database) as session:
        job_id = store.queue_run(session, repo_id, push()).job_id
        claim = leases.claim(session, job_id, "bench", 3600)
        if claim is None:
            raise measure.NotMeasurableError("the job could not be claimed")
        store.plan_run(session, job_id, claim.attempt, plan(job_plan("build", 1)))
    return claim


def _nothing() -> None:
    """The job is never canceled."""
