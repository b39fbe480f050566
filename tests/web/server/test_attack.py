"""Many clients without a login hold what they can; hooks, health and live streams are answered meanwhile."""

import hashlib
import hmac
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.testclient import TestClient

from tests.web.conftest import PASSWORD, REPO, Site, serving
from tests.web.streaming.listener import Listener
from web.security import password_hashing
from web.server.connections import ConnectionLimits

SAME_SITE = {"sec-fetch-site": "same-origin"}
PUSH = {"ref": "refs/heads/main", "before": "0" * 40, "after": "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b"}
# Without the limits it is 20 seconds and more; on an idle machine, with them, less than one.
LIMIT_S = 5.0


def worst_s(ask: Callable[[], object], during_s: float) -> float:
    """The longest time that one of many requests took."""
    worst = 0.0
    until_s = time.monotonic() + during_s
    while time.monotonic() < until_s:
        started_s = time.monotonic()
        ask()
        worst = max(worst, time.monotonic() - started_s)
    return worst


def hook(http: httpx2.Client, secret: str, number: int) -> None:
    body = json.dumps({**PUSH, "number": number}).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-headway-signature": f"sha256={digest}"}
    assert http.post(f"/hooks/{REPO}", content=body, headers=headers).status_code == 202


@pytest.mark.stress
def test_logins_by_the_hundred_delay_neither_health_nor_hooks_nor_live_streams(site: Site, live_url: str) -> None:
    secret = site.add_repo().secret
    listener = Listener(live_url, site.token(site.add_user("bea")))
    port = str(urlsplit(live_url).port)
    # A process of its own: in this one its work would count as the server's.
    command = [sys.executable, str(Path(__file__).with_name("attacker.py")), port, "120"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:
        try:
            assert attacker.stdout is not None
            statuses = {attacker.stdout.readline() for _ in range(200)}
            drain = threading.Thread(target=lambda: statuses.update(attacker.stdout or ()))
            drain.start()
            with httpx2.Client(base_url=live_url, timeout=30) as http:
                numbers = iter(range(10_000))
                assert worst_s(lambda: http.get("/healthz").raise_for_status(), 1.5) < LIMIT_S
                assert worst_s(lambda: hook(http, secret, next(numbers)), 1.5) < LIMIT_S
                assert worst_s(lambda: next(listener.events("/api/stream")), 1.5) < LIMIT_S
        finally:
            attacker.kill()
            drain.join()
    listener.client.close()
    assert statuses <= {"403\n", "429\n"}
    assert "429\n" in statuses


@pytest.mark.stress
def test_thousands_of_half_sent_requests_do_not_keep_other_clients_out(site: Site) -> None:
    limits = ConnectionLimits(head_s=2)
    with serving(site.services, limits) as url, ExitStack() as stack:
        where = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        for _ in range(1_500):
            held = stack.enter_context(socket.create_connection(where, timeout=10))
            held.sendall(b"POST /hooks/x HTTP/1.1\r\nHost: loc")
        with httpx2.Client(base_url=url) as http:
            assert worst_s(lambda: http.get("/healthz").raise_for_status(), 1) < LIMIT_S


def test_one_login_more_than_the_queue_holds_is_answered_429(site: Site, client: TestClient) -> None:
    site.add_user(password=PASSWORD)
    threads = client.app.state.login_threads  # type: ignore[attr-defined]
    assert threads.total_tokens == password_hashing.AT_ONCE_MAX + password_hashing.WAITING_MAX
    form = {"name": "ada", "password": PASSWORD}
    threads.total_tokens = 1
    assert client.post("/login", data=form, headers=SAME_SITE).status_code == 303
    threads.total_tokens = 0
    busy = client.post("/login", data=form, headers=SAME_SITE)
    assert busy.status_code == 429
    assert busy.headers["retry-after"] == str(password_hashing.RETRY_AFTER_S)
    assert "passwords are being checked" in busy.text
