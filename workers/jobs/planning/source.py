"""Where a job's commit is read from: the repository's mirror, or of a sent tree a repository of the job's own."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.state import Reason
from pipelines.trigger import SentTree
from runner.errors import MachineError, StepError
from runner.source.mirrors.mirror import Mirror
from runner.source.mirrors.mirror_removal import in_use, remove_mirror
from runner.source.mirrors.sent_tree import SentCommit, unpack
from workers.artifacts.sent_trees import read_pack
from workers.blobs import BlobMissingError
from workers.db.session import reading
from workers.jobs.context import ClaimedJob, WorkerContext
from workers.jobs.mirror_maintenance import open_mirror
from workers.store.sent_trees import sent_tree

_GONE = "the tree that was sent is not kept any more; send it again with `headway run --remote`"


@contextmanager
def opened_source(context: WorkerContext, job: ClaimedJob) -> Iterator[Mirror]:
    """The mirror that has the job's commit, or fetches it. Raises StepError, OSError and BlobError."""
    mirror = open_mirror(context.settings, context.egress, job.repo, job.login, job.run.repo_key)
    with in_use(mirror.path):
        sent = job.trigger.sent_tree
        if sent is None:
            yield mirror
            return
        with _own_repository(context, job, sent, mirror) as own:
            yield own


@contextmanager
def _own_repository(context: WorkerContext, job: ClaimedJob, sent: SentTree, mirror: Mirror) -> Iterator[Mirror]:
    """A mirror under a random key: what a worker that dies leaves of it is removed as other old mirrors are."""
    key = f"{job.run.repo_key} sent {secrets.token_hex(16)}"
    own = open_mirror(context.settings, context.egress, job.repo, job.login, key)
    own.history_from = sent.base
    try:
        with in_use(own.path):
            with context.timing.timed("fetch", ""):
                _unpack(context, job, sent, mirror, own)
            yield own
    finally:
        remove_mirror(own.path.parent, own.path.stem, forever=True)


def _unpack(context: WorkerContext, job: ClaimedJob, sent: SentTree, mirror: Mirror, own: Mirror) -> None:
    trigger = job.trigger
    with reading(context.database) as session:
        tree = sent_tree(session, job.repo_id, trigger.ref)
    if tree is None:
        raise StepError(Reason.COMMIT_MISSING, _GONE)
    if sent.base:
        _fetch_base(mirror, sent.base, f"refs/heads/{trigger.branch}")
    commit, pack = SentCommit(trigger.sha, sent.base), read_pack(context.blobs, tree)
    try:
        unpack(commit, pack, tree.size_bytes, own.path, mirror.path)
    except BlobMissingError:
        raise StepError(Reason.COMMIT_MISSING, _GONE) from None


def _fetch_base(mirror: Mirror, base: str, ref: str) -> None:
    try:
        mirror.fetch(base, ref)
    except MachineError as error:
        if error.reason is not Reason.COMMIT_MISSING:
            raise
        hint = "the remote branch that has it may be deleted: run `git fetch --prune` and send the tree again"
        raise StepError(
            Reason.COMMIT_MISSING, f"the repository has no commit {base}, on which the tree that was sent is; {hint}"
        ) from None
