"""Transactions, the database's clock, migrations."""

import threading
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from tests.support.builders import push
from tests.support.services import PostgresServer
from workers import store
from workers.db import session as session_module
from workers.db.models import AuditEntry, Base, Counter, Delivery, Repo, Run
from workers.db.roles import Role, Scope
from workers.db.session import db_now_ms, downgrade, make_engine, now_ms, persist, reading, transaction, upgrade
from workers.store.accounts import audit, roles


def test_a_transaction_is_committed_at_the_end_of_its_block(database: Engine) -> None:
    with transaction(database) as session:
        store.bump_counter(session, "hooks")
    with reading(database) as session:
        assert store.counters(session) == {"hooks": 1}


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_sqlite_waits_for_the_disk_where_that_is_asked_for(sqlite_url: str, durable: bool, level: int) -> None:
    """1 is NORMAL, 2 is FULL: https://sqlite.org/pragma.html#pragma_synchronous"""
    engine = make_engine(sqlite_url, durable=durable)
    with reading(engine) as session:
        assert session.scalar(text("PRAGMA synchronous")) == level
    engine.dispose()


def test_a_transaction_that_raises_leaves_nothing(database: Engine) -> None:
    with pytest.raises(store.StaleAttemptError), transaction(database) as session:  # noqa: PT012 - the second one raises
        store.bump_counter(session, "hooks")
        store.start_step(session, 404, 1, 1)
    with reading(database) as session:
        assert store.counters(session) == {}


