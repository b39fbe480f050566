"""Pushes an image by its id, and checks that the registry received exactly this image."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.state import Reason
from runner.cleanup.borrowed_tags import borrow_tag, return_borrowed_tag
from runner.docker.client import Engine
from runner.docker.error_mapping import classify_text, is_refusal
from runner.docker.progress_stream import Message
from runner.docker.references import registry_host, split_tag
from runner.docker.specs import Login
from runner.errors import MachineError, StepError
from runner.images.interruptible import interruptible
from runner.images.retry import with_retries
from runner.logs.output import Lines

_DIGEST = re.compile(r": digest: (sha256:[0-9a-f]{64}) size: ")
ATTEMPTS_MAX = 10
"""Retries, because the engine pushes by name, and another job may take the same name meanwhile."""


@dataclass(frozen=True)
class Pusher:
    """What the pushes of one job share.

    ``folder`` keeps the list of borrowed tags across a crash. ``check`` raises to stop a push. ``untag_at_end`` gets
    names that the engine adds to the image; the job removes them when it ends.
    """

    engine: Engine
    folder: Path
    check: Callable[[], None]
    untag_at_end: Callable[[str], None]


def push_image(pusher: Pusher, image_id: str, repo: str, tag: str, login: Login | None, write: Lines) -> str:
    """Pushes exactly this image as ``repo:tag`` and returns its digest in the registry.

    Raises StepError if the registry refuses it, MachineError if the registry cannot be reached.
    """
    known = _digest_names(pusher, image_id)
    for _ in range(ATTEMPTS_MAX):
        with _tagged(pusher, image_id, repo, tag):
            try:
                digest = with_retries(partial(_push_name, pusher, repo, tag, login, write), write, pusher.check)
            except StepError:
                if _id_of(pusher, f"{repo}:{tag}") == image_id:
                    raise
                continue
            if digest != image_id and f"{repo}@{digest}" not in known:
                # The engine removes this name with the last tag, unless another job has taken the tag meanwhile. (With
                # the containerd store the digest is the id, so this name does not exist.)
                pusher.untag_at_end(f"{repo}@{digest}")
            if digest in _digests(pusher, image_id):
                return digest
        write(f"another job took the name {repo}:{tag} meanwhile; pushing again")
    hint = "let only one pipeline push this name at a time, and re-run"
    raise MachineError(Reason.INTERNAL, f"other jobs took the name {repo}:{tag} {ATTEMPTS_MAX} times; {hint}")


@contextmanager
def _tagged(pusher: Pusher, image_id: str, repo: str, tag: str) -> Iterator[None]:
    """Gives the image its name for the time of the push, then returns the name to the image that had it."""
    borrowed = borrow_tag(pusher.engine, pusher.folder, image_id, f"{repo}:{tag}")
    try:
        yield
    finally:
        if borrowed:
            return_borrowed_tag(pusher.engine, borrowed)


def _digests(pusher: Pusher, image_id: str) -> set[str]:
    """The digests of the image in registries. The engine adds one to the image after each push."""
    return {name.rpartition("@")[2] for name in _digest_names(pusher, image_id)}


def _digest_names(pusher: Pusher, image_id: str) -> frozenset[str]:
    return frozenset((pusher.engine.image(image_id) or {}).get("RepoDigests") or ())


def _id_of(pusher: Pusher, name: str) -> str:
    return str((pusher.engine.image(name) or {}).get("Id", ""))


def _push_name(pusher: Pusher, repo: str, tag: str, login: Login | None, write: Lines) -> str:
    digest, name = "", f"{repo}:{tag}"
    for message in interruptible(pusher.engine.push(repo, tag, login), pusher.check):
        if "error" in message:
            raise push_error(name, str(message["error"]), with_login=login is not None)
        digest = _pushed_digest(message) or digest
        if message.get("status") in {"Pushed", "Layer already exists"}:
            write(f"  {message.get('id', '')}: {str(message['status']).lower()}")
    if not digest:
        raise push_error(name, "the registry returned no digest", with_login=login is not None)
    return digest


def _pushed_digest(message: Message) -> str:
    """The digest in the message of a finished push, in both image stores: ``latest: digest: sha256:... size: 528``."""
    found = _DIGEST.search(str(message.get("status", "")))
    return found[1] if found else ""


def push_error(name: str, text: str, *, with_login: bool) -> StepError:
    """The error for a failed push: the registry refused it, or does not answer."""
    host = registry_host(split_tag(name)[0])
    if is_refusal(text):
        hint = "check the credentials" if with_login else f"log in: headway registry login {host}"
        return StepError(Reason.PUSH_REFUSED, f"the registry {host} refused {name}: {text.strip()}; {hint}")
    known = classify_text(text)
    if known.reason is Reason.INTERNAL:
        return StepError(Reason.PUSH_REFUSED, f"the registry {host} did not accept {name}: {text.strip()}")
    return known
