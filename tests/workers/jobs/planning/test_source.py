"""A worker runs a sent tree: from the pack in the blob store to a verdict, and what is left of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from runner.docker.client import Engine
from tests.support.repos import Repo
from tests.support.working import PushWorker
from workers import store
from workers.artifacts.sent_trees import keep_pack
from workers.artifacts.storage import blob_name
from workers.db.models import Run, SentTree, Step
from workers.db.session import reading, transaction
from workers.jobs.job_task import work
from workers.settings import Settings
from workers.store.sent_trees import put_sent_tree
from workers.triggers.sent_trees import SentTreeRun, trigger_for_tree

pytestmark = pytest.mark.engine

PIPELINE = "steps: [{name: show, image: busybox, commands: 'cat file'}]\n"


class Sender:
    """A worker, a repository with one commit, and a clone in which commits are made that the repository has not."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.worker = PushWorker(settings, folder)
        self.origin = Repo(folder / "origin.git")
        self.base = self.origin.commit({".headway.yml": PIPELINE, "file": "old"})
        self.clone = Repo(folder / "clone.git")
        self.clone.git("fetch", "--quiet", self.origin.url, self.base)

    def pack(self, commit: str, *but: str) -> bytes:
        wanted = "".join(f"{each}\n" for each in (commit, *(f"^{each}" for each in but))).encode()
        name = self.clone.git("pack-objects", "--revs", "--quiet", str(self.clone.path / "sent"), data=wanted)
        return (self.clone.path / f"sent-{name}.pack").read_bytes()

    def queue(self, commit: str, base: str, pack: bytes) -> store.Queued:
        context = self.worker.context
        trigger = trigger_for_tree(SentTreeRun(commit, base), "main", "ada")
        kept = keep_pack(context.database, context.blobs, 1, [pack], len(pack))
        with transaction(context.database) as session:
            put_sent_tree(session, 1, trigger.ref, kept.blob_key, kept.content)
            return store.queue_run(session, 1, trigger)

    def work(self, queued: store.Queued) -> tuple[Run, list[Step]]:
        work(self.worker.context, queued.job_id)
        with reading(self.worker.context.database) as session:
            return session.get_one(Run, queued.run_id), list(store.steps_of_run(session, queued.run_id))

    def sent(self, pipeline: str = PIPELINE) -> tuple[Run, list[Step]]:
        commit = self.clone.commit({".headway.yml": pipeline, "file": "new"}, self.base, ref="")
        return self.work(self.queue(commit, self.base, self.pack(commit, self.base)))

    def mirrors(self) -> list[str]:
        """What is in the folder of mirrors, by the ends of the names."""
        return sorted(path.suffix for path in self.settings.mirrors_dir.iterdir())


@pytest.fixture
def sender(settings: Settings, engine: Engine, tmp_path: Path) -> Iterator[Sender]:
    sender = Sender(settings, tmp_path)
    yield sender
    sender.worker.close()


def log_of(sender: Sender, run: Run, step: Step) -> bytes:
    with sender.worker.context.logs.open(run.id, step.job_id, step.number, step.attempt) as reader:
        return reader.read(0, 1000)


def test_it_runs_without_approval_and_leaves_nothing(sender: Sender) -> None:
    run, (step,) = sender.sent()
    assert (run.state, run.held, run.on_branch) == (State.PASSED, False, False), run.sentence
    assert b"new" in log_of(sender, run, step)
    assert sender.mirrors() == [".git", ".lock", ".used"]
    mirror = Repo.__new__(Repo)
    mirror.path = next(sender.settings.mirrors_dir.glob("*.git"))
    assert run.sha not in mirror.git("cat-file", "--batch-all-objects", "--batch-check")
    assert sender.base in mirror.git("cat-file", "--batch-all-objects", "--batch-check")


def test_another_run_of_its_commit_does_not_find_it(sender: Sender) -> None:
    run, _ = sender.sent()
    with transaction(sender.worker.context.database) as session:
        trigger = store.trigger_of(run).model_copy(update={"sent_tree": None, "ref": "refs/heads/main"})
        queued = store.queue_run(session, 1, trigger)
    other, _ = sender.work(queued)
    assert (other.state, other.reason) == (State.BROKEN, Reason.COMMIT_MISSING)


