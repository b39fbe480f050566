"""What page and API say of a log that is cut off, and while the blob store is away."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from pipelines.state import State
from runner.events import StepStarted, Stream
from tests.support.object_store import Door
from tests.web.conftest import REPO, ClaimedRun, Site
from web.operations.runs.log_parts import BLOBS_AWAY
from web.security.login_limiter import LoginLimiter
from web.server.app import create_app
from web.services import Services
from workers.db.models import Job
from workers.db.session import make_engine, transaction
from workers.logs import open_logs
from workers.secrets.vault import open_vault
from workers.settings import Settings
from workers.store.jobs import leases
from workers.streaming.redis_stream import connect


def stored_and_lost(begun: ClaimedRun) -> tuple[str, str]:
    """A step whose worker has stored some output and dies. Its log in the API, and its page."""
    with begun.recorder() as record:
        record(StepStarted(2))
        writer = begun.site.services.logs.writer(begun.queued.run_id, begun.queued.job_id, 2, 1)
        writer.append(b"stored\n", Stream.STDOUT, 0)
        writer.flush()
        with transaction(begun.site.engine) as session:
            session.execute(update(Job).values(state=State.BROKEN))
    return f"/api/steps/{begun.steps[2]}/log", f"/repos/{REPO}/runs/1?step={begun.steps[2]}"


def test_a_log_whose_worker_was_lost_says_where_it_is_cut_off(site: Site, program: TestClient) -> None:
    site.add_repo()
    log, page = stored_and_lost(site.begin())
    answer = program.get(log, params={"last": 5})
    assert (answer.content, answer.headers["x-log-cut-off"]) == (b"stored\n", "true")
    assert "The log is cut off here, after 7 bytes" in program.get(page).text


def test_the_log_of_an_attempt_that_lost_its_worker_stays(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    log, page = stored_and_lost(begun)
    with transaction(site.engine) as session:
        session.execute(update(Job).values(state=State.QUEUED, attempt=2))
        leases.start_steps_over(session, begun.queued.job_id, 2)
    assert program.get(log, params={"last": 5}).content == b""
    answer = program.get(log, params={"last": 5, "attempt": 1})
    assert (answer.content, answer.headers["x-log-cut-off"]) == (b"stored\n", "true")
    assert program.get(log, params={"attempt": 1}).content == b"stored\n"
    assert f'"{log}?attempt=1" download>Log of attempt 1</a>: 7 bytes; it is cut off there' in program.get(page).text
    none = program.get(log, params={"attempt": 3})
    assert (none.status_code, none.json()["error"]) == (404, "This step has no attempt 3; its last one is 2.")


@pytest.fixture
def far(settings: Settings, bucket_url: str, door: Door) -> Iterator[Site]:
    """A site whose logs are in a bucket behind the door."""
    door.shut = False
    settings = settings.model_copy(update={"blob_url": bucket_url})
    engine, redis = make_engine(settings.database), connect(settings.redis_url)
    logs, vault = open_logs(settings, engine), open_vault(settings)
    yield Site(Services(settings, engine, lambda *_: None, logs, vault, redis, LoginLimiter()))
    redis.close()
    engine.dispose()


@pytest.mark.slow
def test_while_the_bucket_is_away_a_log_is_unavailable_and_the_page_says_so(far: Site, door: Door) -> None:
    far.add_repo()
    log, page = stored_and_lost(far.begin())
    door.close()
    with TestClient(create_app(far.services), base_url="http://localhost") as client:
        client.headers["authorization"] = f"Bearer {far.token(far.add_user())}"
        answer = client.get(log, params={"last": 5})
        assert (answer.status_code, answer.json()["error"]) == (503, BLOBS_AWAY)
        shown = client.get(page)
    assert shown.status_code == 200
    assert BLOBS_AWAY.replace("'", "&#39;") in shown.text
