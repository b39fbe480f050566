"""Mirror maintenance, which runs while no job waits."""

from pathlib import Path

from sqlalchemy import Engine

from runner.source.mirrors.mirror import Mirror
from tests.support.builders import push
from tests.support.repos import Repo
from workers import store
from workers.db.session import transaction
from workers.jobs.mirror_maintenance import tidy


def test_mirrors_are_tidied_when_no_job_waits(sqlite_database: Engine, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "remote.git")
    mirror = Mirror(tmp_path / "mirrors", repo.url)
    mirror.fetch(repo.commit({"a": "1"}))
    marker = mirror.path.with_suffix(".tidied")
    tidy(sqlite_database, mirror.path.parent)
    assert marker.exists()
    marker.unlink()
    with transaction(sqlite_database) as session:
        row = store.add_repo(session, store.NewRepo("team/app", "https://git.example.com/app.git"))
        store.queue_run(session, row.id, push())
    tidy(sqlite_database, mirror.path.parent)
    assert not marker.exists()
