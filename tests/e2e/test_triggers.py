"""Runs started by the command line and by crons, up to the container."""

from typing import Any

import pytest
from sqlalchemy import update

from tests.e2e.stack import Repository, Stack, until
from workers.db.models import Cron
from workers.db.session import make_engine, transaction

FIRST = """\
inputs:
  LEVEL: {choices: [full, slow, night]}
when: {event: [manual, deployment, cron]}
steps:
  - name: say
    image: busybox
    commands:
      - echo "$CI_PIPELINE_EVENT of $CI_COMMIT_SHA, level $LEVEL, to ${CI_PIPELINE_DEPLOY_TARGET:-nowhere}"
      - test "$LEVEL" != slow || sleep 4
"""
SECOND = """\
when: {event: manual}
depends_on: [first]
steps:
  - {name: read, image: busybox, commands: [cat hello.txt]}
"""


@pytest.fixture(scope="module")
def repo(stack: Stack) -> Repository:
    repo = Repository(stack, "team/clock")
    repo.push({".headway/first.yml": FIRST, ".headway/second.yml": SECOND, "hello.txt": "hello\n"})
    return repo


def started(repo: Repository, *arguments: str) -> int:
    return int(repo.stack.headway(*arguments).rsplit("/", 1)[1])


def said(repo: Repository, run: Any, step: str) -> str:
    return repo.log(repo.step(run["number"], step)).decode()


def test_a_run_by_hand_uses_the_head_of_the_branch_and_has_its_inputs(repo: Repository) -> None:
    run = repo.ended(started(repo, "trigger", "team/clock", "--branch", "main", "--input", "LEVEL=full"))
    assert (run["state"], run["event"], run["sha"]) == ("passed", "manual", repo.sha)
    assert f"manual of {repo.sha}, level full, to nowhere\n" in said(repo, run, "say")
    (declared,) = repo.stack.api("/repos/team/clock/inputs").json
    assert (declared["name"], declared["choices"]) == ("LEVEL", ["full", "slow", "night"])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [("LEVEL=high", "LEVEL cannot be 'high': it is one of full, slow, night"), ("MORE=1", "MORE is not declared")],
)
def test_inputs_that_the_pipeline_does_not_take_end_the_run(repo: Repository, given: str, sentence: str) -> None:
    run = repo.ended(started(repo, "trigger", "team/clock", "--input", given))
    assert (run["state"], run["reason"]) == ("failed", "invalid_pipeline")
    assert sentence in run["sentence"]


def test_all_jobs_of_a_run_use_the_same_commit_even_if_the_branch_moves(repo: Repository) -> None:
    number, sha = started(repo, "trigger", "team/clock", "--input", "LEVEL=slow"), repo.sha
    repo.running(number, "say", "level slow")
    repo.push({"hello.txt": "changed\n"}, "Change it [skip ci]")
    run = repo.ended(number)
    assert (run["state"], run["sha"]) == ("passed", sha)
    assert "hello\n" in said(repo, run, "read")


def test_a_deployment_of_a_commit_has_its_target(repo: Repository) -> None:
    number = started(repo, "trigger", "team/clock", "--commit", repo.sha[:10], "--deploy-to", "production")
    assert f"deployment of {repo.sha}, level , to production\n" in said(repo, repo.ended(number), "say")


def test_a_missing_branch_fails_the_run_with_a_sentence(repo: Repository) -> None:
    run = repo.ended(started(repo, "trigger", "team/clock", "--branch", "nonesuch"))
    assert (run["state"], run["reason"]) == ("failed", "commit_missing")
    assert "the repository has no refs/heads/nonesuch" in run["sentence"]


def test_a_cron_starts_a_run(repo: Repository) -> None:
    repo.stack.headway("cron", "add", "team/clock", "yearly audit", "@yearly", "--input", "LEVEL=night")
    database = make_engine(f"sqlite:///{repo.stack.data}/headway.db")
    with transaction(database) as session:
        session.execute(update(Cron).values(next_ms=1))
    database.dispose()

    def last_run() -> int | None:
        (cron,) = repo.stack.api("/repos/team/clock/crons").json
        last: int | None = cron["last_run"]
        return last

    run = repo.ended(until("the scheduler looks", last_run))
    assert (run["state"], run["event"], run["sha"]) == ("passed", "cron", repo.sha)
    assert "level night" in said(repo, run, "say")
