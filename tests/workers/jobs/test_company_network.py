"""A worker in a company's network: it clones through the proxy, and its jobs get the proxies of the settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.state import State
from pipelines.trigger import Trigger
from runner.docker.client import Engine
from runner.errors import MachineError
from tests.support.builders import pull_request, push
from tests.support.certificate_authority import CertificateAuthority
from tests.support.forward_proxy import QUOTED, USER, ForwardProxy, forward_proxy, gateway_of
from tests.support.git_server import GitServer, git_server
from tests.support.repos import Repo
from workers import store
from workers.access.trust import PipelineFrom, UntrustedRuns
from workers.db.session import reading, transaction
from workers.jobs.context import WorkerContext
from workers.jobs.job_task import work
from workers.jobs.process.connections import make_context
from workers.settings import Settings

pytestmark = pytest.mark.engine

PIPELINE = """\
steps:
  - name: show
    image: busybox
    commands: ['echo "proxy=$HTTPS_PROXY,"', 'grep -c BEGIN /etc/headway/ca.pem']
"""


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "roof.git")


@pytest.fixture
def company(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def server(tmp_path: Path, company: CertificateAuthority) -> Iterator[GitServer]:
    with git_server(tmp_path, tls=company.context("git.corp")) as server:
        yield server


@pytest.fixture
def proxy(engine: Engine) -> Iterator[ForwardProxy]:
    with forward_proxy(gateway_of(engine), names=("git.corp",), login=True) as proxy:
        yield proxy


@pytest.fixture
def context(
    settings: Settings, company: CertificateAuthority, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkerContext]:
    monkeypatch.setenv("https_proxy", proxy.url)
    context = make_context(settings.model_copy(update={"ca_file": company.file, "step_proxy": True}))
    yield context
    context.database.dispose()
    context.engine().close()


def log_of(context: WorkerContext, url: str, trigger: Trigger) -> str:
    """The log of the step, in a run that passed."""
    with transaction(context.database) as session:
        repo_id = store.add_repo(session, store.NewRepo("acme/roof", url)).id
        store.set_untrusted_runs(session, repo_id, UntrustedRuns.RUN.value, PipelineFrom.COMMIT.value)
        queued = store.queue_run(session, repo_id, trigger)
    work(context, queued.job_id)
    with reading(context.database) as session:
        run, steps = store.run_by_id(session, queued.run_id), list(store.steps_of_run(session, queued.run_id))
    assert run
    assert run.state is State.PASSED, run.sentence
    with context.logs.open(run.id, steps[0].job_id, steps[0].number, steps[0].attempt) as reader:
        return reader.read(0, reader.size_bytes).decode()


@pytest.mark.parametrize("fork", [False, True])
def test_a_push_is_cloned_through_the_proxy_and_a_fork_learns_no_password(
    context: WorkerContext, repo: Repo, server: GitServer, proxy: ForwardProxy, fork: bool
) -> None:
    sha = repo.commit({".headway.yml": PIPELINE})
    place = f"git.corp:{server.server_address[1]}"
    trigger = pull_request(from_fork=True).model_copy(update={"sha": sha}) if fork else push(sha=sha)
    log = log_of(context, f"https://{place}/{repo.path.name}", trigger)
    assert f"CONNECT {place}" in proxy.asked
    login = "" if fork else f"{USER}:********@"
    assert f"proxy=http://{login}{proxy.host},\n" in log
    assert log.endswith("\n1\n")
    assert QUOTED not in log


def test_a_worker_does_not_start_where_the_authority_has_gone(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"HEADWAY_CA_FILE: the file .*/none.pem cannot be read"):
        make_context(settings.model_copy(update={"ca_file": tmp_path / "none.pem"}))
