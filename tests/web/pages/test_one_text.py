"""A problem in a pipeline file has the same text in lint, in plan, on the page, in the API and in the commit status."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from io import StringIO
from pathlib import Path
from shutil import copy

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from pipelines.context import Trust
from pipelines.problem import InvalidPipelineError
from pipelines.state import Outcome, Reason, State
from runner.cli.lint import LintOptions, lint
from runner.cli.plan import PlanOptions, show_plan
from runner.network.egress import NO_EGRESS_SETTINGS
from runner.source.mirrors.mirror import Mirror
from tests.support.builders import push
from tests.support.forge import TOKEN, FakeForge, forge_server
from tests.support.paths import MISTAKES
from tests.support.people import OPERATOR
from tests.support.repos import Repo
from tests.support.services import TEST_KEY, RedisServer
from tests.web.conftest import Site
from web.operations.repos import repos
from web.security.login_limiter import LoginLimiter
from web.server.app import create_app
from web.services import Services
from workers import store
from workers.db.session import make_engine, transaction
from workers.forges.http import make_client
from workers.forges.status_request import short
from workers.jobs.context import ClaimedJob, QueuedRun
from workers.jobs.mirror_maintenance import open_others
from workers.jobs.planning.planning import fetch, make_plan
from workers.logs import open_logs
from workers.secrets.vault import open_vault
from workers.settings import Settings
from workers.statuses.reporter import Reporter
from workers.streaming.redis_stream import connect

pytestmark = pytest.mark.slow

FILES = sorted(MISTAKES.glob("*.yml"))
REPO = "acme/roof"
ERROR, WARNING = ": error: ", ": warning: "
NAME = ".headway.yml"
DESCRIPTION_CHARS_MAX = 140


@dataclass
class Everywhere:
    """A server with one repository, which reports commit statuses to a forge."""

    site: Site
    client: TestClient
    forge: FakeForge
    reporter: Reporter
    mirror: Mirror
    commits: dict[Path, str]

    def run(self, file: Path) -> int:
        """Queues and plans a run of the commit with this pipeline file; its number."""
        sha = self.commits[file]
        queued = self.site.queue(push(sha=sha), REPO)
        claim = self.site.claim(queued)
        with transaction(self.site.engine) as session:
            repo = store.repo_by_name(session, REPO)
            assert repo is not None
            to_plan = QueuedRun(store.repo_info(repo), queued.number, 0, 0, "")
        trigger = fetch(self.mirror, push(sha=sha), "main")
        job = ClaimedJob(claim, trigger, repo.id, to_plan, login=None, on_branch=True)
        settings = self.site.services.settings
        try:
            plan = make_plan(self.mirror, job, settings, open_others(settings, NO_EGRESS_SETTINGS, job))
        except InvalidPipelineError as error:
            outcome = Outcome(State.FAILED, Reason.INVALID_PIPELINE, "the pipeline has an error")
            with transaction(self.site.engine) as session:
                store.fail_planning(session, queued.job_id, claim.attempt, outcome, error.problems)
        else:
            with transaction(self.site.engine) as session:
                store.plan_run(session, queued.job_id, claim.attempt, plan)
        return queued.number

    def page(self, number: int) -> list[str]:
        """The problems on the run's page, each as text, with its excerpt in further lines."""
        html = self.client.get(f"/repos/{REPO}/runs/{number}").text
        found = re.search(r'<ul class="problems".*?</ul>', html, re.DOTALL)
        items = re.findall(r"<li.*?</li>", found[0], re.DOTALL) if found else []
        parts = [re.findall(r"<(p|pre)\b[^>]*>(.*?)</\1>", item, re.DOTALL) for item in items]
        return [unescape(re.sub(r"<[^>]*>", "", "\n".join(text for _, text in part))) for part in parts]

    def api(self, number: int) -> list[str]:
        run = self.client.get(f"/api/repos/{REPO}/runs/{number}").json()
        return ["\n".join([problem["text"], *problem["excerpt"]]) for problem in run["problems"] + run["warnings"]]

    def status(self, number: int) -> str:
        self.reporter.report_due()
        return next(
            status.description for status in reversed(self.forge.told) if status.url.endswith(f"/runs/{number}")
        )


def committed(repo: Repo, mirror: Mirror) -> dict[Path, str]:
    """A commit for each file, all of them in the mirror: a fetch for each would take most of the tests' time."""
    commits = {file: repo.commit({NAME: file.read_bytes()}, ref="") for file in FILES}
    mirror.fetch(repo.commit({}, *commits.values()))
    return commits


@pytest.fixture(scope="module")
def everywhere(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, shared_redis: RedisServer
) -> Iterator[Everywhere]:
    folder = tmp_path_factory.mktemp("one-text")
    url = f"sqlite:///{copy(sqlite_template, folder / 'headway.db')}"
    settings = Settings(data_dir=folder, database_url=url, redis_url=shared_redis.url, secret_keys=SecretStr(TEST_KEY))
    engine, redis, repo = make_engine(url), connect(shared_redis.url), Repo(folder / "origin.git")
    site = Site(
        Services(
            settings, engine, lambda *_: None, open_logs(settings, engine), open_vault(settings), redis, LoginLimiter()
        )
    )
    mirror = Mirror(folder / "mirrors", repo.url)
    commits = committed(repo, mirror)
    site.add_repo(REPO, forge="github")
    # Lint does not know the trust of a repository: with all of it no other problem is reported.
    repos.set_trust(site.services, OPERATOR, REPO, Trust(network=True, volumes=True, security=True))
    with forge_server("github") as forge, make_client() as http, TestClient(create_app(site.services)) as client:
        repos.set_forge_token(site.services, OPERATOR, REPO, TOKEN, f"{forge.url}/api/v3")
        client.headers["authorization"] = f"Bearer {site.token(site.add_user())}"
        yield Everywhere(site, client, forge, Reporter(engine, site.services.vault, http, settings), mirror, commits)
    redis.close()
    engine.dispose()


def linted() -> list[str]:
    out = StringIO()
    lint(LintOptions(), out, StringIO())
    return re.findall(r"^\S.*\n(?:  .*\n?)*", out.getvalue(), re.MULTILINE)


def planned() -> list[str]:
    out, err = StringIO(), StringIO()
    show_plan(PlanOptions(branch="main"), out, err)
    lines = (err.getvalue() + out.getvalue()).splitlines()
    return [line for line in lines if line.startswith(NAME)]


def errors(texts: list[str]) -> list[str]:
    return [text.rstrip("\n") for text in texts if ERROR in text.partition("\n")[0]]


def first_lines(texts: list[str]) -> list[str]:
    return [text.partition("\n")[0] for text in texts]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem.removesuffix(".headway"))
def test_a_problem_has_the_same_text_everywhere(
    everywhere: Everywhere, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    number = everywhere.run(file)
    lint_says, plan_says, page_says = linted(), planned(), everywhere.page(number)
    assert errors(page_says) == errors(lint_says), "with the line and the carets"
    assert {text.rstrip("\n") for text in page_says} <= {text.rstrip("\n") for text in lint_says}
    assert everywhere.api(number) == page_says
    assert plan_says == first_lines(page_says)
    if found := errors(lint_says):
        assert everywhere.status(number) == short(first_lines(found)[0], DESCRIPTION_CHARS_MAX)
