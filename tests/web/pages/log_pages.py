"""What the tests of a run's page in a browser share: a login, and a step that writes a log."""

from playwright.sync_api import BrowserContext

from pipelines.state import PASSED, Outcome
from runner.events import StepFinished, StepOutput, StepStarted, Stream
from tests.web.conftest import REPO, ClaimedRun, Site
from web.security.auth import hashed, new_secret
from workers import store
from workers.db.session import transaction
from workers.jobs.recorder import Recorder

PATIENCE_MS = 30_000
LINE = b"%07d a line of a test suite that writer little and writer it often enough\n"


def log_in(site: Site, context: BrowserContext, url: str, name: str = "ada") -> None:
    """A session's cookie: a SharedWorker sends no headers that a test gives to pages."""
    secret = new_secret()
    user = site.add_user(name)
    with transaction(site.engine) as session:
        store.add_session(session, user, hashed(secret), 3600)
    context.add_cookies([{"name": "headway", "value": secret, "url": url}])


class Writer:
    """A step that writes."""

    def __init__(self, record: Recorder) -> None:
        self.record = record
        self.offset = 0
        record(StepStarted(2))

    def __call__(self, data: bytes, stream: Stream = Stream.STDOUT) -> None:
        self.record(StepOutput(2, self.offset, data, stream))
        self.offset += len(data)

    def finish(self, outcome: Outcome = PASSED) -> None:
        self.record(StepFinished(2, outcome))


def run_page(begun: ClaimedRun, line: int | None = None) -> str:
    return f"/repos/{REPO}/runs/{begun.queued.number}?step={begun.steps[2]}" + (f"#L{line}" if line else "")


def flood(begun: ClaimedRun, lines: int) -> None:
    with begun.recorder() as record:
        writer = Writer(record)
        for first in range(1, lines + 1, 10_000):
            writer(b"".join(LINE % number for number in range(first, min(first + 10_000, lines + 1))))
        writer.finish()
