"""The judge notices each thing that is wrong: its database, a log, the registry or the blob store is changed."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from pipelines.state import PASSED, Outcome, Reason, State
from runner.events import ImagePushed, StepFinished, StepOutput, StepStarted, Stream
from tests.chaos.judge import Judge, complaints, wrong_log
from tests.chaos.workload import IMAGE, REPO, Expected, Sent, counting
from tests.support.background_server import running
from tests.support.builders import job_plan, plan, push
from tests.support.plain_http import PlainHandler
from tests.support.registry import Registry
from workers import store
from workers.blobs import open_blobs
from workers.db.models import Delivery, Job, Run, Step, StoredLog
from workers.db.session import transaction
from workers.forges.signatures import signed_key
from workers.jobs.recorder import Recorder
from workers.settings import Settings
from workers.store.jobs import leases
from workers.store.logs import CUT

COUNT = counting("push-1", 3)
DIGEST_OF = "sha256:{}".format


class FakeRegistry(ThreadingHTTPServer):
    """Answers for one image. ``config`` is its configuration."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.config = json.dumps({"config": {"Labels": {"nonce": "push-1"}}}).encode()

    @property
    def image_id(self) -> str:
        return DIGEST_OF(hashlib.sha256(self.config).hexdigest())

    @property
    def manifest(self) -> bytes:
        return json.dumps({"config": {"digest": self.image_id}}).encode()

    @property
    def digest(self) -> str:
        return DIGEST_OF(hashlib.sha256(self.manifest).hexdigest())


class _Handler(PlainHandler):
    server: FakeRegistry

    def do_GET(self) -> None:  # noqa: N802 - the name is the standard library's
        body = self.server.manifest if "/manifests/" in self.path else self.server.config
        self.send_response(200)
        self.send_header("Docker-Content-Digest", self.server.digest)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


class Case:
    """One run that is as it should be: a step that counts, and a push."""

    def __init__(self, settings: Settings, database: Engine, registry: FakeRegistry) -> None:
        self.settings, self.database, self.registry = settings, database, registry
        self.tags = {"push-1"}
        self.sent = Sent("push", "push-1", b"{}", "passed", {"count": COUNT}, accepted=True, runs={1})
        self.judge = Judge(
            settings, database, Registry(f"127.0.0.1:{registry.server_port}", locked=False), lambda _: self.tags
        )
        with transaction(database) as session:
            repo = store.add_repo(session, store.NewRepo(REPO, "file:///x"))
            self.queued = store.queue_run(session, repo.id, push())
            claim = leases.claim(session, self.queued.job_id, "w/1", 60)
            assert claim is not None
            self.claim = claim
            store.plan_run(session, self.claim.job_id, 1, plan(job_plan("test", steps=2)))
            for number, name in ((1, "count"), (2, "push")):
                session.execute(update(Step).where(Step.number == number).values(name=name))
            self.repo_id = repo.id
        self.add_delivery("")
        self._record()

    def add_delivery(self, more: str) -> None:
        key = signed_key(self.sent.body) + more
        row = Delivery(repo_id=self.repo_id, key=key, state="accepted", run_id=self.queued.run_id, received_ms=1)
        with transaction(self.database) as session:
            session.add(row)

    def _record(self) -> None:
        with transaction(self.database) as session:
            steps = {number: step.id for number, step in store.steps_by_number(session, self.claim.job_id).items()}
        with Recorder(self.database, self.judge.logs, None, self.claim, steps, lambda: 1) as record:
            record(StepStarted(1))
            record(StepOutput(1, 0, COUNT.log, Stream.STDOUT))
            record(StepOutput(1, len(COUNT.log), b"headway: a note\n", Stream.NOTE))
            record(StepFinished(1, PASSED))
            record(StepStarted(2))
            image = self.registry.image_id
            record(ImagePushed(2, f"127.0.0.1:1/{IMAGE}", "push-1", self.registry.digest, image))
            record(StepFinished(2, PASSED))
        with transaction(self.database) as session:
            store.finish_job(session, self.claim.job_id, 1, PASSED)

    def change(self, table: type[Run | Job | Step], **values: object) -> None:
        with transaction(self.database) as session:
            session.execute(update(table).values(values))

    def problems(self) -> str:
        self.judge.runs([self.sent])
        if not self.judge.problems:
            self.judge.blobs()
        return "\n".join(self.judge.problems)


