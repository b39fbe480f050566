"""A pull request from a fork on a whole server: it waits, is approved, and runs with nothing but its own."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.e2e.stack import Repository, Stack, ask, git, until

PIPELINE = """\
steps:
  - {name: app, build: .}
  - name: test
    commands: ['echo "token=${TOKEN:-none}" | rev']
  - {name: ship, push: {repo: 127.0.0.1:1/app, tags: [latest]}}
"""
PRIVILEGED = "skip_clone: true\nsteps: [{name: root, image: busybox, privileged: true, commands: [id]}]\n"


class Fork:
    """A stranger's commits, which are in the repository under the ref of a pull request alone."""

    def __init__(self, repo: Repository) -> None:
        self.repo, self.stack = repo, repo.stack
        # A new secret for signing, since that of the hook file is not printed.
        words = self.stack.headway("repo", "hook", repo.name).split()
        self.secret = words[words.index("Secret") + 1]
        self.sent = 0

    def commit(self, pipeline: str = PIPELINE, message: str = "Mine") -> str:
        (self.repo.work / ".headway.yml").write_text(pipeline)
        git(self.repo.work, "checkout", "--quiet", "--detach")
        git(self.repo.work, "add", "--all")
        git(self.repo.work, "commit", "--quiet", "--allow-empty", "-m", message)
        git(self.repo.work, "push", "--quiet", "--force", "origin", "HEAD:refs/pull/9/head")
        sha = self.repo.sha
        git(self.repo.work, "checkout", "--quiet", "-B", "main", "origin/main")
        return sha

    def propose(self, sha: str, **pull: Any) -> int:
        self.sent += 1
        proposal = {"number": 9, "source_branch": "main", "target_branch": "main", "author_id": 7, **pull}
        body = {"event": "pull_request", "ref": "refs/pull/9/head", "after": sha, "pull_request": proposal}
        data = json.dumps(body).encode()
        digest = hmac.new(self.secret.encode(), data, hashlib.sha256).hexdigest()
        headers = {"x-headway-signature": f"sha256={digest}", "x-headway-delivery": f"fork-{self.sent}"}
        answer = ask(f"{self.stack.url}/hooks/{self.repo.name}", method="POST", body=data, headers=headers)
        assert answer.status == 202, answer.body
        number: int = answer.json["run"]
        return number


@pytest.fixture(scope="module")
def fork(stack: Stack) -> Fork:
    repo = Repository(stack, "team/open")
    repo.ended(repo.push({"Dockerfile": "FROM busybox\n", ".headway.yml": PIPELINE.replace("  - {name: ship", "# ")}))
    git(repo.work, "fetch", "--quiet", "origin")
    stack.headway("secret", "set", "team/open", "TOKEN", stdin="hunter2")
    return Fork(repo)


def held(fork: Fork, number: int) -> Any:
    return until(f"run {number} waits for approval", lambda: run if (run := fork.repo.run(number))["held"] else None)


def test_a_fork_waits_is_approved_and_runs_without_secrets_and_pushes(fork: Fork) -> None:
    number = fork.propose(fork.commit())
    assert held(fork, number)["untrusted"] == "it comes from a fork"
    other = int(fork.stack.headway("trigger", "team/open").rsplit("/", 1)[1])
    assert fork.repo.ended(other)["state"] == "passed"
    assert fork.repo.run(number)["held"], "meanwhile it waits"
    assert fork.stack.api(f"/repos/team/open/runs/{number}/approve", method="POST").status == 202
    run = fork.repo.ended(number)
    assert (run["state"], run["approved_by"]) == ("passed", "admin"), run["sentence"]
    assert b"enon=nekot" in fork.repo.log(fork.repo.step(number, "test"))
    assert [left["what"].split(" of ")[0] for left in run["left_out"]] == ["step 'ship'"]


def test_a_commit_of_the_fork_by_hand_waits_like_the_fork(fork: Fork) -> None:
    sha = fork.commit(message="By hand")
    body = {"branch": "main", "commit": sha}
    number = fork.stack.api("/repos/team/open/runs", method="POST", body=body).json["run"]
    assert "no branch or tag" in held(fork, number)["untrusted"]
    fork.stack.headway("approve", "team/open", str(number), "--reject")
    assert fork.repo.ended(number)["state"] == "canceled"


def test_a_sender_that_denies_the_fork_does_not_make_its_commit_trusted(fork: Fork) -> None:
    number = fork.propose(fork.commit(message="Not a fork"), from_fork=False)
    assert "no branch or tag" in held(fork, number)["untrusted"]


def test_the_trust_of_the_repository_is_not_for_forks(fork: Fork) -> None:
    fork.stack.headway("repo", "trust", "team/open", "--security")
    number = fork.propose(fork.commit(PRIVILEGED))
    held(fork, number)
    fork.stack.headway("approve", "team/open", str(number))
    run = fork.repo.ended(number)
    assert (run["state"], run["reason"]) == ("failed", "invalid_pipeline")
    assert "'privileged' in step 'root' needs trust in 'security', which this run does not have" in run["sentence"]
