"""The store's contract about users who go, roles, and the audit log, on each of the two databases."""

import threading
from itertools import chain

import pytest
from sqlalchemy import Engine, event, update

from tests.support.builders import push
from workers import store
from workers.db.models import AuditEntry, LoginSession, User
from workers.db.roles import Role, Scope, lower
from workers.db.session import db_now_ms, reading, transaction
from workers.store.accounts import audit, roles
from workers.store.accounts.sessions import SESSIONS_MAX

DAY_MS = 86_400_000


@pytest.fixture
def ada(database: Engine) -> User:
    with transaction(database) as session:
        return store.add_user(session, "ada", is_admin=True)


@pytest.fixture
def bob(database: Engine) -> User:
    with transaction(database) as session:
        return store.add_user(session, "bob")


def add_repo(database: Engine, name: str, runs: int = 0) -> int:
    with transaction(database) as session:
        repo_id = store.add_repo(session, store.NewRepo(name, "file:///x")).id
        for _ in range(runs):
            store.queue_run(session, repo_id, push())
    return repo_id


def test_a_role_includes_the_roles_below_it() -> None:
    assert [(one.value, other.value) for one in Role for other in Role if one.includes(other)] == [
        ("read", "read"),
        ("write", "read"),
        ("write", "write"),
        ("admin", "read"),
        ("admin", "write"),
        ("admin", "admin"),
    ]
    assert lower(Role.ADMIN, Role.READ) is lower(Role.READ, Role.ADMIN) is Role.READ
    assert [scope.role_max for scope in Scope] == list(Role)


def test_a_disabled_users_sessions_tokens_and_links_stop_and_tokens_come_back(database: Engine, bob: User) -> None:
    with transaction(database) as session:
        store.add_session(session, bob.id, "session", 60)
        store.add_token(session, bob.id, "ci", "token")
        store.add_login_link(session, bob.id, "link", 60)
        session_id = store.sessions_of(session, bob.id)[0].id
        token_id = store.tokens_of(session, bob.id)[0].id
        store.disable_user(session, bob.id)
        store.add_login_link(session, bob.id, "late link", 60)
    with transaction(database) as session:
        assert store.session_user(session, "session") is None
        assert store.user_of_session(session, session_id) is None
        assert store.token_user(session, "token") is None
        assert store.user_of_token(session, token_id) is None
        assert store.use_login_link(session, "link") is None
        assert store.use_login_link(session, "late link") is None
        store.enable_user(session, bob.id)
        assert store.session_user(session, "session") is None
        assert store.token_user(session, "token") is not None
        assert store.user_of_token(session, token_id) is not None
        assert store.use_login_link(session, "late link") is None, "it was used up while the user was disabled"


def test_a_session_that_began_while_the_user_was_disabled_is_dead(database: Engine, bob: User) -> None:
    with transaction(database) as session:
        store.disable_user(session, bob.id)
        store.add_session(session, bob.id, "session", 60)
        assert store.session_user(session, "session") is None


def test_a_removed_user_leaves_nothing_that_lets_somebody_in(database: Engine, bob: User) -> None:
    repo_id = add_repo(database, "a/b")
    with transaction(database) as session:
        store.add_session(session, bob.id, "session", 60)
        store.add_token(session, bob.id, "ci", "token")
        store.add_login_link(session, bob.id, "link", 60)
        roles.set_role(session, bob.id, repo_id, Role.ADMIN)
        store.remove_user(session, bob.id)
    with transaction(database) as session:
        assert store.user_by_name(session, "bob") is None
        assert store.session_user(session, "session") is None
        assert store.token_user(session, "token") is None
        assert store.use_login_link(session, "link") is None
        assert roles.roles_on_repo(session, repo_id) == []


