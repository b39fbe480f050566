"""``headway artifacts``: the list, and the archive."""

import zipfile
from functools import partial
from io import BytesIO

import pytest

from pipelines.plan import Artifacts
from runner.artifacts.files import FoundFile
from tests.support.builders import job_plan, plan, push
from tests.web.cli.command import URL, Headway
from workers import store
from workers.artifacts.storage import StoredArtifacts
from workers.blobs import open_blobs
from workers.db.session import make_engine, transaction
from workers.settings import Settings
from workers.store.jobs import leases

pytestmark = pytest.mark.slow


@pytest.fixture
def harbour(headway: Headway) -> Headway:
    """An installation with a repository whose first run has kept two files, and whose second none."""
    headway.ok("repo", "add", URL, "--name", "acme/harbour")
    settings = Settings(data_dir=headway.folder)
    engine = make_engine(settings.database)
    with transaction(engine) as session:
        repo = store.repo_by_name(session, "acme/harbour")
        assert repo is not None
        repo_id, job_id = repo.id, store.queue_run(session, repo.id, push()).job_id
        claim = leases.claim(session, job_id, "w1", 15)
        assert claim is not None
        store.plan_run(session, job_id, claim.attempt, plan(job_plan("build")))
        store.queue_run(session, repo.id, push())
    files = [FoundFile(name, 4, executable=False, opened=partial(BytesIO, b"data")) for name in ("a/b", "c")]
    storage = StoredArtifacts(engine, open_blobs(settings), claim, repo_id)
    storage.keep(1, Artifacts(name="n", paths=("**",)), files)
    engine.dispose()
    return headway


def test_artifacts_are_listed(harbour: Headway) -> None:
    listed = [line.split("\t")[1:] for line in harbour.ok("artifacts", "acme/harbour", "1").splitlines()]
    assert listed == [["4", "build", "step-1", "a/b"], ["4", "build", "step-1", "c"]]
    assert harbour.ok("artifacts", "acme/harbour", "2") == ""
    assert "no run" in harbour.refused("artifacts", "acme/harbour", "3").lower()


def test_artifacts_are_saved_as_an_archive(harbour: Headway) -> None:
    all_of_it, one, none = (harbour.folder / f"{name}.zip" for name in ("all", "one", "none"))
    command = ("artifacts", "acme/harbour", "1", "--zip")
    harbour.ok(*command, str(all_of_it))
    with zipfile.ZipFile(all_of_it) as archive:
        assert archive.namelist() == ["1-build/a/b", "1-build/c"]
    assert f"{all_of_it} cannot be made: File exists; name another file." in harbour.refused(*command, str(all_of_it))
    harbour.ok(*command, str(one), "--folder", "a")
    with zipfile.ZipFile(one) as archive:
        assert archive.namelist() == ["1-build/a/b"]
    assert "has no artifacts below 'd'" in harbour.refused(*command, str(none), "--folder", "d")
    assert not none.exists()
