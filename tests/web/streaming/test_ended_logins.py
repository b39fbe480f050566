"""A stream that is open ends with what let its reader in: the user, the role, the token, the session."""

from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.support.people import OPERATOR
from tests.web.conftest import REPO, Site
from tests.web.streaming.listener import Event, Listener
from web.operations.accounts import roles, tokens_and_sessions, users
from web.security.auth import hashed, new_secret
from workers import store
from workers.db.roles import Role
from workers.db.session import transaction

PATHS = ("/api/stream", "/api/runs/{run}/stream", "/api/steps/{step}/stream")


def revoke_token(site: Site) -> None:
    (token,) = tokens_and_sessions.list_tokens(site.services, OPERATOR, "bob")
    tokens_and_sessions.remove_token(site.services, OPERATOR, "bob", token.id)


ENDS: dict[str, Callable[[Site], object]] = {
    "disabled": lambda site: users.disable(site.services, OPERATOR, "bob"),
    "removed": lambda site: users.remove(site.services, OPERATOR, "bob"),
    "without the token": revoke_token,
    "without a role": lambda site: roles.remove(site.services, OPERATOR, REPO, "bob"),
}


@pytest.fixture
def paths(site: Site) -> dict[str, str]:
    site.add_repo()
    begun = site.begin()
    site.add_user()
    site.add_user("bob", is_admin=False)
    site.give_role("bob", Role.READ)
    ids = {"run": begun.queued.run_id, "step": begun.steps[1]}
    return {path: path.format_map(ids) for path in PATHS}


def opened(reader: Listener, path: str) -> Iterator[Event]:
    """The stream, which has sent its first event."""
    events = reader.events(path, seen="old")
    assert next(events).kind == "changed"
    return events


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("end", ENDS)
def test_an_open_stream_ends_with_what_let_its_reader_in(
    site: Site, paths: dict[str, str], live_url: str, path: str, end: str
) -> None:
    user = next(
        user.id for user in (known.row for known in users.list_users(site.services, OPERATOR)) if user.name == "bob"
    )
    reader = Listener(live_url, site.token(user))
    events = opened(reader, paths[path])
    ENDS[end](site)
    if (path, end) == ("/api/stream", "without a role"):
        assert next(events).kind == "changed", "the front page has no repository any more"
    else:
        assert {event.kind for event in events} <= {"restart"}
    reader.client.close()


@pytest.mark.slow
def test_an_open_stream_of_a_browser_ends_with_its_session(site: Site, paths: dict[str, str], live_url: str) -> None:
    secret = new_secret()
    with transaction(site.engine) as session:
        user = store.user_by_name(session, "bob")
        assert user is not None
        store.add_session(session, user.id, hashed(secret), 3600)
    reader = Listener(live_url, "")
    reader.client = httpx2.Client(base_url=live_url, cookies={"headway": secret}, timeout=30)
    events = opened(reader, paths["/api/stream"])
    tokens_and_sessions.end_sessions(site.services, OPERATOR, "bob")
    assert list(events) == []
    reader.client.close()
