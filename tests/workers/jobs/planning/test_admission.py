"""A worker asks git where a commit is before it gives a run anything: every way to name a commit that is not there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.context import FULL_TRUST
from pipelines.state import Reason, State
from pipelines.trigger import Event, PullRequest, Trigger
from tests.support.repos import Repo
from workers import store
from workers.access.trust import PipelineFrom, UntrustedRuns
from workers.db.models import Run
from workers.db.session import reading, transaction
from workers.jobs.context import WorkerContext
from workers.jobs.job_task import work
from workers.jobs.process.connections import make_context
from workers.secrets.vault import secret_place
from workers.settings import Settings
from workers.triggers.manual import ManualRun, trigger_for

pytestmark = pytest.mark.engine

PIPELINE = """\
skip_clone: true
steps:
  - name: show
    image: busybox
    commands: ['echo "token=$TOKEN" | rev']
    environment: {TOKEN: {from_secret: token}}
"""
HARMLESS = "skip_clone: true\nsteps:\n  - {name: show, image: busybox, commands: [echo of the fork]}\n"
OF_MAIN = "skip_clone: true\nsteps:\n  - {name: show, image: busybox, commands: [echo of main]}\n"


class Site:
    """A repository with a secret for every event; ``foreign`` is a commit that only a pull request has."""

    def __init__(self, context: WorkerContext, folder: Path) -> None:
        self.context = context
        self.repo = Repo(folder / "roof.git")
        self.main = self.repo.commit({".headway.yml": PIPELINE})
        self.foreign = self.repo.commit({".headway.yml": PIPELINE, "evil": ""}, self.main, ref="refs/pull/9/head")
        with transaction(context.database) as session:
            self.repo_id = store.add_repo(session, store.NewRepo("acme/roof", self.repo.url)).id
            sealed = context.vault.seal(secret_place(self.repo_id, "token"), "hunter2")
            store.put_secret(session, self.repo_id, "token", sealed, list(Event))

    def policy(self, runs: UntrustedRuns, pipeline_from: PipelineFrom = PipelineFrom.COMMIT) -> None:
        with transaction(self.context.database) as session:
            store.set_untrusted_runs(session, self.repo_id, runs.value, pipeline_from.value)

    def run(self, trigger: Trigger, parent: int | None = None) -> Run:
        with transaction(self.context.database) as session:
            queued = store.queue_run(session, self.repo_id, trigger, parent)
        work(self.context, queued.job_id)
        return self.now(queued.run_id)

    def now(self, run_id: int) -> Run:
        with reading(self.context.database) as session:
            return session.get_one(Run, run_id)

    def approve(self, run: Run) -> Run:
        with transaction(self.context.database) as session:
            (job_id,) = store.approve(session, run.id, "ada")
        work(self.context, job_id)
        return self.now(run.id)

    def log(self, run: Run) -> str:
        """The last line of the step's log."""
        with reading(self.context.database) as session:
            (step,) = store.steps_of_run(session, run.id)
        with self.context.logs.open(run.id, step.job_id, step.number, step.attempt) as reader:
            return reader.read(0, reader.size_bytes).decode().splitlines()[-1]


@pytest.fixture
def site(settings: Settings, tmp_path: Path) -> Iterator[Site]:
    context = make_context(settings)
    yield Site(context, tmp_path)
    context.database.dispose()
    context.engine().close()


def by_hand(sha: str, branch: str = "main", tag: str = "") -> Trigger:
    return trigger_for(ManualRun(branch="" if tag else branch, tag=tag, commit=sha), "main", "bob")


def pushed(sha: str, event: Event = Event.PUSH, ref: str = "refs/heads/main", **more: object) -> Trigger:
    return Trigger.model_validate({"event": event, "sha": sha, "ref": ref, "branch": "main", **more})


def test_a_commit_of_a_branch_has_the_secrets(site: Site) -> None:
    for trigger in (by_hand(site.main), by_hand(""), by_hand(site.main[:10]), pushed(site.main)):
        run = site.run(trigger)
        assert (run.state, run.on_branch, run.held) == (State.PASSED, True, False), run.sentence
        assert site.log(run) == "2retnuh=nekot"


NAMED = ["whole", "short", "upper case"]


@pytest.mark.parametrize("how", NAMED)
def test_a_commit_that_only_a_pull_request_has_waits_however_it_is_named(site: Site, how: str) -> None:
    site.repo.git("update-ref", "refs/heads/copy", site.foreign)
    site.run(by_hand(site.foreign, "copy"))  # now the mirror has it
    site.repo.git("update-ref", "-d", "refs/heads/copy")
    named = {"whole": site.foreign, "short": site.foreign[:10], "upper case": site.foreign.upper()}[how]
    run = site.run(by_hand(named))
    assert (run.state, run.held, run.on_branch, run.sha) == (State.QUEUED, True, False, site.foreign)


