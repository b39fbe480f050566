"""`headway approve` and `headway repo untrusted`."""

import pytest

from pipelines.context import Trust
from pipelines.state import State
from tests.support.builders import pull_request
from tests.web.cli.command import URL, Headway
from workers import store
from workers.db.models import Run
from workers.db.session import make_engine, reading, transaction
from workers.settings import Settings

REPO = "acme/harbour"


@pytest.fixture
def headway(headway: Headway) -> Headway:
    headway.ok("repo", "add", URL)
    return headway


@pytest.fixture
def held(headway: Headway) -> Headway:
    """A run that waits for approval."""
    engine = make_engine(Settings(data_dir=headway.folder).database)
    with transaction(engine) as session:
        store.queue_run(session, 1, pull_request(from_fork=True), held=True)
    engine.dispose()
    return headway


def the_run(headway: Headway) -> Run:
    engine = make_engine(Settings(data_dir=headway.folder).database)
    with reading(engine) as session:
        ((run, _),) = store.recent_runs(session)
    engine.dispose()
    return run


@pytest.mark.slow
def test_a_run_is_approved_once(held: Headway) -> None:
    assert held.ok("approve", REPO, "1") == f"http://localhost:8080/repos/{REPO}/runs/1\n"
    run = the_run(held)
    assert not run.held
    assert run.approved_by
    assert "Run 1 does not wait for approval." in held.refused("approve", REPO, "1")
    assert "Run 1 does not wait for approval." in held.refused("approve", REPO, "1", "--reject")
    assert f"{REPO} has no run 2." in held.refused("approve", REPO, "2")


@pytest.mark.slow
def test_a_run_is_rejected(held: Headway) -> None:
    held.ok("approve", REPO, "1", "--reject")
    assert the_run(held).state is State.CANCELED
    assert "Run 1 does not wait for approval." in held.refused("approve", REPO, "1")


@pytest.mark.slow
def test_what_happens_to_untrusted_runs_is_set_and_reset(headway: Headway) -> None:
    def now() -> tuple[str, str]:
        engine = make_engine(Settings(data_dir=headway.folder).database)
        with reading(engine) as session:
            repo = store.repo_by_name(session, REPO)
        engine.dispose()
        assert repo is not None
        return repo.untrusted_runs, repo.pipeline_from

    assert now() == ("approve", "commit")
    headway.ok("repo", "untrusted", REPO, "--runs", "never", "--pipeline-from", "base")
    assert now() == ("never", "base")
    assert "choose approve, run, never" in headway.refused("repo", "untrusted", REPO, "--runs", "always")
    assert "choose commit, base" in headway.refused("repo", "untrusted", REPO, "--pipeline-from", "x")
    assert now() == ("never", "base")
    headway.ok("repo", "untrusted", REPO)
    assert now() == ("approve", "commit")


@pytest.mark.slow
def test_trust_in_the_ssh_agent_is_given_by_itself(headway: Headway) -> None:
    for options, expected in ((("--ssh",), Trust(ssh=True)), (("--network",), Trust(network=True)), ((), Trust())):
        headway.ok("repo", "trust", REPO, *options)
        engine = make_engine(Settings(data_dir=headway.folder).database)
        with reading(engine) as session:
            repo = store.repo_by_name(session, REPO)
        engine.dispose()
        assert repo is not None
        assert store.repo_info(repo).trust == expected
