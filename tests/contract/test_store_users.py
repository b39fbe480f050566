"""The store's contract about users and counters, on each of the two databases."""

import threading

import pytest
from sqlalchemy import Engine, update

from workers import store
from workers.db.models import ApiToken, LoginLink, LoginSession, User
from workers.db.session import reading, transaction


@pytest.fixture
def ada(database: Engine) -> User:
    with transaction(database) as session:
        return store.add_user(session, "ada", is_admin=True)


def test_a_users_name_is_unique(database: Engine, ada: User) -> None:
    with transaction(database) as session, pytest.raises(store.AlreadyThereError, match="ada"):
        store.add_user(session, "ada")
    with reading(database) as session:
        assert [(user.name, user.is_admin) for user in store.users(session)] == [("ada", True)]


def test_a_password_can_be_set_and_removed(database: Engine, ada: User) -> None:
    for password_hash in ("$argon2id$x", None):
        with transaction(database) as session:
            store.set_password(session, ada.id, password_hash)
        with reading(database) as session:
            found = store.user_by_name(session, "ada")
        assert found is not None
        assert found.password_hash == password_hash


def test_a_browser_session_is_found_by_the_hash_of_its_cookie_until_it_expires(database: Engine, ada: User) -> None:
    with transaction(database) as session:
        store.add_session(session, ada.id, "hash-1", lifetime_s=60)
        store.add_session(session, ada.id, "hash-2", lifetime_s=-1)
    with reading(database) as session:
        found = store.session_user(session, "hash-1")
        assert found is not None
        assert found[0].name == "ada"
        assert store.session_user(session, "hash-2") is None
        assert store.session_user(session, "hash-3") is None


def test_a_session_can_be_extended_and_ended(database: Engine, ada: User) -> None:
    with transaction(database) as session:
        store.add_session(session, ada.id, "hash", lifetime_s=60)
    with reading(database) as session:
        before = store.session_user(session, "hash")
    assert before is not None
    with transaction(database) as session:
        store.extend_session(session, before[1].id, lifetime_s=3600)
    with reading(database) as session:
        after = store.session_user(session, "hash")
    assert after is not None
    assert after[1].expires_ms - before[1].expires_ms >= 3_500_000
    with transaction(database) as session:
        store.drop_session(session, "hash")
    with reading(database) as session:
        assert store.session_user(session, "hash") is None


def test_a_token_is_valid_until_it_is_deleted_or_expires(database: Engine, ada: User) -> None:
    with transaction(database) as session:
        for_ever = store.add_token(session, ada.id, "ci", "hash-1")
        store.add_token(session, ada.id, "old", "hash-2", lifetime_s=-1)
        grace = store.add_user(session, "grace")
    with reading(database) as session:
        found = store.token_user(session, "hash-1")
        assert found is not None
        assert (found[0].name, found[1].last_used_ms) == ("ada", None)
        assert store.token_user(session, "hash-2") is None
    with transaction(database) as session:
        store.touch_token(session, for_ever.id)
        assert not store.drop_token(session, grace.id, for_ever.id)
    with reading(database) as session:
        assert [(token.name, token.last_used_ms is None) for token in store.tokens_of(session, ada.id)] == [
            ("ci", False),
            ("old", True),
        ]
    with transaction(database) as session:
        assert store.drop_token(session, ada.id, for_ever.id)
        assert store.token_user(session, "hash-1") is None


def test_a_login_link_works_once_even_for_two_requests_at_the_same_time(database: Engine, ada: User) -> None:
    with transaction(database) as session:
        store.add_login_link(session, ada.id, "hash", lifetime_s=60)
    who: list[str | None] = []
    start = threading.Barrier(4)

    def follow() -> None:
        start.wait()
        with transaction(database) as session:
            user = store.use_login_link(session, "hash")
            who.append(None if user is None else user.name)

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(each) for each in who) == ["None", "None", "None", "ada"]


def test_an_expired_login_link_does_not_work(database: Engine, ada: User) -> None:
    with transaction(database) as session:
        store.add_login_link(session, ada.id, "hash", lifetime_s=-1)
    with transaction(database) as session:
        assert store.use_login_link(session, "hash") is None


@pytest.mark.slow
def test_only_what_has_expired_is_deleted(database: Engine, ada: User) -> None:
    with transaction(database) as session:
        store.add_session(session, ada.id, "session", 60)
        store.add_token(session, ada.id, "for ever", "token-1")
        store.add_token(session, ada.id, "soon over", "token-2", 60)
        store.add_login_link(session, ada.id, "link", 60)
    with transaction(database) as session:
        assert store.drop_expired(session) == 0
        for entity in (LoginSession, LoginLink, ApiToken):
            session.execute(update(entity).where(entity.expires_ms.is_not(None)).values(expires_ms=1))
    with transaction(database) as session:
        assert store.drop_expired(session) == 3
        assert [token.name for token in store.tokens_of(session, ada.id)] == ["for ever"]


def test_counters_count(database: Engine) -> None:
    with transaction(database) as session:
        for name in ("refused", "other", "refused"):
            store.bump_counter(session, name)
    with reading(database) as session:
        assert store.counters(session) == {"refused": 2, "other": 1}
