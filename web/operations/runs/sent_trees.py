"""Starts runs of working trees that people send."""

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from sqlalchemy.orm import Session

from pipelines.trigger import Trigger
from web.operations import audit
from web.operations.errors import ConflictError, InvalidInputError
from web.operations.lookup import repo_named
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.access.trust import Admission, UntrustedRuns, admission_when_queued, refusal, why_untrusted
from workers.artifacts.sent_trees import KeptPack, keep_pack
from workers.blobs import BlobError
from workers.db.models import Repo
from workers.db.roles import Role
from workers.db.session import reading, transaction
from workers.store import Queued
from workers.store import sent_trees as rows
from workers.triggers.manual import InvalidRequestError
from workers.triggers.sent_trees import SentTreeRun, trigger_for_tree

_PACK = b"PACK"
_PACK_BYTES_MIN = 32
"""Of the header and the checksum of a pack."""
_READ_BYTES = 1024 * 1024
_TOO_MANY = f"{rows.TREES_OF_A_REPOSITORY_MAX} runs of sent trees have not ended yet: wait, or cancel some."


def check_request(services: OperationServices, actor: Actor, repo_name: str, asked: SentTreeRun) -> None:
    """To be called before the pack is read. Raises NotFoundError, ForbiddenError, ConflictError, InvalidInputError."""
    with reading(services.engine) as session:
        repo, _ = _admitted(session, actor, repo_name, asked)
        _check_room(session, repo)
    if problem := services.settings.disk_reserve.problem():
        raise ConflictError(f"The tree cannot be kept: {problem}")


def start_tree(
    services: OperationServices, actor: Actor, repo_name: str, asked: SentTreeRun, pack: BinaryIO
) -> Queued:  # fmt: skip
    """Keeps the pack, and queues its run. Raises as ``check_request``, and ConflictError where it cannot be stored."""
    size_bytes = pack.seek(0, 2)
    pack.seek(0)
    if size_bytes < _PACK_BYTES_MIN or pack.read(len(_PACK)) != _PACK:
        raise InvalidInputError("The body is no pack of git: send what `git pack-objects` writes.")
    pack.seek(0)
    with reading(services.engine) as session:
        repo, _ = _admitted(session, actor, repo_name, asked)
        _check_room(session, repo)
    try:
        kept = keep_pack(services.engine, services.blobs, repo.id, _pieces(pack), size_bytes)
    except BlobError as error:
        raise ConflictError(f"The tree cannot be stored: {error}") from None
    with transaction(services.engine) as session:
        repo, trigger = _admitted(session, actor, repo_name, asked)
        queued = _queue(session, repo, trigger, kept)
        what = f"{trigger.sha} on {asked.base or 'no commit'}, {size_bytes} bytes"
        audit.record(session, actor, "run.send", f"{repo_name} #{queued.number}", what)
    services.wake_workers(queued.job_id)
    return queued


def _check_room(session: Session, repo: Repo) -> None:
    """Before a pack is stored: one that is refused afterwards would take up room for an hour."""
    if rows.is_full(session, repo.id):
        raise ConflictError(_TOO_MANY)


def _pieces(pack: BinaryIO) -> Iterator[bytes]:
    return iter(partial(pack.read, _READ_BYTES), b"")


def _admitted(session: Session, actor: Actor, repo_name: str, asked: SentTreeRun) -> tuple[Repo, Trigger]:
    repo = repo_named(session, actor, repo_name, Role.WRITE)
    try:
        trigger = trigger_for_tree(asked, repo.default_branch, actor.name)
    except InvalidRequestError as error:
        raise InvalidInputError(str(error)) from None
    if admission_when_queued(trigger, UntrustedRuns(repo.untrusted_runs)) is Admission.REFUSE:
        sentence = refusal(why_untrusted(trigger, on_branch=True))
        raise ConflictError(f"{sentence[:1].upper()}{sentence[1:]}.")
    return repo, trigger


def _queue(session: Session, repo: Repo, trigger: Trigger, kept: KeptPack) -> Queued:
    if not rows.make_room(session, repo.id):  # several came at once
        raise ConflictError(_TOO_MANY)
    if not rows.put_sent_tree(session, repo.id, trigger.ref, kept.blob_key, kept.content):
        raise ConflictError("The tree took longer than an hour to be stored: send it again.")
    return store.queue_run(session, repo.id, trigger)
