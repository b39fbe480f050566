"""Removing a repository: its runs go some at a time, and what an interrupted removal has left goes with the next."""

from pathlib import Path

import pytest
from sqlalchemy import event, func, select

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.errors import MachineError
from runner.events import Stream
from runner.source.mirrors.mirror import Mirror
from tests.support.people import OPERATOR
from tests.web.conftest import REPO, Site, push
from web.operations.errors import NotFoundError
from web.operations.repos import addresses, crons, repos, retention, secrets
from workers import store
from workers.db.models import Base, Job, Repo, Run, Status
from workers.db.session import reading, transaction
from workers.jobs.machine.cleaner import MachineCleaner
from workers.scheduler.sizes import measure
from workers.triggers.crons import NewCron

AT_ONCE = 50
RENAMED = "acme/port"


def rows(site: Site, table: type[Base]) -> int:
    with reading(site.engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "transactions"), [(0, 2), (AT_ONCE, 3), (AT_ONCE + 1, 4)])
def test_all_runs_are_removed_fifty_in_a_transaction(site: Site, runs: int, transactions: int) -> None:
    site.add_repo()
    site.add_repo("other")
    site.queue(push(), "other")
    for _ in range(runs):
        site.queue()
    commits: list[object] = []
    event.listen(site.engine, "commit", commits.append)
    repos.remove(site.services, OPERATOR, REPO)
    assert len(commits) == transactions
    assert (rows(site, Run), rows(site, Job)) == (1, 1)
    with pytest.raises(NotFoundError):
        repos.remove(site.services, OPERATOR, REPO)


def test_an_interrupted_removal_is_finished_by_the_next_and_no_hook_starts_a_run_meanwhile(site: Site) -> None:
    site.add_repo()
    first, second = site.queue(), site.queue()
    with transaction(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo is not None
        store.switch_off(session, repo.id)
        assert store.remove_runs(session, repo.id, 1).run_ids == [first.run_id]
        (target,) = store.hook_targets(session, [REPO])
    assert not target.active
    with reading(site.engine) as session:
        assert store.run_by_id(session, second.run_id) is not None
    addresses.replace(site.services, OPERATOR, REPO, addresses.RepoChanges("https://git.test/x.git"))
    with reading(site.engine) as session:
        assert store.hook_targets(session, [REPO])[0].active
    repos.remove(site.services, OPERATOR, REPO)
    assert rows(site, Run) == 0


def everything(site: Site) -> dict[str, list[str]]:
    """All rows as text, by table."""
    with reading(site.engine) as session:
        return {
            table.name: [repr(tuple(row)) for row in session.execute(select(table))]
            for table in Base.metadata.sorted_tables
        }


def fill(site: Site) -> Repo:
    """Gives the repository a run with a log, and some of everything else. Returns its row."""
    site.add_repo()
    begun = site.begin()
    writer = site.services.logs.writer(begun.queued.run_id, begun.queued.job_id, 1, 1)
    writer.append(b"hello", Stream.STDOUT, 0)
    writer.close()
    secrets.put(site.services, OPERATOR, REPO, "key", "value")
    crons.put(site.services, OPERATOR, REPO, NewCron("nightly", "@daily"))
    retention.set_retention(site.services, OPERATOR, REPO, {"run_days": 7})
    addresses.rename(site.services, OPERATOR, REPO, RENAMED)
    with transaction(site.engine) as session:
        repo = store.repo_by_name(session, RENAMED)
        assert repo is not None
        store.record_delivery(session, repo.id, store.NewDelivery("k", trigger=push()))
        session.add(Status(run_id=begun.queued.run_id))
    return repo


def no_engine() -> Engine:
    raise MachineError(Reason.ENGINE_GONE, "there is no engine")


def test_a_removed_repository_is_in_no_row_no_log_and_no_mirror(site: Site, tmp_path: Path) -> None:
    repo = fill(site)
    (tmp_path / "machine").mkdir()
    settings = site.services.settings.model_copy(update={"data_dir": tmp_path / "machine"})
    mirror = Mirror(settings.mirrors_dir, repo.clone_url, key=repo.key)
    (mirror.path / "objects").mkdir(parents=True)
    cleaner = MachineCleaner(settings, site.engine, no_engine)
    measure(site.engine)
    cleaner.clean()
    assert mirror.path.exists()
    repos.remove(site.services, OPERATOR, RENAMED)
    measure(site.engine)
    cleaner.clean()
    assert list(settings.mirrors_dir.iterdir()) == []
    assert [path for path in (site.services.settings.blobs_dir or tmp_path).rglob("*") if path.is_file()] == []
    rows = everything(site)
    assert rows.pop("audit")
    of_all = {"users", "workers", "counters", "sealing_keys", "disk_reports", "leaders"}
    assert {name for name, found in rows.items() if found} <= of_all
    for words in (REPO, RENAMED, repo.key, f"'{repo.id}'"):
        assert words not in repr(rows)
