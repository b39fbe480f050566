"""Every route by every identity, against the table in ``rules.py``. A route without a rule fails."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from pipelines.state import State
from tests.support.people import OPERATOR
from tests.support.routes import calls_of
from tests.web.conftest import REPO, ClaimedRun, Site
from tests.web.security.identities import IDENTITIES, OTHER_REPO, Identity, credentials
from tests.web.security.rules import NOT_AUDITED, RULES, Needs
from web.operations.accounts import roles, users
from web.operations.repos import crons, secrets
from web.security.auth import hashed, new_secret
from web.server.app import create_app
from workers import store
from workers.db.models import AuditEntry, Delivery, FormerName, Repo, Run
from workers.db.roles import Role, Scope
from workers.db.session import reading, transaction
from workers.forges.kept_payload import kept_payload
from workers.store import NewDelivery
from workers.triggers.crons import NewCron

pytestmark = pytest.mark.slow

EVE = "eve"
RENAMED = "acme/renamed"
WORKER = "host-1"
RUNNING, ENDED = 1, 2
CRON = {"cron": "nightly", "expression": "@daily"}
FORMS: Mapping[str, Mapping[str, Any]] = {
    "POST /account/password": {"password": "quite long enough"},
    "POST /account/tokens": {"name": "matrix"},
    "POST /workers/drain": {"name": WORKER},
    "POST /workers/undrain": {"name": WORKER},
    "POST /users/disable": {"name": EVE},
    "POST /users/enable": {"name": EVE},
    "POST /users/remove": {"name": EVE},
    "POST /repos/{name:path}/settings/secrets": {"secret": "key", "value": "value"},
    "POST /repos/{name:path}/settings/secrets/delete": {"secret": "key"},
    "POST /repos/{name:path}/settings/newest-wins": {"event": "push"},
    "POST /repos/{name:path}/settings/untrusted": {"runs": "approve", "pipeline_from": "commit"},
    "POST /repos/{name:path}/settings/roles": {"member": EVE, "role": "write"},
    "POST /repos/{name:path}/settings/roles/delete": {"member": EVE},
    "POST /repos/{name:path}/settings/visibility": {"visible": "false"},
    "POST /repos/{name:path}/settings/retention": {"run_days": "30"},
    "POST /repos/{name:path}/runs": {"branch": "main"},
    "POST /repos/{name:path}/crons": CRON,
    "POST /repos/{name:path}/crons/switch": {"cron": "nightly", "on": "true"},
    "POST /repos/{name:path}/crons/delete": {"cron": "nightly"},
    "POST /repos/{name:path}/crons/run": {"cron": "nightly"},
}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "PUT /api/repos/{name:path}/crons/{cron_name}": {"expression": "@daily"},
    "PUT /api/repos/{name:path}/secrets/{secret_name}": {"value": "value"},
    "PUT /api/repos/{name:path}/settings/forge-tokens": {"token": "tok"},
    "PUT /api/repos/{name:path}/settings/name": {"name": RENAMED},
    "PUT /api/repos/{name:path}/settings/retention": {"run_days": 30},
    "PUT /api/repos/{name:path}/settings/roles/{user_name}": {"role": "write"},
    "PUT /api/repos/{name:path}/settings/visibility": {"visible_to_all": False},
    "POST /api/repos/{name:path}/runs": {"branch": "main"},
}
OWN = {call for call in RULES if not call.startswith("GET ") and ("/account" in call or call == "POST /logout")}
"""Calls that may end the caller's own session, or a token: each caller is new."""
CONTENTS = {"POST /api/repos/{name:path}/runs/sent": b"PACK" + bytes(28)}
QUERIES = {
    "POST /api/repos/{name:path}/runs/sent": {"commit": "8" * 40},
    "GET /api/steps/{step_id}/log/search": {"text": "x"},
    "GET /api/steps/{step_id}/log/lines": {"stream": "stderr"},
    "GET /api/events": {"follow": "front@x"},
    "GET /api/repos/{name:path}/tests/history": {"test": "x"},
    "GET /repos/{name:path}/tests/history": {"test": "x"},
}


