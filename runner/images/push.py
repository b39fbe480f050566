"""Pushes the image that was tested, and proves that it is that one which arrived."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.state import Reason
from runner.cleanup.borrowed_tags import Lent, give_back, note
from runner.docker.client import Engine
from runner.docker.error_mapping import classify_text, is_refusal
from runner.docker.progress_stream import Message
from runner.docker.references import BUILD_REPO, registry_host, split_tag
from runner.docker.specs import Login
from runner.errors import MachineError, StepError
from runner.images.interruptible import heed
from runner.images.retry import with_retries
from runner.logs.output import Lines

_DIGEST = re.compile(r": digest: (sha256:[0-9a-f]{64}) size: ")
ATTEMPTS_MAX = 10
"""The engine pushes by name, and another job on it may take the same name in between."""


@dataclass(frozen=True)
class Pusher:
    """What pushes of one job share.

    ``folder`` remembers borrowed tags across a crash. ``check`` raises to end a push. ``keep_name`` is given names that
    the engine adds to the image, to be removed when the job ends.
    """

    engine: Engine
    folder: Path
    check: Callable[[], None]
    keep_name: Callable[[str], None]


def push_image(pusher: Pusher, image_id: str, repo: str, tag: str, login: Login | None, write: Lines) -> str:
    """Pushes exactly this image as ``repo:tag`` and returns its digest in the registry.

    Raises StepError when the registry refuses it, MachineError when it cannot be reached.
    """
    known = _digest_names(pusher, image_id)
    for _ in range(ATTEMPTS_MAX):
        with _named(pusher, image_id, repo, tag):
            try:
                digest = with_retries(partial(_push_name, pusher, repo, tag, login, write), write, pusher.check)
            except StepError:
                if _id_of(pusher, f"{repo}:{tag}") == image_id:
                    raise
                continue
            if digest != image_id and f"{repo}@{digest}" not in known:
                # The engine takes it off with the last tag, but another job may have taken that in between. (In the
                # containerd store the digest is the id: there is no such name apart from the tag's.)
                pusher.keep_name(f"{repo}@{digest}")
            if digest in _digests(pusher, image_id):
                return digest
        write(f"another job took the name {repo}:{tag} in between; pushing again")
    hint = "let only one pipeline push this name at a time, and re-run"
    raise MachineError(Reason.INTERNAL, f"other jobs kept taking the name {repo}:{tag}; {hint}")


@contextmanager
def _named(pusher: Pusher, image_id: str, repo: str, tag: str) -> Iterator[None]:
    """Gives the image its name for as long as the push takes; then the name goes back to whose it was."""
    name = f"{repo}:{tag}"
    lent = Lent(name, image_id, _owner(pusher, name))
    passing = lent.before != image_id
    if passing:
        note(pusher.folder, lent)
    pusher.engine.tag(image_id, repo, tag)
    try:
        yield
    finally:
        if passing:
            give_back(pusher.engine, lent)


def _owner(pusher: Pusher, name: str) -> str:
    """The id of the image to which a name belongs. Another job that is just pushing under it does not count."""
    image = pusher.engine.image(name) or {}
    lent = any(tag.startswith(f"{BUILD_REPO}:") for tag in image.get("RepoTags") or ())
    return "" if lent else str(image.get("Id", ""))


def _digests(pusher: Pusher, image_id: str) -> set[str]:
    """Under which digests the image is in registries: the engine notes them with the image that it pushed."""
    return {name.rpartition("@")[2] for name in _digest_names(pusher, image_id)}


def _digest_names(pusher: Pusher, image_id: str) -> frozenset[str]:
    return frozenset((pusher.engine.image(image_id) or {}).get("RepoDigests") or ())


def _id_of(pusher: Pusher, name: str) -> str:
    return str((pusher.engine.image(name) or {}).get("Id", ""))


def _push_name(pusher: Pusher, repo: str, tag: str, login: Login | None, write: Lines) -> str:
    digest, name = "", f"{repo}:{tag}"
    for message in heed(pusher.engine.push(repo, tag, login), pusher.check):
        if "error" in message:
            raise push_error(name, str(message["error"]), with_login=login is not None)
        digest = _told_digest(message) or digest
        if message.get("status") in {"Pushed", "Layer already exists"}:
            write(f"  {message.get('id', '')}: {str(message['status']).lower()}")
    if not digest:
        raise push_error(name, "the registry named no digest", with_login=login is not None)
    return digest


def _told_digest(message: Message) -> str:
    """The digest that the registry took, as both image stores tell it: ``latest: digest: sha256:... size: 528``."""
    told = _DIGEST.search(str(message.get("status", "")))
    return told[1] if told else ""


def push_error(name: str, text: str, *, with_login: bool) -> StepError:
    """Why a push failed: the registry refused it, or does not answer."""
    host = registry_host(split_tag(name)[0])
    if is_refusal(text):
        hint = "check the credentials" if with_login else f"log in: headway registry login {host}"
        return StepError(Reason.PUSH_REFUSED, f"the registry {host} refused {name}: {text.strip()}; {hint}")
    known = classify_text(text)
    if known.reason is Reason.INTERNAL:
        return StepError(Reason.PUSH_REFUSED, f"the registry {host} did not take {name}: {text.strip()}")
    return known
