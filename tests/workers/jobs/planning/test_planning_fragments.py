"""Which commit a worker takes the fragments of a run from, and how their problems are stored."""

from pathlib import Path

import pytest

from pipelines.context import RepoInfo
from pipelines.plan import CommandsStep, Plan
from pipelines.problem import InvalidPipelineError
from pipelines.trigger import Event, PullRequest, Trigger
from runner.network.egress import NO_EGRESS_SETTINGS
from runner.source.mirrors.mirror import FILE_BYTES_MAX, Mirror
from tests.support.builders import push
from tests.support.git_server import git_server
from tests.support.repos import Repo
from workers.access.trust import PipelineFrom
from workers.jobs.context import ClaimedJob, QueuedRun
from workers.jobs.mirror_maintenance import open_others
from workers.jobs.planning.planning import make_plan
from workers.settings import Settings
from workers.store.jobs.leases import Claim

MAIN = "steps:\n  - include: ci/test.yml\n"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "remote.git")


@pytest.fixture
def mirror(tmp_path: Path, repo: Repo) -> Mirror:
    return Mirror(tmp_path / "mirrors", repo.url)


def fragment(word: str) -> str:
    return f"steps:\n  - {{name: test, image: 'alpine:3', commands: echo {word}}}\n"


def plan_of(
    mirror: Mirror, trigger: Trigger, *, trusted: bool, pipeline_from: PipelineFrom, url: str = "https://h.test/app.git"
) -> Plan:
    repo = RepoInfo("team/app", url)
    run = QueuedRun(repo, 1, 0, 0, "", pipeline_from=pipeline_from)
    job = ClaimedJob(Claim(1, 1, 1, None, "key"), trigger, 1, run, login=None, on_branch=trusted)
    settings = Settings(data_dir=mirror.path.parents[1])
    return make_plan(mirror, job, settings, open_others(settings, NO_EGRESS_SETTINGS, job))


def commands_of(plan: Plan) -> tuple[str, ...]:
    (step,) = plan.jobs[0].steps
    assert isinstance(step, CommandsStep)
    return step.commands


@pytest.mark.parametrize(
    ("pipeline_from", "word"), [(PipelineFrom.COMMIT, "of-the-fork"), (PipelineFrom.BASE, "of-main")]
)
def test_an_untrusted_run_has_the_fragments_of_the_commit_that_its_pipeline_file_is_from(
    pipeline_from: PipelineFrom, word: str, repo: Repo, mirror: Mirror
) -> None:
    main = repo.commit({".headway.yml": MAIN, "ci/test.yml": fragment("of-main")})
    fork = repo.commit({".headway.yml": MAIN, "ci/test.yml": fragment("of-the-fork")}, main, ref="refs/pull/9/head")
    mirror.fetch(fork, "refs/pull/9/head")
    pull = PullRequest(number=9, source_branch="topic", target_branch="main", from_fork=True)
    trigger = Trigger(
        event=Event.PULL_REQUEST, sha=fork, ref="refs/pull/9/head", branch="main", pull_request=pull
    )  # fmt: skip
    plan = plan_of(mirror, trigger, trusted=False, pipeline_from=pipeline_from)
    assert commands_of(plan) == (f"echo {word}",)


def test_a_problem_of_a_fragment_has_the_line_of_the_fragment(repo: Repo, mirror: Mirror) -> None:
    wrong = "steps:\n  - {name: test, image: 'alpine:3', comands: x}\n"
    sha = repo.commit({".headway.yml": MAIN, "ci/test.yml": wrong})
    mirror.fetch(sha)
    with pytest.raises(InvalidPipelineError) as error:
        plan_of(mirror, push(sha=sha), trusted=True, pipeline_from=PipelineFrom.COMMIT)
    problem = error.value.problems[0]
    assert (problem.file, problem.line) == ("ci/test.yml", 2)
    assert "(included at .headway.yml:2:14)" in problem.message
    assert "comands: x" in problem.excerpt[0]


def test_a_fragment_of_another_repository_is_read_from_a_mirror_of_its_own(
    repo: Repo, mirror: Mirror, tmp_path: Path
) -> None:
    other = Repo(tmp_path / "served" / "ci.git")
    pinned = other.commit({"test.yml": fragment("of-the-other")})
    with git_server(other.path.parent) as server:
        include = f"{{repo: '{server.url}/ci.git', sha: {pinned}, path: test.yml}}"
        sha = repo.commit({".headway.yml": f"steps:\n  - include: {include}\n"})
        mirror.fetch(sha)
        plan = plan_of(
            mirror, push(sha=sha), trusted=True, pipeline_from=PipelineFrom.COMMIT, url=f"{server.url}/app.git"
        )
    assert commands_of(plan) == ("echo of-the-other",)
    assert len(list(mirror.path.parent.glob("*.git"))) == 2


def test_of_too_many_pipeline_files_none_is_read(repo: Repo, mirror: Mirror) -> None:
    files = {f".headway/{number}.yml": fragment("x") for number in range(256)}
    sha = repo.commit({**files, ".headway/huge.yml": "#" * (FILE_BYTES_MAX + 1)})
    mirror.fetch(sha)
    with pytest.raises(InvalidPipelineError, match="this pipeline has 257 files"):
        plan_of(mirror, push(sha=sha), trusted=True, pipeline_from=PipelineFrom.COMMIT)