def test_of_two_administrators_who_disable_each_other_one_stays(database: Engine, ada: User) -> None:
    with transaction(database) as session:
        eve = store.add_user(session, "eve", is_admin=True)
    start, refused = threading.Barrier(2), list[int]()

    def disable(user_id: int) -> None:
        start.wait()
        with transaction(database) as session:
            if list(store.lock_enabled_administrators(session)) == [user_id]:
                refused.append(user_id)
            else:
                store.disable_user(session, user_id)

    threads = [threading.Thread(target=disable, args=(user.id,)) for user in (ada, eve)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(database) as session:
        left = [user.id for user in store.users(session) if user.disabled_ms is None]
    assert left == refused
    assert len(left) == 1


def test_the_oldest_sessions_end_beyond_the_limit(database: Engine, ada: User, bob: User) -> None:
    with transaction(database) as session:
        store.add_session(session, bob.id, "bob's", 60)
        for number in range(SESSIONS_MAX):
            store.add_session(session, ada.id, f"session {number}", 60)
        assert store.session_user(session, "session 0") is not None
        store.add_session(session, ada.id, "one more", 60)
        assert store.session_user(session, "session 0") is None
        assert store.session_user(session, "session 1") is not None
        assert store.session_user(session, "bob's") is not None
        assert len(store.sessions_of(session, ada.id)) == SESSIONS_MAX


def test_sessions_are_listed_by_their_last_use_and_ended(database: Engine, ada: User, bob: User) -> None:
    with transaction(database) as session:
        for name in ("first", "second", "over"):
            store.add_session(session, ada.id, name, -1 if name == "over" else 60, address="10.0.0.1", browser=name)
        rows = store.sessions_of(session, ada.id)
        assert [row.browser for row in rows] == ["second", "first"]
        session.execute(update(LoginSession).values(last_used_ms=1))
        store.touch_session(session, rows[1].id, "10.0.0.2")
        session.expire_all()
        assert [(row.browser, row.address) for row in store.sessions_of(session, ada.id)] == [
            ("first", "10.0.0.2"),
            ("second", "10.0.0.1"),
        ]
        assert not store.drop_session_of(session, bob.id, rows[0].id)
        assert store.drop_session_of(session, ada.id, rows[0].id)
        store.add_session(session, ada.id, "third", 60)
        assert store.drop_sessions(session, ada.id, keep=rows[1].id) == 2
        assert [row.id for row in store.sessions_of(session, ada.id)] == [rows[1].id]


def test_a_role_is_given_changed_and_taken_away(database: Engine, ada: User, bob: User) -> None:
    repo_id = add_repo(database, "a/b")
    with transaction(database) as session:
        assert roles.role_on(session, bob.id, repo_id) is None
        for role in (Role.ADMIN, Role.READ):
            roles.set_role(session, bob.id, repo_id, role)
            assert roles.role_on(session, bob.id, repo_id) is role
        roles.set_role(session, ada.id, repo_id, Role.WRITE)
        assert roles.roles_on_repo(session, repo_id) == [("ada", Role.WRITE), ("bob", Role.READ)]
        assert roles.roles_by_user(session)[bob.id] == [("a/b", Role.READ)]
        assert roles.drop_role(session, bob.id, repo_id)
        assert not roles.drop_role(session, bob.id, repo_id)
        assert roles.role_on(session, bob.id, repo_id) is None


def test_a_user_sees_repositories_with_a_role_and_those_for_all_and_their_runs(database: Engine, bob: User) -> None:
    given, _, for_all = (add_repo(database, name, runs=3) for name in ("b/given", "a/other", "c/for-all"))
    with transaction(database) as session:
        roles.set_role(session, bob.id, given, Role.READ)
        store.set_visible_to_all(session, for_all, visible=True)
    with reading(database) as session:
        assert [repo.name for repo in store.repos(session, bob.id)] == ["b/given", "c/for-all"]
        assert set(store.last_runs(session, store.repos(session, bob.id))) == {given, for_all}
        assert [store.repos_version(session, viewer)[1] for viewer in (bob.id, None)] == [2, 3]
        assert [repo.name for repo in store.repos(session, bob.id, "b/given")] == ["c/for-all"]
        assert [repo.name for repo in store.repos(session, bob.id, limit=1)] == ["b/given"]
        seen = [(repo.name, run.number) for run, repo in store.recent_runs(session, 4, bob.id)]
        assert seen == [("c/for-all", 3), ("c/for-all", 2), ("c/for-all", 1), ("b/given", 3)]
        assert len(store.recent_runs(session, 30, bob.id)) == 6
        assert len(store.recent_runs(session, 30)) == 9
        assert [repo.name for repo in store.repos(session)] == ["a/other", "b/given", "c/for-all"]


@pytest.mark.parametrize("viewer", [None, 1])
def test_no_list_reads_all_runs(database: Engine, viewer: int | None) -> None:
    if database.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the sizes of the tables")
    add_repo(database, "a/b", runs=1)
    statements: list[tuple[str, object]] = []
    event.listen(database, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
    with reading(database) as session:
        store.last_runs(session, store.repos(session))
        store.recent_runs(session, 30, viewer)
    asked = [(text, values) for text, values in statements if "FROM runs" in text]
    assert len(asked) == 3
    with database.connect() as connection:
        plans = [
            [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]  # type: ignore[arg-type]
            for text, values in asked
        ]
    # The newest runs of all come from the end of the table, until there are enough.
    allowed = {"SCAN runs"} if viewer is None else set()
    *of_each_repo, newest = plans
    assert "SCAN runs" not in chain(*of_each_repo)
    assert {"SCAN runs"} & set(newest) <= allowed


def add_entries(database: Engine, count: int) -> None:
    with transaction(database) as session:
        for number in range(count):
            audit.add_entry(session, actor="ada", source="::1", action="a", target=str(number), detail="")


def targets(database: Engine) -> list[str]:
    with reading(database) as session:
        return [entry.target for entry in audit.entries(session)]


def test_entries_are_read_from_the_newest_on(database: Engine) -> None:
    add_entries(database, 5)
    with reading(database) as session:
        first = audit.entries(session, limit=2)
        assert [entry.target for entry in first] == ["4", "3"]
        assert [entry.target for entry in audit.entries(session, first[-1].id, 2)] == ["2", "1"]


def test_entries_are_deleted_after_their_days(database: Engine) -> None:
    add_entries(database, 1)
    with transaction(database) as session:
        now = db_now_ms(session)
        for name, age_ms in (("older", 2 * DAY_MS + 60_000), ("younger", 2 * DAY_MS - 60_000)):
            entry = AuditEntry(at_ms=now - age_ms, actor="", source="", action="", target=name, detail="")
            session.add(entry)
    with transaction(database) as session:
        assert audit.drop_old_entries(session, 0) == 0
        assert audit.drop_old_entries(session, 2) == 1
    assert sorted(targets(database)) == ["0", "younger"]


def test_the_audit_log_has_at_most_so_many_entries_and_is_cut_in_pieces(database: Engine) -> None:
    add_entries(database, 6)
    with transaction(database) as session:
        assert audit.drop_old_entries(session, 0, entries_max=6) == 0
        assert audit.drop_old_entries(session, 0, entries_max=3, at_once_max=2) == 2
    assert targets(database) == ["5", "4", "3", "2"]
    with transaction(database) as session:
        assert audit.drop_old_entries(session, 0, entries_max=3, at_once_max=2) == 1
    assert targets(database) == ["5", "4", "3"]