@pytest.mark.parametrize(
    "event", [Event.PUSH, Event.TAG, Event.RELEASE, Event.DEPLOYMENT, Event.CRON, Event.MANUAL, Event.PULL_REQUEST]
)
def test_no_event_makes_it_trusted(site: Site, event: Event) -> None:
    pull = {"number": 9, "source_branch": "main", "target_branch": "main", "from_fork": False}
    more = {"pull_request": PullRequest.model_validate(pull)} if event is Event.PULL_REQUEST else {}
    site.repo.git("update-ref", "refs/tags/v1", site.main)
    run = site.run(pushed(site.foreign, event, "refs/tags/v1", tag="v1", **more))
    assert (run.held, run.on_branch) == (True, False)


@pytest.mark.parametrize(
    "ref", ["refs/pull/9/head", "refs/merge-requests/9/head", "refs/heads/refs/pull/9/head", "refs/heads/-x"]
)
def test_no_ref_makes_it_trusted(site: Site, ref: str) -> None:
    for event in (Event.MANUAL, Event.DEPLOYMENT):
        run = site.run(pushed(site.foreign, event, ref))
        assert (run.held, run.on_branch) == (True, False)


def test_a_ref_of_a_pull_request_without_a_commit_is_untrusted_too(site: Site) -> None:
    run = site.run(pushed("", Event.DEPLOYMENT, "refs/pull/9/head"))
    assert (run.held, run.sha) == (True, site.foreign)


def test_a_commit_of_a_branch_is_not_in_a_tag_that_points_elsewhere(site: Site) -> None:
    newer = site.repo.commit({".headway.yml": PIPELINE, "newer": ""}, site.main)
    site.repo.git("update-ref", "refs/tags/v1", site.main)
    assert site.run(pushed(site.main, Event.TAG, "refs/tags/v1", tag="v1")).state is State.PASSED
    assert site.run(pushed(newer, Event.TAG, "refs/tags/v1", tag="v1")).held


def test_a_rerun_is_judged_anew(site: Site) -> None:
    topic = site.repo.commit({".headway.yml": PIPELINE, "topic": ""}, site.main, ref="refs/heads/topic")
    first = site.run(pushed(topic, ref="refs/heads/topic"))
    assert first.state is State.PASSED
    site.repo.git("update-ref", "-d", "refs/heads/topic")
    again = site.run(store.trigger_of(first), first.id)
    assert (again.held, again.on_branch) == (True, False)
    site.repo.git("update-ref", "refs/heads/topic", topic)
    assert site.run(store.trigger_of(first), first.id).state is State.PASSED


def test_while_the_repository_is_away_the_newest_answer_counts(site: Site) -> None:
    topic = site.repo.commit({".headway.yml": PIPELINE, "topic": ""}, site.main, ref="refs/heads/topic")
    first = site.run(pushed(topic, ref="refs/heads/topic"))
    away = site.repo.path.with_suffix(".away")
    site.repo.path.rename(away)
    assert site.run(by_hand(topic, "topic")).state is State.PASSED
    away.rename(site.repo.path)
    site.repo.git("update-ref", "-d", "refs/heads/topic")
    assert site.run(store.trigger_of(first), first.id).held
    site.repo.path.rename(away)
    for branch in ("topic", "main"):
        run = site.run(by_hand(topic, branch))
        assert (run.state, run.on_branch) != (State.PASSED, True), run.sentence
        assert run.on_branch is None


def test_what_was_force_pushed_away_before_its_run_began_is_untrusted(site: Site) -> None:
    old = site.repo.commit({".headway.yml": PIPELINE, "old": ""}, site.main)
    site.repo.git("update-ref", "refs/pull/9/head", old)
    site.repo.commit({".headway.yml": PIPELINE, "new": ""}, site.main)
    assert site.run(pushed(old)).held


def test_an_approved_run_has_no_secrets(site: Site) -> None:
    run = site.approve(site.run(by_hand(site.foreign)))
    assert (run.state, run.approved_by) == (State.FAILED, "ada")
    assert "an untrusted run gets no secrets (no branch or tag of the repository contains its commit)" in run.sentence
    assert site.run(by_hand(site.foreign)).held, "a run by hand has no author, so the approval is for it alone"


def test_a_commit_that_reached_a_branch_meanwhile_is_trusted(site: Site) -> None:
    waiting = site.run(by_hand(site.foreign))
    site.repo.git("update-ref", "refs/heads/merged", site.foreign)
    run = site.approve(waiting)
    assert (run.state, run.on_branch) == (State.PASSED, True)