@pytest.fixture
def world(site: Site) -> ClaimedRun:
    """Two repositories. In the first, run 1 goes on and run 2 has ended. Streams end at once."""
    site.add_repo(forge="github")
    site.add_repo(OTHER_REPO)
    begun = site.begin()
    ended = site.queue()
    with transaction(site.engine) as session:
        store.request_cancel(session, ended.run_id, "tests")
    assert site.run(ENDED).state is State.CANCELED
    site.services.stopping.set()
    return begun


def ids_of(world: ClaimedRun) -> dict[str, str]:
    """What of the running run has an id in a path. Its first step has kept a file."""
    kept = world.keep("report.xml", b"<r/>")
    ids = {"step_id": str(world.steps[1]), "run_id": str(world.queued.run_id), "artifact_id": str(kept)}
    return ids | {"link": "1-1-s1-9999999999-0", "path": "report.xml"}


def outcome_for(who: Identity, needs: Needs) -> str:
    """What the table says of a call: ok, login, forbidden or hidden."""
    if needs in {Needs.NOTHING, Needs.SIGNATURE}:
        return "ok" if needs is Needs.NOTHING else "hidden"
    if not who.alive:
        return "login"
    allowed = {Needs.LOGIN: True, Needs.BROWSER: who.browser, Needs.FULL: who.full, Needs.SERVER: who.server}
    if needs not in allowed:
        if who.role is None:
            return "hidden"
        allowed[needs] = who.role.includes(Role(needs.name.lower()))
    return "ok" if allowed[needs] else "forbidden"


def outcome_of(answer: Response, call: str) -> str:
    location = answer.headers.get("location", "")
    logged_out = call == "POST /logout" and "set-cookie" in answer.headers
    if answer.status_code == 401 or (location.startswith("/login") and not logged_out):
        return "login"
    known = {403: "forbidden", 404: "hidden"}
    return known.get(answer.status_code, "ok" if answer.status_code < 400 else f"{answer.status_code} {answer.text}")


def prepare(site: Site, call: str) -> Mapping[str, str]:
    """Puts everything that a call changes into its first state; the values of the path's parameters."""
    if call.endswith("/settings/name"):
        with transaction(site.engine) as session:
            session.execute(update(Repo).where(Repo.name == RENAMED).values(name=REPO))
            session.execute(delete(FormerName))
    secrets.put(site.services, OPERATOR, REPO, "key", "value")
    crons.put(site.services, OPERATOR, REPO, NewCron("nightly", "@daily"))
    with transaction(site.engine) as session:
        user = store.user_by_name(session, EVE) or store.add_user(session, EVE)
        store.enable_user(session, user.id)
        store.record_heartbeat(session, WORKER, {}, 1, 60)
        store.set_drained(session, WORKER, drained=call.endswith("/undrain"))
        if call.endswith("/enable"):
            store.disable_user(session, user.id)
        held = {"held": call.endswith("/approve"), "cancel_requested_ms": None}
        session.execute(update(Run).where(Run.number == RUNNING).values(held))
        token = store.add_token(session, user.id, "spare", hashed(new_secret()), scope=Scope.READ)
        store.add_session(session, user.id, hashed(new_secret()), 3600)
        spare = store.sessions_of(session, user.id)[0]
        delivery = _delivery(session)
    roles.put(site.services, OPERATOR, REPO, EVE, Role.READ)
    return {
        "name": REPO,
        "number": str(ENDED if call.endswith("/rerun") else RUNNING),
        "cron_name": "nightly",
        "delivery_id": str(delivery.id),
        "secret_name": "key",
        "user_name": EVE,
        "worker_name": WORKER,
        "token_id": str(token.id),
        "session_id": str(spare.id),
    }


