"""Runs are searched a page at a time, and a long history a part at a time: on both databases."""

import pytest
from sqlalchemy import Engine, delete

from pipelines.state import State
from pipelines.trigger import Event, Trigger
from tests.support.builders import pull_request, push
from workers import store
from workers.db.models import Run
from workers.db.session import reading, transaction
from workers.store import NewRepo, RunFilter
from workers.store.runs.run_search import LOOKED_AT_MAX, FoundRuns, search_runs


@pytest.fixture
def repo(database: Engine) -> int:
    with transaction(database) as session:
        return store.add_repo(session, NewRepo("a/b", "https://git.test/a/b.git")).id


def queue(database: Engine, repo: int, *triggers: Trigger) -> None:
    with transaction(database) as session:
        for trigger in triggers:
            store.queue_run(session, repo, trigger)


def found(database: Engine, repo: int, only: RunFilter, before: int | None = None, limit: int = 30) -> FoundRuns:
    with reading(database) as session:
        return search_runs(session, repo, only, before, limit)


def numbers(database: Engine, repo: int, **only: object) -> list[int]:
    return [run.number for run in found(database, repo, RunFilter(**only)).runs]  # type: ignore[arg-type]


def test_each_filter_and_all_together(database: Engine, repo: int) -> None:
    author = push("Mend the ROOF 100%", branch="topic").model_copy(update={"author": "Bo", "sha": "cafe" * 10})
    queue(database, repo, push(), author, pull_request(from_fork=False), push("Roof_2"))
    assert numbers(database, repo) == [4, 3, 2, 1]
    assert numbers(database, repo, branch="main") == [4, 3, 1]
    assert numbers(database, repo, ref="refs/heads/main") == [4, 1]
    assert numbers(database, repo, ref="refs/pull/7/head") == [3]
    assert numbers(database, repo, event=Event.PULL_REQUEST) == [3]
    assert numbers(database, repo, author="Bo") == [2]
    assert numbers(database, repo, author="bo") == []
    assert numbers(database, repo, text="roof") == [4, 3, 2, 1]
    assert numbers(database, repo, text="0%") == [2]
    assert numbers(database, repo, text="f_") == [4]
    assert numbers(database, repo, text="CAFE") == [2]
    assert numbers(database, repo, text="caf") == []
    assert numbers(database, repo, state=State.QUEUED, branch="topic", text="mend", author="Bo") == [2]
    assert numbers(database, repo, state=State.PASSED, branch="topic") == []


def test_pages_follow_one_another_without_gap_or_doubling(database: Engine, repo: int) -> None:
    queue(database, repo, *(push("odd" if number % 2 else "even") for number in range(9)))
    for only in (
        RunFilter(),
        RunFilter(branch="main"),
        RunFilter(text="e"),
        RunFilter(branch="main", author="Ada Lovelace"),
    ):
        seen: list[int] = []
        before = None
        while True:
            page = found(database, repo, only, before, 2)
            seen += [run.number for run in page.runs]
            before = page.older
            if before is None:
                break
            assert not page.incomplete
        assert seen == [number for number in range(9, 0, -1) if not only.text or number % 2], only


@pytest.mark.parametrize("only", [RunFilter(text="first"), RunFilter(branch="main", text="first")])
def test_so_many_runs_are_looked_at_for_a_page(database: Engine, repo: int, only: RunFilter) -> None:
    queue(database, repo, push("first"), *(push("later") for _ in range(LOOKED_AT_MAX - 1)))
    whole = found(database, repo, only)
    assert ([run.number for run in whole.runs], whole.older, whole.incomplete) == ([1], None, False)
    queue(database, repo, push("later"))
    page = found(database, repo, only)
    assert (list(page.runs), page.older, page.incomplete) == ([], 2, True)
    rest = found(database, repo, only, page.older)
    assert ([run.number for run in rest.runs], rest.older, rest.incomplete) == ([1], None, False)


def test_removed_runs_do_not_end_a_search(database: Engine, repo: int) -> None:
    queue(database, repo, push("first"), *(push("later") for _ in range(LOOKED_AT_MAX + 5)))
    with transaction(database) as session:
        session.execute(delete(Run).where(Run.number > 1, Run.number < LOOKED_AT_MAX + 3))
    page = found(database, repo, RunFilter(text="first"))
    assert (list(page.runs), page.incomplete) == ([], True)
    assert [run.number for run in found(database, repo, RunFilter(text="first"), page.older).runs] == [1]
