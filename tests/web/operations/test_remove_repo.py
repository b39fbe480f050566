"""Removing a repository: its runs go some at a time, and what an interrupted removal has left goes with the next."""

import pytest
from sqlalchemy import event, func, select

from tests.support.people import OPERATOR
from tests.web.conftest import REPO, Site, push
from web.operations import addresses, repos
from web.operations.errors import NotFoundError
from workers import store
from workers.db.models import Base, Job, Run
from workers.db.session import reading, transaction

AT_ONCE = 50


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
