"""The connections of a worker process to PostgreSQL: one for all its threads, another only where it hangs."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine, event, text

from workers.db.session import make_engine, reading, transaction

pytestmark = pytest.mark.postgres


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    made = make_engine(postgres_url, sparing=True)
    yield made
    made.dispose()


@pytest.fixture
def opened(engine: Engine) -> list[object]:
    """Each connection that was opened."""
    found: list[object] = []
    event.listen(engine, "connect", lambda connection, _: found.append(connection))
    return found


def ask(engine: Engine) -> int:
    with transaction(engine) as session:
        return int(session.execute(text("SELECT 7")).scalar_one())


def test_of_the_connections_of_many_threads_one_is_kept(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: ask(engine), range(64))) == {7}
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]


def test_a_transaction_that_hangs_delays_no_other(engine: Engine, opened: list[object]) -> None:
    with reading(engine):
        assert [ask(engine), ask(engine)] == [7, 7]
    assert len(opened) == 2
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]


def test_several_may_hang_at_once(engine: Engine, opened: list[object]) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(reading(engine))
        assert ask(engine) == 7
    assert len(opened) == 6
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]


def test_a_thread_that_waits_gets_the_connection_when_it_is_free(engine: Engine, opened: list[object]) -> None:
    waits = threading.Event()
    answers: list[int] = []

    def late() -> None:
        waits.set()
        answers.append(ask(engine))

    thread = threading.Thread(target=late)
    for _ in range(5):
        # One round in which this thread is not held up for the whole of its patience is enough.
        with reading(engine):
            thread.start()
            waits.wait()
        thread.join()
        if len(opened) == 1:
            break
        opened.clear()
        engine.dispose()
        thread = threading.Thread(target=late)
        with reading(engine):
            pass
        del opened[1:]
    assert len(opened) == 1
    assert set(answers) == {7}


def test_closed_connections_are_opened_again_when_they_are_needed(engine: Engine, opened: list[object]) -> None:
    for _ in range(2):
        ask(engine)
        engine.dispose()
    assert len(opened) == 2
