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
from runner.docker.containers.specs import Login
from runner.docker.error_mapping import classify_text, is_refusal
from runner.docker.references import registry_host, split_tag
from runner.docker.registry_answers import TransientRegistryError, transient_answer
from runner.docker.streams.progress_stream import Message
from runner.errors import MachineError, StepError, with_prefix
from runner.images.engine_retries import EngineRetries
from runner.images.interruptible import interruptible
from runner.images.retry import RegistryRetries
from runner.logs.output import Lines

_DIGEST = re.compile(r": digest: (sha256:[0-9a-f]{64}) size: ")
ATTEMPTS_MAX = 10
"""Retries, because the engine pushes by name, and another job may take the same name meanwhile."""


@dataclass(frozen=True)
class Pusher:
    """What the pushes of one job share.

    ``folder`` keeps the list of borrowed tags across a crash. ``check`` raises to stop a push. ``untag_at_end`` gets
    names that the engine adds to the image; the job removes them when it ends. ``retry_s`` is for how long a registry
    that cannot serve is asked again.
    """

    engine: Engine
    folder: Path
    check: Callable[[], None]
    untag_at_end: Callable[[str], None]
    retry_s: float


def push_image(pusher: Pusher, image_id: str, repo: str, tag: str, login: Login | None, write: Lines) -> str:
    """Pushes exactly this image as ``repo:tag`` and returns its digest in the registry.

    Raises StepError if the registry refuses it, MachineError if the registry cannot be reached.
    """
    for _ in range(ATTEMPTS_MAX):
        # Each try takes the name anew: another job may have had it meanwhile, and during a pause may need it.
        retries = RegistryRetries(pusher.retry_s, write, pusher.check)
        if digest := retries.call(partial(_push_once, pusher, image_id, f"{repo}:{tag}", login, write)):
            return digest
        write(f"another job took the name {repo}:{tag} meanwhile; pushing again")
    hint = "let only one pipeline push this name at a time, and re-run"
    raise MachineError(Reason.INTERNAL, f"other jobs took the name {repo}:{tag} {ATTEMPTS_MAX} times; {hint}")


def _push_once(pusher: Pusher, image_id: str, name: str, login: Login | None, write: Lines) -> str:
    """Pushes the image and returns its digest in the registry; empty if another job had taken the name meanwhile."""
    (repo, tag), known = split_tag(name), _digest_names(pusher, image_id)
    with _tagged(pusher, image_id, repo, tag):
        try:
            digest = _push_name(pusher, repo, tag, login, write)
        except StepError:
            if _id_of(pusher, name) == image_id:
                raise
            return ""
        if digest != image_id and f"{repo}@{digest}" not in known:
            # The engine removes this name with the last tag, unless another job has taken the tag meanwhile. (With
            # the containerd store the digest is the id, so this name does not exist.)
            pusher.untag_at_end(f"{repo}@{digest}")
        return digest if digest in _digests(pusher, image_id) else ""


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
    digest, name, retries = "", f"{repo}:{tag}", EngineRetries(write)
    for message in interruptible(pusher.engine.push(repo, tag, login), pusher.check):
        if "error" in message:
            raise push_error(name, str(message["error"]), with_login=login is not None)
        digest = _pushed_digest(message) or digest
        retries.feed(str(message.get("id", "")), str(message.get("status", "")))
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
    if answer := transient_answer(text, host, with_login=with_login):
        return TransientRegistryError(f"{name} cannot be pushed: ", answer)
    if is_refusal(text):
        hint = "check the credentials" if with_login else f"log in: headway registry login {host}"
        return StepError(Reason.PUSH_REFUSED, f"the registry {host} refused {name}: {text.strip()}; {hint}")
    known = classify_text(text)
    if known.reason is Reason.INTERNAL:
        return StepError(Reason.PUSH_REFUSED, f"the registry {host} did not accept {name}: {text.strip()}")
    return with_prefix(known, f"{name} cannot be pushed: ")