def fork(sha: str) -> Trigger:
    pull = PullRequest(number=9, source_branch="main", target_branch="main", from_fork=True)
    return pushed(sha, Event.PULL_REQUEST, "refs/pull/9/head", pull_request=pull)


def test_a_fork_waits_even_if_it_was_queued_as_if_it_need_not(site: Site) -> None:
    run = site.run(fork(site.foreign))
    assert (run.held, run.on_branch) == (True, None), "it is not even fetched"


def test_a_repository_may_run_or_refuse_what_is_untrusted(site: Site) -> None:
    site.policy(UntrustedRuns.RUN)
    run = site.run(fork(site.foreign))
    assert (run.state, run.reason) == (State.FAILED, Reason.SECRET_MISSING)
    assert "(it comes from a fork)" in run.sentence
    site.policy(UntrustedRuns.NEVER)
    for trigger in (fork(site.foreign), by_hand(site.foreign)):
        run = site.run(trigger)
        assert (run.state, run.reason) == (State.FAILED, Reason.UNTRUSTED)
        assert "this repository does not run what is untrusted" in run.sentence


def test_the_pipeline_file_may_come_from_the_branch_that_a_pull_request_would_change(site: Site) -> None:
    foreign = site.repo.commit({".headway.yml": HARMLESS}, site.main, ref="refs/pull/9/head")
    main = site.repo.commit({".headway.yml": OF_MAIN}, site.main)
    site.policy(UntrustedRuns.RUN)
    assert site.log(site.run(fork(foreign))) == "of the fork"
    site.policy(UntrustedRuns.RUN, PipelineFrom.BASE)
    run = site.run(fork(foreign))
    assert (run.state, run.sha, site.log(run)) == (State.PASSED, foreign, "of main")
    assert run.left_out[0]["why"].startswith(f"untrusted runs have the pipeline file of main (commit {main[:10]})")
    assert site.log(site.run(by_hand(foreign))) == "of main", "the default branch, without a pull request"
    trusted = site.repo.commit({".headway.yml": HARMLESS}, main, ref="refs/heads/topic")
    assert site.log(site.run(pushed(trusted, ref="refs/heads/topic"))) == "of the fork"


HOST = "steps: [{name: show, image: busybox, dns: 127.0.0.1, commands: [ip a]}]\nskip_clone: true\n"


def test_a_trusted_repository_gives_untrusted_commits_nothing_of_the_host(site: Site) -> None:
    with transaction(site.context.database) as session:
        store.set_trust(session, site.repo_id, FULL_TRUST)
    site.policy(UntrustedRuns.RUN)
    foreign = site.repo.commit({".headway.yml": HOST}, site.main, ref="refs/pull/9/head")
    for trigger in (fork(foreign), by_hand(foreign)):
        run = site.run(trigger)
        assert (run.state, run.reason) == (State.FAILED, Reason.INVALID_PIPELINE)
        assert "'dns' in step 'show' needs trust in 'network', which this run does not have" in run.sentence
    site.repo.git("update-ref", "refs/heads/topic", foreign)
    assert site.run(by_hand(foreign, "topic")).state is State.PASSED


PUSHING = """\
steps:
  - {name: app, build: {dockerfile_inline: "FROM busybox"}}
  - {name: ship, push: {repo: 127.0.0.1:1/app, tags: [latest]}}
"""


def test_an_untrusted_run_pushes_nothing(site: Site) -> None:
    site.policy(UntrustedRuns.RUN)
    foreign = site.repo.commit({".headway.yml": PUSHING}, site.main, ref="refs/pull/9/head")
    run = site.run(fork(foreign))
    assert run.state is State.PASSED, run.sentence
    assert "this run is untrusted and pushes nothing: it comes from a fork" in run.left_out[0]["why"]


@pytest.mark.parametrize("trusted", [True, False])
def test_every_job_of_a_run_is_judged_like_the_first(site: Site, *, trusted: bool) -> None:
    site.policy(UntrustedRuns.RUN)
    files = {".headway/a.yml": HARMLESS, ".headway/b.yml": f"depends_on: [a]\n{PIPELINE}"}
    sha = site.repo.commit(files, site.main, ref="refs/heads/topic" if trusted else "refs/pull/9/head")
    run = site.run(by_hand(sha))
    site.repo.git("update-ref", "refs/heads/topic", site.main)
    site.repo.git("update-ref", "refs/heads/other", sha)
    with reading(site.context.database) as session:
        later = next(job for job in store.jobs_of(session, run.id) if job.name == "b")
    work(site.context, later.id)
    run = site.now(run.id)
    assert (run.state, run.on_branch) == (State.PASSED if trusted else State.FAILED, trusted), run.sentence
    assert trusted or run.sentence.endswith("contains its commit)")