def test_it_gets_no_secret_and_pushes_nothing(sender: Sender) -> None:
    sender.worker.secret("TOKEN", "hunter2")
    ship = "{name: ship, push: {repo: 127.0.0.1:1/app, tags: [latest]}}"
    run, steps = sender.sent(f"steps: [{{name: app, build: .}}, {ship}]\n")
    assert [step.name for step in steps] == ["app"]
    assert [left["what"].split(" of ")[0] for left in run.left_out] == ["step 'ship'"]
    step = "{name: show, image: busybox, environment: {TOKEN: {from_secret: TOKEN}}, commands: 'echo $TOKEN'}"
    run, _ = sender.sent(f"steps: [{step}]\n")
    assert (run.state, run.reason) == (State.FAILED, Reason.SECRET_MISSING)
    assert "an untrusted run gets no secrets (it was sent from a working tree" in run.sentence


def test_a_pack_that_git_refuses_fails_its_run(sender: Sender) -> None:
    commit = sender.clone.commit({".headway.yml": PIPELINE}, sender.base, ref="")
    run, _ = sender.work(sender.queue(commit, sender.base, b"PACK" + bytes(100)))
    assert (run.state, run.reason) == (State.FAILED, Reason.CLONE_FAILED)
    assert "git refuses what was sent; send the tree again with `headway run --remote`" in run.sentence
    assert sender.mirrors() == [".git", ".lock", ".used"]


def test_a_base_that_the_repository_does_not_have_fails_its_run(sender: Sender) -> None:
    base = sender.clone.commit({"file": "other"}, ref="")
    commit = sender.clone.commit({".headway.yml": PIPELINE}, base, ref="")
    run, _ = sender.work(sender.queue(commit, base, sender.pack(commit, base)))
    assert (run.state, run.reason) == (State.FAILED, Reason.COMMIT_MISSING)
    assert f"the repository has no commit {base}, on which the tree that was sent is" in run.sentence
    assert "run `git fetch --prune` and send the tree again" in run.sentence


@pytest.mark.parametrize("what", ["row", "blob"])
def test_a_tree_that_is_not_kept_any_more_fails_its_run(sender: Sender, what: str) -> None:
    commit = sender.clone.commit({".headway.yml": PIPELINE}, sender.base, ref="")
    queued = sender.queue(commit, sender.base, sender.pack(commit, sender.base))
    with transaction(sender.worker.context.database) as session:
        tree = session.query(SentTree).one()
        if what == "row":
            session.delete(tree)
        else:
            sender.worker.context.blobs.delete([blob_name(tree.blob_key)])
    run, _ = sender.work(queued)
    assert (run.state, run.reason) == (State.FAILED, Reason.COMMIT_MISSING)
    assert "the tree that was sent is not kept any more" in run.sentence


def test_a_tree_on_no_commit_runs(sender: Sender) -> None:
    commit = sender.clone.commit({".headway.yml": PIPELINE, "file": "alone"}, ref="")
    run, (step,) = sender.work(sender.queue(commit, "", sender.pack(commit)))
    assert run.state is State.PASSED, run.sentence
    assert b"alone" in log_of(sender, run, step)


def test_a_few_trees_that_name_each_other_leave_a_small_row_and_match_each_path(sender: Sender) -> None:
    """A pack of some hundred bytes with 10,000 files."""
    git = sender.clone.git
    kind, known = "100644 blob", git("hash-object", "-w", "--stdin", data=b"x")
    for _ in range(4):
        entries = "".join(f"{kind} {known}\t{number}\n" for number in range(10))
        kind, known = "040000 tree", git("mktree", data=entries.encode())
    only = "when: {path: {include: nowhere, on_empty: false}, event: [push, pull_request, manual]}\n"
    text = git("hash-object", "-w", "--stdin", data=f"{only}{PIPELINE}".encode().replace(b"cat file", b"true"))
    tree = git("mktree", data=f"{git('ls-tree', known)}\n100644 blob {text}\t.headway.yml\n".encode())
    commit = git("commit-tree", tree, "-p", sender.base, "-m", "many")
    pack = sender.pack(commit, sender.base)
    assert len(pack) < 1_000
    run, steps = sender.work(sender.queue(commit, sender.base, pack))
    assert run.state is State.PASSED, run.sentence
    assert [step.name for step in steps] == ["show"]
    assert len(run.trigger) < 2_000
    assert [left["what"] for left in run.left_out] == ["the list of changed files"]