class Away:
    """A change during which the connection is lost, the first ``times`` times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, session: Session) -> str:
        store.bump_counter(session, "hooks")
        self.times -= 1
        if self.times >= 0:
            raise OperationalError("COMMIT", None, ConnectionError("the server closed the connection"))
        return "done"


def test_persist_retries_until_the_database_answers(database: Engine) -> None:
    assert persist(database, Away(2)) == "done"
    with reading(database) as session:
        assert store.counters(session) == {"hooks": 1}


def test_persist_gives_up_after_its_time(database: Engine) -> None:
    with pytest.raises(OperationalError, match="closed the connection"):
        persist(database, Away(2), patience_s=0)


def test_reading_refuses_to_write(database: Engine) -> None:
    with reading(database) as session, pytest.raises(DBAPIError):
        store.bump_counter(session, "hooks")


def test_a_connection_that_was_read_with_can_write_again(database: Engine) -> None:
    for _ in range(3):
        with reading(database) as session:
            store.counters(session)
        with transaction(database) as session:
            store.bump_counter(session, "hooks")
    with reading(database) as session:
        assert store.counters(session) == {"hooks": 3}


def test_rows_stay_readable_after_the_block(database: Engine) -> None:
    with transaction(database) as session:
        repo = store.add_repo(session, store.NewRepo("a/b", "file:///a"))
    assert (repo.name, repo.last_number, repo.active) == ("a/b", 0, True)


def test_the_clock_counts_milliseconds_of_this_century(database: Engine) -> None:
    with reading(database) as session:
        before = db_now_ms(session)
    assert abs(before - time.time() * 1000) < 60_000
    with transaction(database) as session:
        session.execute(insert(Counter).values(name="clock", value=now_ms()))
    with reading(database) as session:
        assert before <= store.counters(session)["clock"] <= db_now_ms(session)


def test_text_that_a_database_refuses_is_kept_with_replacement_characters(database: Engine) -> None:
    with transaction(database) as session:
        session.add(Counter(name="a\0b\ud800c", value=1))
    with reading(database) as session:
        assert store.counters(session) == {"a\N{REPLACEMENT CHARACTER}b?c": 1}


@pytest.mark.slow
def test_many_threads_that_read_and_then_write_all_succeed(database: Engine) -> None:
    with transaction(database) as session:
        session.add(Counter(name="shared", value=0))

    def work() -> None:
        for _ in range(25):
            with transaction(database) as session:
                row = session.scalars(select(Counter).with_for_update()).one()
                session.execute(update(Counter).values(value=row.value + 1))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(database) as session:
        assert store.counters(session) == {"shared": 150}


def test_foreign_keys_are_kept(database: Engine) -> None:
    with pytest.raises(DBAPIError), transaction(database) as session:
        session.execute(
            insert(Base.metadata.tables["jobs"]).values(run_id=999, number=1, created_ms=0),
        )


def test_the_newest_migration_gives_exactly_the_tables_of_the_models(database: Engine) -> None:
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_upgrading_twice_changes_nothing(database: Engine) -> None:
    with transaction(database) as session:
        store.add_repo(session, store.NewRepo("a/b", "file:///a"))
    upgrade(database)
    with reading(database) as session:
        assert store.repo_by_name(session, "a/b") is not None


def test_migrations_are_files_named_by_their_revision_in_order() -> None:
    folder = Path(session_module.__file__).parent / "migrations"
    revisions = [script.revision for script in ScriptDirectory(str(folder)).walk_revisions()]
    names = sorted(path.name.partition("_")[0] for path in (folder / "versions").glob("*.py"))
    assert names == revisions[::-1]


@pytest.mark.slow
def test_migrations_go_up_from_nothing_back_and_up_again(empty_database: Engine) -> None:
    upgrade(empty_database)
    downgrade(empty_database, "base")
    assert set(inspect(empty_database).get_table_names()) <= {"alembic_version"}
    upgrade(empty_database)
    assert set(Base.metadata.tables) <= set(inspect(empty_database).get_table_names())


@pytest.mark.slow
def test_the_newest_migration_keeps_the_rows_up_and_down(empty_database: Engine) -> None:
    upgrade(empty_database)
    with transaction(empty_database) as session:
        repo_id = store.add_repo(session, store.NewRepo("a/b", "file:///a")).id
        job_id = store.record_delivery(session, repo_id, store.NewDelivery("d1", trigger=push())).job_id
    downgrade(empty_database, "0009")
    assert "lane" not in {column["name"] for column in inspect(empty_database).get_columns("jobs")}
    upgrade(empty_database)
    assert "lane" in {column["name"] for column in inspect(empty_database).get_columns("jobs")}
    with reading(empty_database) as session:
        assert session.execute(select(Run.held, Run.on_branch, Run.approved_by)).all() == [(False, None, "")]
        assert session.execute(select(Repo.untrusted_runs, Repo.pipeline_from)).all() == [("approve", "commit")]
        assert [job.id for job in store.jobs_of(session, 1)] == [job_id]
        assert session.scalars(select(Delivery.key)).all() == ["d1"]


@pytest.mark.slow
def test_crons_that_were_there_before_were_set_by_administrators(empty_database: Engine) -> None:
    upgrade(empty_database)
    with transaction(empty_database) as session:
        repo_id = store.add_repo(session, store.NewRepo("a/b", "file:///a")).id
        old = {"expression": "@daily", "zone": "UTC", "branch": "", "inputs": {"A": "1"}, "next_ms": 1}
        store.put_cron(session, repo_id, "old", old)
    downgrade(empty_database, "0010")
    upgrade(empty_database)
    with transaction(empty_database) as session:
        store.put_cron(session, repo_id, "new", old)
    with reading(empty_database) as session:
        found = {cron.name: cron.inputs_by_admin for cron, _ in store.crons_of(session, repo_id)}
    assert found == {"old": True, "new": False}


OLD_ROWS = (
    "INSERT INTO users (name, is_admin, created_ms) VALUES ('ada', true, 1), ('bob', false, 1)",
    """
    INSERT INTO repos (name, forge, clone_url, web_url, default_branch, private, hook_secret_sealed, clone_username,
      clone_password_sealed, push_repo, trust_network, trust_volumes, trust_security, active, last_number, created_ms,
      newest_wins)
    VALUES ('a/b', 'generic', 'file:///a', '', 'main', false, '', '', '', '', false, false, false, true, 0, 1, '[]')
    """,
    "INSERT INTO tokens (user_id, name, token_hash, created_ms) SELECT id, 'ci', 'x', 1 FROM users WHERE name = 'bob'",
)


@pytest.mark.slow
def test_users_keep_what_they_could_do_when_roles_come(empty_database: Engine) -> None:
    upgrade(empty_database)
    downgrade(empty_database, "0005")
    with empty_database.connect().execution_options(headway_write=True) as connection, connection.begin():
        for statement in OLD_ROWS:
            connection.exec_driver_sql(statement)
    upgrade(empty_database)
    with reading(empty_database) as session:
        repo, bob = store.repo_by_name(session, "a/b"), store.user_by_name(session, "bob")
        ada = store.user_by_name(session, "ada")
        assert repo is not None
        assert bob is not None
        assert ada is not None
        assert roles.role_on(session, bob.id, repo.id) is Role.WRITE
        assert roles.role_on(session, ada.id, repo.id) is None
        assert [token.scope for token in store.tokens_of(session, bob.id)] == [Scope.ADMIN]
        assert not repo.visible_to_all


def test_the_audit_log_refuses_changes(database: Engine) -> None:
    with transaction(database) as session:
        audit.add_entry(session, actor="ada", source="::1", action="user.add", target="bob", detail="")
    with pytest.raises(DBAPIError, match="append-only"), transaction(database) as session:
        session.execute(update(AuditEntry).values(actor="eve"))
    with reading(database) as session:
        assert [entry.actor for entry in audit.entries(session)] == ["ada"]


@pytest.mark.postgres
def test_a_connection_that_the_server_has_cut_is_replaced(postgres_server: PostgresServer, postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    with transaction(engine) as session:
        store.bump_counter(session, "before")
    other = make_engine(postgres_server.url("postgres"))
    name = postgres_url.rpartition("/")[2]
    with other.connect() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    with transaction(engine) as session:
        store.bump_counter(session, "after")
    with reading(engine) as session:
        assert store.counters(session) == {"before": 1, "after": 1}
    other.dispose()
    engine.dispose()


@pytest.mark.postgres
def test_postgresql_compiles_no_plan_keeps_none_and_uses_indexes(postgres_url: str) -> None:
    engine = make_engine(postgres_url)
    with reading(engine) as session:
        found = [session.scalar(text(f"SHOW {name}")) for name in ("jit", "plan_cache_mode", "enable_seqscan")]
    engine.dispose()
    assert found == ["off", "force_custom_plan", "off"]


def test_sqlite_makes_the_folder_of_its_file(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/new/folder/headway.db")
    upgrade(engine)
    with reading(engine) as session:
        assert session.scalars(select(Repo)).all() == []
    engine.dispose()
