"""Thousands of webhooks: each answered one is stored, none starts two runs, and one failure does not fail others."""

import hashlib
import hmac
import json
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, select, update

from tests.support.services import eventually, free_port
from tests.web.conftest import REPO, Site, serving
from tests.web.server.test_serve import HEADWAY
from web.hooks.endpoint import REFUSED_COUNTER
from workers.db.models import Delivery, Job, Repo, Run
from workers.db.session import make_engine, reading, transaction
from workers.forges import generic
from workers.settings import Settings

OTHER = "acme/lighthouse"


@dataclass(frozen=True)
class Hook:
    """One delivery to send."""

    repo: str
    key: str
    secret: str = field(repr=False)

    @property
    def sha(self) -> str:
        return hashlib.sha1(f"{self.repo} {self.key}".encode()).hexdigest()

    @property
    def body(self) -> bytes:
        return json.dumps({"ref": "refs/heads/main", "before": "0" * 40, "after": self.sha, "pusher": "mara"}).encode()

    @property
    def stored_key(self) -> str:
        return generic.delivery_key({}, self.body)

    def send(self, connection: HTTPConnection) -> tuple[int, dict[str, Any]]:
        body = self.body
        digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-headway-signature": f"sha256={digest}"}
        connection.request("POST", f"/hooks/{self.repo}", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@dataclass
class Load:
    """Sends hooks over 16 persistent connections, until all are sent or the server stops."""

    port: int
    hooks: Sequence[Hook]
    answers: list[tuple[Hook, int, dict[str, Any]]] = field(default_factory=list)

    def run(self) -> None:
        waiting = iter(self.hooks)
        lock = threading.Lock()

        def work() -> None:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
            with suppress(OSError, HTTPException):
                while True:
                    with lock:
                        hook = next(waiting, None)
                    if hook is None:
                        break
                    self.answers.append((hook, *hook.send(connection)))
            connection.close()

        with ThreadPoolExecutor(16) as pool:
            for done in [pool.submit(work) for _ in range(16)]:
                done.result()


def runs_by_key(engine: Engine) -> dict[tuple[str, str], tuple[int, str]]:
    """The run's number and commit of each stored delivery, by repository and key."""
    query = (
        select(Repo.name, Delivery.key, Run.number, Run.sha)
        .join(Repo, Repo.id == Delivery.repo_id)
        .join(Run, Run.id == Delivery.run_id)
    )
    with reading(engine) as session:
        rows = session.execute(query).all()
    found = {(name, key): (number, sha) for name, key, number, sha in rows}
    assert len(found) == len(rows)
    return found


def assert_numbered_without_gaps(engine: Engine) -> None:
    with reading(engine) as session:
        rows = session.execute(select(Repo.id, Repo.last_number)).all()
        for repo_id, last in rows:
            numbers = session.scalars(select(Run.number).where(Run.repo_id == repo_id).order_by(Run.id)).all()
            assert sorted(numbers) == list(range(1, last + 1))


@pytest.fixture
def either_site(site: Site, database: Engine) -> Site:
    """The site on SQLite and on PostgreSQL."""
    return Site(replace(site.services, engine=database), site.woken)


@pytest.mark.stress
def test_none_of_two_thousand_is_lost_or_doubled_with_repeats_wrong_signatures_and_a_locked_database(
    either_site: Site,
) -> None:
    site = either_site
    secrets = {name: site.add_repo(name).secret for name in (REPO, OTHER)}
    genuine = [Hook(name, f"{name}-{n}", secrets[name]) for name in secrets for n in range(800)]
    again = random.sample(genuine, 300)
    wrong = [Hook(random.choice([REPO, "no/such"]), f"wrong-{n}", "guess") for n in range(100)]
    hooks = [*genuine, *again, *wrong]
    random.shuffle(hooks)
    with serving(site.services) as url:
        load = Load(int(url.rpartition(":")[2]), hooks)
        sending = threading.Thread(target=load.run)
        sending.start()
        eventually(lambda: len(load.answers) > 300, 60)
        with transaction(site.engine) as session:
            # This transaction locks the database for a second.
            session.execute(update(Repo).values(web_url=Repo.web_url))
            threading.Event().wait(1.0)
        sending.join(90)
    assert len(load.answers) == 2000
    assert Counter(status for _, status, _ in load.answers) == {202: 1600, 200: 300, 404: 100}
    kept = runs_by_key(site.engine)
    assert kept.keys() == {(hook.repo, hook.stored_key) for hook in genuine}
    for hook, status, answer in load.answers:
        if status != 404:
            assert kept[hook.repo, hook.stored_key] == (answer["run"], hook.sha)
    assert_numbered_without_gaps(site.engine)
    with reading(site.engine) as session:
        assert sorted(site.woken) == sorted(session.scalars(select(Job.id)).all())
    assert site.counters()[REFUSED_COUNTER] == 100


@dataclass
class Web:
    """``headway web`` in a process of its own."""

    settings: Settings
    folder: Path

    def start(self) -> "subprocess.Popen[bytes]":
        self.port = free_port()
        env = {
            "PATH": "/usr/bin:/bin",
            "HEADWAY_DATA_DIR": str(self.settings.data_dir),
            "HEADWAY_DATABASE_URL": self.settings.database,
            "HEADWAY_REDIS_URL": self.settings.redis_url,
            "HEADWAY_SECRET_KEYS": self.settings.secret_keys.get_secret_value(),
            "HEADWAY_PORT": str(self.port),
        }
        with (self.folder / "web.log").open("ab") as log:
            process = subprocess.Popen([*HEADWAY, "web"], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def ready() -> bool:
            assert process.poll() is None, (self.folder / "web.log").read_text()
            with suppress(httpx2.HTTPError):
                return httpx2.get(f"http://127.0.0.1:{self.port}/healthz").status_code == 200
            return False

        eventually(ready, 60)
        return process


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_stops_under_load_has_stored_all_that_it_answered(
    site: Site, tmp_path: Path, number: signal.Signals
) -> None:
    secret = site.add_repo().secret
    hooks = [Hook(REPO, f"d{n}", secret) for n in range(2000)]
    web = Web(site.services.settings, tmp_path)
    process = web.start()
    load = Load(web.port, hooks)
    sending = threading.Thread(target=load.run)
    sending.start()
    eventually(lambda: len(load.answers) > 300, 60)
    process.send_signal(number)
    assert process.wait(30) == (0 if number == signal.SIGTERM else -number)
    sending.join(60)
    assert 300 < len(load.answers) < 2000
    assert {status for _, status, _ in load.answers} == {202}
    engine = make_engine(site.services.settings.database)
    kept = runs_by_key(engine)
    for hook, _, answer in load.answers:
        assert kept[hook.repo, hook.stored_key] == (answer["run"], hook.sha)
    assert_numbered_without_gaps(engine)

    # A sender without an answer sends again: after that each delivery has exactly one run.
    process = web.start()
    rest = Load(web.port, [hook for hook in hooks if hook not in {given for given, _, _ in load.answers}])
    rest.run()
    process.terminate()
    assert process.wait(30) == 0
    assert len(load.answers) + len(rest.answers) == 2000
    assert {status for _, status, _ in rest.answers} <= {200, 202}
    assert len(runs_by_key(engine)) == 2000
    assert_numbered_without_gaps(engine)
    engine.dispose()
