"""What a worker reads from git before it plans: the commit of a branch, and which files changed."""

from pathlib import Path

import pytest

from pipelines.trigger import Event, PullRequest, Trigger
from runner.source.mirrors.changed_files import FILES_MAX
from runner.source.mirrors.mirror import Mirror
from tests.support.repos import Repo
from workers.jobs.planning.planning import fetch

NO_COMMIT = ""


class History:
    """A main line of two commits, and a topic of two that left it after the first."""

    def __init__(self, folder: Path) -> None:
        self.repo = Repo(folder / "remote.git")
        self.mirror = Mirror(folder / "mirrors", self.repo.url)
        self.root = self.repo.commit({"README": "1"})
        self.main = self.repo.commit({"README": "1", "main.py": "1"}, self.root)
        self.first = self.repo.commit({"README": "1", "web/a.js": "1"}, self.root, ref="refs/heads/topic")
        self.topic = self.repo.commit(
            {"README": "1", "web/a.js": "1", "docs/b.md": "1"}, self.first, ref="refs/heads/topic"
        )

    def changed(self, trigger: Trigger) -> set[str]:
        files = fetch(self.mirror, trigger, "main").changed_files
        assert files is not None
        return set(files)

    def push(self, sha: str, before: str, branch: str = "topic") -> set[str]:
        return self.changed(
            Trigger(event=Event.PUSH, sha=sha, previous_sha=before, ref=f"refs/heads/{branch}", branch=branch)
        )

    def pull_request(self, event: Event = Event.PULL_REQUEST, target_sha: str = "", before: str = "") -> set[str]:
        pull = PullRequest(number=1, source_branch="topic", target_branch="main", target_sha=target_sha)
        ref = "refs/heads/topic"
        return self.changed(
            Trigger(event=event, sha=self.topic, previous_sha=before, ref=ref, branch="main", pull_request=pull)
        )


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def test_a_push_changed_what_is_new_since_the_one_before(history: History) -> None:
    assert history.push(history.topic, history.first) == {"docs/b.md"}
    assert history.push(history.topic, history.root) == {"web/a.js", "docs/b.md"}


@pytest.mark.slow
def test_a_forced_push_changed_what_differs_from_what_was_there(history: History) -> None:
    assert history.push(history.main, history.topic) == {"web/a.js", "docs/b.md", "main.py"}
    assert history.push(history.topic, "1" * 40) == {"docs/b.md"}


@pytest.mark.slow
def test_a_new_branch_changed_all_that_the_default_branch_does_not_have(history: History) -> None:
    assert history.push(history.topic, NO_COMMIT) == {"web/a.js", "docs/b.md"}


@pytest.mark.slow
def test_a_new_branch_without_a_commit_of_its_own_changed_what_its_last_commit_did(history: History) -> None:
    assert history.push(history.main, NO_COMMIT) == {"main.py"}
    assert history.push(history.main, NO_COMMIT, branch="main") == {"main.py"}


@pytest.mark.slow
def test_a_pull_request_changed_all_files_since_it_left_its_target_branch(history: History) -> None:
    assert history.pull_request(before=history.first) == {"web/a.js", "docs/b.md"}
    assert history.pull_request(Event.PULL_REQUEST_METADATA) == {"web/a.js", "docs/b.md"}


@pytest.mark.slow
def test_a_pull_request_that_was_merged_still_changed_what_it_brought(history: History) -> None:
    files = {"README": "1", "main.py": "1", "web/a.js": "1", "docs/b.md": "1"}
    history.repo.commit(files, history.main, history.topic)
    closed = Event.PULL_REQUEST_CLOSED
    assert history.pull_request(closed, target_sha=history.main) == {"web/a.js", "docs/b.md"}
    assert history.pull_request(closed) == {"docs/b.md"}, "what its last commit did, where the forge says no more"


@pytest.mark.slow
def test_a_pull_request_of_another_history_changed_what_its_last_commit_did(history: History) -> None:
    history.repo.commit({"other": "1"})
    assert history.pull_request() == {"docs/b.md"}


@pytest.mark.parametrize("event", [Event.TAG, Event.RELEASE, Event.CRON, Event.MANUAL, Event.DEPLOYMENT])
def test_no_other_event_changed_files(history: History, event: Event) -> None:
    assert history.changed(Trigger(event=event, sha="", ref="refs/heads/topic", branch="topic")) == set()


@pytest.mark.parametrize("count", [FILES_MAX, FILES_MAX + 1])
def test_of_too_many_changed_files_none_is_kept(history: History, count: int) -> None:
    blob = history.repo.git("hash-object", "-w", "--stdin", data=b"x")
    tree = history.repo.git("mktree", data="".join(f"100644 blob {blob}\tf{n}\n" for n in range(count)).encode())
    sha = history.repo.git("commit-tree", tree, "-m", "many")
    history.repo.git("update-ref", "refs/heads/main", sha)
    found = fetch(history.mirror, Trigger(event=Event.PUSH, sha=sha, ref="refs/heads/main", branch="main"), "main")
    too_many = count > FILES_MAX
    assert (len(found.changed_files or ()), found.too_many_changed) == (0 if too_many else count, too_many)


def test_for_a_branch_the_worker_finds_the_commit_and_its_message(history: History) -> None:
    trigger = Trigger(event=Event.CRON, sha="", ref="refs/heads/topic", branch="topic", sender="cron nightly")
    found = fetch(history.mirror, trigger, "main")
    assert (found.sha, found.message, found.author) == (history.topic, "a message", "Ada")
    assert found.sender == "cron nightly"


def test_an_abbreviated_commit_id_is_enough(history: History) -> None:
    trigger = Trigger(event=Event.MANUAL, sha=history.first[:8], ref="refs/heads/topic", branch="topic")
    assert fetch(history.mirror, trigger, "main").sha == history.first
