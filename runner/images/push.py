"""Pushes the image that was tested, and proves that it is that one which arrived."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pipelines.plan import PushStep, resolve
from pipelines.state import PASSED, Outcome, Reason, State
from runner.errors import CanceledError, MachineError, StepError
from runner.events import ImagePushed
from runner.faults import classify_text, is_refusal
from runner.images.answer import Message
from runner.images.heed import heed
from runner.images.lent import Lent, give_back, note
from runner.images.names import BUILD_REPO, registry_host, split_tag
from runner.images.retry import with_retries
from runner.images.tagsfile import read_tags
from runner.job import Job
from runner.output import Lines, Output
from runner.specs import Login

_DIGEST = re.compile(r": digest: (sha256:[0-9a-f]{64}) size: ")
ATTEMPTS_MAX = 10
"""The engine pushes by name, and another job on it may take the same name in between."""


def perform(job: Job, step: PushStep, output: Output) -> Outcome:
    """Pushes to every repository under every tag; one that fails does not keep the others from being tried."""
    if step.image not in job.built:
        raise StepError(Reason.BUILD_FAILED, "there is no image to push, for its build step did not run")
    image_id = job.built[step.image]
    tags = dict.fromkeys((*step.tags, *(read_tags(job.source, step.tags_file) if step.tags_file else ())))
    names = [(repo, tag) for repo in step.repos for tag in tags]
    if not job.options.push:
        for repo, tag in names:
            output.note(f"would push {image_id} as {repo}:{tag}")
        return Outcome(State.SKIPPED, Reason.CONDITION, "nothing is pushed from here without --push")
    job.require(step.username, step.password)
    failures = [failure for repo, tag in names if (failure := _push_one(job, step, repo, tag, output))]
    if not failures:
        return PASSED
    worst = next((failure for failure in failures if failure.state is State.BROKEN), failures[0])
    done = f"; {len(names) - len(failures)} of {len(names)} names were pushed, a re-run completes them"
    return Outcome(worst.state, worst.reason, f"{worst.message}{done if names[1:] else ''}")


def _push_one(job: Job, step: PushStep, repo: str, tag: str, output: Output) -> Outcome | None:
    """Pushes one name; how it failed, or None."""
    image_id, login = job.built[step.image], _login(job, step, repo)
    output.note(f"pushing {image_id} as {repo}:{tag}")
    try:
        digest = _push_surely(job, image_id, repo, tag, login, Lines(output))
    except CanceledError:
        raise
    except StepError as error:
        output.note(f"{repo}:{tag} was not pushed: {error}")
        return error.outcome
    output.note(f"pushed {repo}:{tag}@{digest}")
    job.emit(ImagePushed(step.number, repo, tag, digest, image_id))
    return None


def _push_surely(job: Job, image_id: str, repo: str, tag: str, login: Login | None, write: Lines) -> str:
    """The digest under which exactly this image is in the registry now."""
    known = _digest_names(job, image_id)
    for _ in range(ATTEMPTS_MAX):
        with _named(job, image_id, repo, tag):
            try:
                digest = with_retries(partial(_push_name, job, repo, tag, login, write), write, job.check)
            except StepError:
                if _id_of(job, f"{repo}:{tag}") == image_id:
                    raise
                continue
            if digest != image_id and f"{repo}@{digest}" not in known:
                # The engine takes it off with the last tag, but another job may have taken that in between. (In the
                # containerd store the digest is the id: there is no such name apart from the tag's.)
                job.keep_name(f"{repo}@{digest}")
            if digest in _digests(job, image_id):
                return digest
        write(f"another job took the name {repo}:{tag} in between; pushing again")
    hint = "let only one pipeline push this name at a time, and re-run"
    raise MachineError(Reason.INTERNAL, f"other jobs kept taking the name {repo}:{tag}; {hint}")


@contextmanager
def _named(job: Job, image_id: str, repo: str, tag: str) -> Iterator[None]:
    """Gives the image its name for as long as the push takes; then the name goes back to whose it was."""
    name = f"{repo}:{tag}"
    lent = Lent(name, image_id, _owner(job, name))
    passing = not job.options.keep_images and lent.before != image_id
    if passing:
        note(job.assignment.folder, lent)
    job.engine.tag(image_id, repo, tag)
    try:
        yield
    finally:
        if passing:
            give_back(job.engine, lent)


def _owner(job: Job, name: str) -> str:
    """The id of the image to which a name belongs. Another job that is just pushing under it does not count."""
    image = job.engine.image(name) or {}
    lent = any(tag.startswith(f"{BUILD_REPO}:") for tag in image.get("RepoTags") or ())
    return "" if lent else str(image.get("Id", ""))


def _digests(job: Job, image_id: str) -> set[str]:
    """Under which digests the image is in registries: the engine notes them with the image that it pushed."""
    return {name.rpartition("@")[2] for name in _digest_names(job, image_id)}


def _digest_names(job: Job, image_id: str) -> frozenset[str]:
    return frozenset((job.engine.image(image_id) or {}).get("RepoDigests") or ())


def _id_of(job: Job, name: str) -> str:
    return str((job.engine.image(name) or {}).get("Id", ""))


def _push_name(job: Job, repo: str, tag: str, login: Login | None, write: Lines) -> str:
    digest, name = "", f"{repo}:{tag}"
    for message in heed(job.engine.push(repo, tag, login), job.check):
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


def _login(job: Job, step: PushStep, repo: str) -> Login | None:
    secrets = job.assignment.secrets
    if step.username or step.password:
        return Login(resolve(step.username, secrets), resolve(step.password, secrets))
    return job.assignment.logins.get(registry_host(repo))


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