def _delivery(session: Session) -> Delivery:
    """A delivery with a payload."""
    repo = store.repo_by_name(session, REPO)
    assert repo is not None
    payload = kept_payload({"x-github-event": "ping"}, b"{}", "")
    store.record_delivery(session, repo.id, NewDelivery("one", payload=payload))
    return session.scalars(select(Delivery).where(Delivery.key == "one")).one()


def own_spares(site: Site, name: str) -> Mapping[str, str]:
    """Another token and another session of this user."""
    with transaction(site.engine) as session:
        user = store.user_by_name(session, name)
        if user is None:
            return {}
        token = store.add_token(session, user.id, "spare", hashed(new_secret()), scope=Scope.READ)
        store.add_session(session, user.id, hashed(new_secret()), 3600)
        return {"token_id": str(token.id), "session_id": str(store.sessions_of(session, user.id)[0].id)}


def entries(site: Site) -> int:
    with reading(site.engine) as session:
        return session.scalars(select(func.count()).select_from(AuditEntry)).one()


def send(client: TestClient, site: Site, call: str, headers: Mapping[str, str], values: Mapping[str, str]) -> Response:
    method, path = call.split(" ")
    path = "/static/headway.css" if path == "/static" else path
    address = re.sub(r"\{(\w+)(?::path)?\}", lambda found: values[found[1]], path)
    form = FORMS.get(call)
    if call == "POST /login":
        form = {"link": users.make_login_link(site.services, OPERATOR, EVE).rpartition("=")[2]}
    client.cookies.clear()
    return client.request(
        method,
        address,
        data=dict(form) if form else None,
        content=CONTENTS.get(call),
        json=BODIES.get(call),
        params=QUERIES.get(call),
        headers={"sec-fetch-site": "same-origin", **headers},
    )


@pytest.mark.parametrize("needs", Needs, ids=lambda needs: needs.value)
def test_routes_answer_everybody_as_the_table_says(
    site: Site, client: TestClient, world: ClaimedRun, needs: Needs
) -> None:
    ids = ids_of(world)
    known = {who.name: credentials(site, who) for who in IDENTITIES}
    for call in sorted(call for call, needed in RULES.items() if needed is needs):
        found: dict[str, str] = {}
        values = prepare(site, call)
        for who in IDENTITIES:
            own = call in OWN
            headers, name = credentials(site, who) if own else known[who.name]
            before = entries(site)
            spares = own_spares(site, name) if own else {}
            found[who.name] = outcome_of(send(client, site, call, headers, {**values, **ids, **spares}), call)
            changed = found[who.name] == "ok" and not call.startswith("GET ")
            audited = changed and call not in NOT_AUDITED
            assert (entries(site) > before) is audited, f"the audit log after {call} by {who.name}"
            values = prepare(site, call) if changed else values
        assert found == {who.name: outcome_for(who, needs) for who in IDENTITIES}, call


def test_every_route_has_a_rule_and_every_rule_a_route(site: Site) -> None:
    assert calls_of(create_app(site.services)) == sorted(RULES)


def test_a_new_route_is_found(site: Site) -> None:
    app = create_app(site.services)
    app.get("/forgotten")(lambda: None)
    assert set(calls_of(app)) - set(RULES) == {"GET /forgotten"}


def test_a_repository_that_all_users_see_is_read_only_for_users_without_a_role(
    site: Site, client: TestClient, world: ClaimedRun
) -> None:
    headers, _ = credentials(site, Identity("somebody"))
    roles.set_visible_to_all(site.services, OPERATOR, REPO, visible=True)
    ids = ids_of(world)
    reader = Identity("somebody", role=Role.READ)
    for call, needs in RULES.items():
        if needs in {Needs.READ, Needs.WRITE, Needs.ADMIN}:
            answer = send(client, site, call, headers, {**prepare(site, call), **ids})
            assert outcome_of(answer, call) == outcome_for(reader, needs), call