@pytest.fixture
def case(settings: Settings, sqlite_database: Engine) -> Iterator[Case]:
    with running(FakeRegistry()) as registry:
        yield Case(settings, sqlite_database, registry)


def second_run(case: Case) -> None:
    with transaction(case.database) as session:
        store.queue_run(session, case.repo_id, push())


def other_image(case: Case) -> None:
    case.registry.config = json.dumps({"config": {"Labels": {"nonce": "other"}}}).encode()


def other_log(case: Case) -> None:
    case.sent.steps["count"] = Expected(COUNT.command, (*COUNT.lines[:-1], "push-1 4"))


def longer_log(case: Case) -> None:
    case.sent.steps["count"] = Expected(COUNT.command, (*COUNT.lines, "push-1 4"))


def pushed_twice(case: Case) -> None:
    with transaction(case.database) as session:
        step = session.scalars(select(Step).where(Step.number == 2)).one()
        step.facts = {"pushed": step.facts["pushed"] * 2}


WRONG: dict[str, tuple[Callable[[Case], object], str]] = {
    "a second run": (second_run, "there are 2 runs, and 1 deliveries"),
    "no run": (lambda case: setattr(case.sent, "body", b"{ }"), "has 0 runs"),
    "two answers": (lambda case: case.sent.runs.add(2), "answers named {1, 2}"),
    "another verdict": (lambda case: case.change(Run, state=State.FAILED), "ended as failed, not as passed"),
    "another verdict of a step": (lambda case: case.change(Step, state=State.FAILED), "step count is failed"),
    "a missing step": (lambda case: case.change(Step, name="another"), "has no steps ['count']"),
    "a lease": (lambda case: case.change(Job, lease_until_ms=5), "still has a lease"),
    "a stale attempt": (lambda case: case.change(Job, attempt=2), "is of attempt 1, and its job of 2"),
    "another size": (lambda case: case.change(Step, log_bytes=5), "its row says 5 bytes"),
    "another byte": (other_log, "its log differs at byte"),
    "missing bytes": (longer_log, "bytes, not"),
    "another image": (other_image, "has tested and pushed"),
    "another commit's image": (other_image, "the image in the registry is of {'nonce': 'other'}"),
    "a push too many": (pushed_twice, "pushed 2 times"),
    "a tag too many": (lambda case: case.tags.add("stray"), "the registry has the tags ['push-1', 'stray']"),
    "no tag": (lambda case: case.tags.clear(), "the registry has the tags []"),
    "a blob of no log": (
        lambda case: open_blobs(case.settings).put("logs/ab/abcd/x", b"x"),
        "blobs of no log: ['logs/ab/abcd/x']",
    ),
}


def test_what_is_right_is_found_right(case: Case) -> None:
    assert case.problems() == ""


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_noticed(case: Case, name: str) -> None:
    change, sentence = WRONG[name]
    change(case)
    assert sentence in case.problems()


def test_the_log_of_a_canceled_step_may_be_cut_off_and_of_another_not(case: Case) -> None:
    with transaction(case.database) as session:
        session.execute(update(StoredLog).values(state=CUT))
    assert "complete: False" in case.problems()
    case.judge.problems.clear()
    case.sent.steps["count"] = replace(COUNT, whole=False)
    assert case.problems() == ""


def test_a_failed_run_is_not_a_passed_one(case: Case) -> None:
    outcome = Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 7", 7)
    case.change(Run, state=outcome.state, sentence=outcome.message)
    assert "exited with 7" in case.problems()


@pytest.mark.parametrize(
    ("data", "whole", "wrong"),
    [
        (COUNT.log, True, False),
        (COUNT.log[:-1], True, True),
        (COUNT.log[:-1], False, False),
        (b"", False, False),
        (COUNT.log + b"x", False, True),
        (b"x" + COUNT.log[1:9], False, True),
    ],
)
def test_only_the_log_of_a_lost_attempt_may_end_early(data: bytes, whole: bool, wrong: bool) -> None:
    assert bool(list(wrong_log(data, COUNT, whole=whole))) is wrong


def test_a_fault_of_headways_own_in_a_workers_log_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "worker-1.log").write_text("[warning] a job is given back\n[error] a job broke job=7\n")
    assert complaints(tmp_path) == ["worker-1.log: [error] a job broke job=7"]
