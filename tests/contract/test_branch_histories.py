"""The last runs of branches and the repositories by activity, on each of the two databases."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, event, update

from pipelines.state import State
from pipelines.trigger import Trigger
from tests.support.builders import pull_request, push
from workers import store
from workers.db.models import Run
from workers.db.session import db_now_ms, reading, transaction
from workers.store.runs import branch_history
from workers.store.runs.branch_history import LastNumbers, RepoName


def run_of(database: Engine, repo_id: int, trigger: Trigger | None = None, state: State = State.PASSED) -> int:
    """The number of a new run in this state."""
    with transaction(database) as session:
        queued = store.queue_run(session, repo_id, trigger or push())
        session.execute(update(Run).where(Run.id == queued.run_id).values(state=state))
        return queued.number


def added(database: Engine, name: str, default_branch: str = "main") -> RepoName:
    with transaction(database) as session:
        new = store.NewRepo(name, f"file:///srv/{name}.git", default_branch=default_branch)
        return RepoName(store.add_repo(session, new).id, name)


def numbers(database: Engine, *repos: RepoName, most: int = 20) -> dict[str, list[int]]:
    with reading(database) as session:
        found = branch_history.histories(session, repos, most)
    return {repo.name: [run.number for run in found[repo.id]] for repo in repos if repo.id in found}


def test_only_runs_of_the_default_branch_itself_belong_to_its_history(database: Engine) -> None:
    roof, cellar = added(database, "a/roof"), added(database, "b/cellar", "trunk")
    assert run_of(database, roof.id) == 1
    run_of(database, roof.id, push(branch="topic"), State.FAILED)
    run_of(database, roof.id, pull_request(from_fork=True), State.FAILED)  # into main, and so with main as its branch
    run_of(database, roof.id, push(), State.BROKEN)
    run_of(database, cellar.id, push(branch="main"))
    assert numbers(database, roof, cellar) == {"a/roof": [1, 4]}
    run_of(database, cellar.id, push(branch="trunk"))
    assert numbers(database, roof, cellar) == {"a/roof": [1, 4], "b/cellar": [2]}


@pytest.mark.parametrize(("most", "shown"), [(1, [6]), (3, [3, 5, 6]), (4, [1, 3, 5, 6]), (5, [1, 3, 5, 6])])
def test_a_history_has_the_last_runs_the_oldest_first(database: Engine, most: int, shown: list[int]) -> None:
    roof = added(database, "a/roof")
    for branch in ("main", "x", "main", "x", "main", "main"):
        run_of(database, roof.id, push(branch=branch))
    assert numbers(database, roof, most=most) == {"a/roof": shown}
    assert numbers(database, most=most) == {}


def test_a_history_knows_how_long_each_run_took(database: Engine) -> None:
    roof = added(database, "a/roof")
    run_of(database, roof.id)
    with transaction(database) as session:
        session.execute(update(Run).values(started_ms=1_000, finished_ms=4_500))
    run_of(database, roof.id, state=State.QUEUED)
    with reading(database) as session:
        found = branch_history.histories(session, [roof], 20)[roof.id]
    assert [(run.state, run.took_ms) for run in found] == [(State.PASSED, 3_500), (State.QUEUED, None)]


def test_the_last_numbers_of_a_branch_are_those_of_its_states(database: Engine) -> None:
    roof, empty = added(database, "a/roof"), added(database, "b/empty")
    for state in (State.FAILED, State.PASSED, State.BROKEN, State.CANCELED, State.RUNNING):
        run_of(database, roof.id, state=state)
    run_of(database, roof.id, push(branch="topic"), State.FAILED)
    with reading(database) as session:
        assert branch_history.last_numbers(session, [roof, empty], 5) == {roof.id: LastNumbers(5, 2, 3, 5)}
        assert branch_history.last_numbers(session, [roof], 3) == {roof.id: LastNumbers(5, 0, 3, 5)}
        assert branch_history.last_numbers(session, [], 5) == {}


def listed(
    database: Engine, search: str = "", viewer: int | None = None, limit: int = 100, offset: int = 0
) -> list[str]:
    with reading(database) as session:
        found = branch_history.repos_by_activity(session, viewer, search, limit, offset)
    return [repo.name for repo in found]


@pytest.mark.parametrize("more", [0, 1])
def test_repositories_are_counted_up_to_a_limit(database: Engine, more: int) -> None:
    for number in range(2 + more):
        added(database, f"a/r{number}")
    with reading(database) as session:
        assert branch_history.count_repos(session, most=2) == 2


def run_later(database: Engine, repo_id: int, trigger: Trigger | None = None) -> None:
    """Queues a run in another millisecond than the runs before."""
    with reading(database) as session:
        before = db_now_ms(session)
    while True:
        with reading(database) as session:
            if db_now_ms(session) > before:
                break
    run_of(database, repo_id, trigger)


def test_repositories_come_by_their_newest_run_and_then_those_that_were_added_last(database: Engine) -> None:
    roof, _, cellar, _ = (added(database, name) for name in ("a/roof", "c/new", "b/cellar", "z/new"))
    run_later(database, roof.id)
    run_later(database, cellar.id, push(branch="topic"))
    assert listed(database) == ["b/cellar", "a/roof", "z/new", "c/new"]
    run_later(database, roof.id)
    assert listed(database) == ["a/roof", "b/cellar", "z/new", "c/new"]
    assert listed(database, limit=2, offset=1) == ["b/cellar", "z/new"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("OO", ["team/Roof_1", "team/roof-1"]),
        ("f_1", ["team/Roof_1"]),
        ("%", []),
        ("\\", []),
        ("team/", ["team/Roof_1", "team/roof-1"]),
        ("' OR 1=1 --", []),
    ],
)
def test_a_search_takes_every_character_as_it_is(database: Engine, search: str, found: list[str]) -> None:
    for name in ("team/Roof_1", "team/roof-1", "cellar"):
        added(database, name)
    assert sorted(listed(database, search)) == found
    with reading(database) as session:
        assert branch_history.count_repos(session, None, search) == len(found)


def test_a_list_and_its_count_have_only_what_the_viewer_sees(database: Engine) -> None:
    added(database, "a/secret")
    open_to_all = added(database, "b/open")
    with transaction(database) as session:
        bob = store.add_user(session, "bob", None, is_admin=False).id
        store.set_visible_to_all(session, open_to_all.id, visible=True)
    assert listed(database, viewer=bob) == ["b/open"]
    assert listed(database, "secret", viewer=bob) == []
    with reading(database) as session:
        assert [branch_history.count_repos(session, viewer) for viewer in (bob, None)] == [1, 2]


def test_runs_and_repositories_are_found_by_their_ids(database: Engine) -> None:
    roof = added(database, "a/roof")
    run_of(database, roof.id)
    with reading(database) as session:
        assert list(branch_history.repos_with_ids(session, [roof.id, 99])) == [roof.id]
        (run,) = branch_history.runs_with_ids(session, [1, 99]).values()
        assert run.number == 1


def _histories(database: Engine, repo: RepoName) -> None:
    numbers(database, repo)


def _last_numbers(database: Engine, repo: RepoName) -> None:
    with reading(database) as session:
        branch_history.last_numbers(session, [repo], 20)


@pytest.mark.parametrize("ask", [_histories, _last_numbers])
def test_no_query_reads_all_runs(database: Engine, ask: Callable[[Engine, RepoName], None]) -> None:
    roof = added(database, "a/roof")
    run_of(database, roof.id)
    statements: list[tuple[str, Any]] = []
    event.listen(database, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
    ask(database, roof)
    asked = [(sql, values) for sql, values in statements if "runs" in sql]
    explain = "EXPLAIN QUERY PLAN" if database.dialect.name == "sqlite" else "EXPLAIN"
    assert asked
    with database.connect() as connection:
        for sql, values in asked:
            plan = connection.exec_driver_sql(f"{explain} {sql}", values).all()
            said = "\n".join(str(line) for line in plan)
            assert "SCAN runs" not in said, said
            assert "Seq Scan on runs" not in said, said
            assert "ix_runs_repo_id_ref_number" in said or "repo_id_number" in said or "sqlite_autoindex_runs" in said
