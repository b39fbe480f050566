"""Runs that a user starts: from the page, the API or the command line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipelines.commit_id import is_id
from pipelines.inputs import wrong_names_and_sizes
from pipelines.trigger import Event, Trigger
from workers.forges.payload import allowed_ref

NAME_CHARS_MAX = 100


class InvalidRequestError(ValueError):
    """The request is not valid. The text says why, and what to do."""


StartedByHand = Literal[Event.MANUAL, Event.DEPLOYMENT]


@dataclass(frozen=True)
class ManualRun:
    """A run that a user requests: of a branch (by default the default branch), a tag, or a commit on one of them.

    ``inputs`` are those that the pipeline declares; ``target`` and ``task`` are for deployments. ``by_admin``: the user
    is an administrator. With ``no_reuse`` no step takes an earlier result.
    """

    branch: str = ""
    tag: str = ""
    commit: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    event: StartedByHand = Event.MANUAL
    target: str = ""
    task: str = ""
    by_admin: bool = False
    no_reuse: bool = False


def event_for(target: str) -> StartedByHand:
    """The event of a run: with a target it is a deployment."""
    return Event.DEPLOYMENT if target else Event.MANUAL


def trigger_for(asked: ManualRun, default_branch: str, sender: str) -> Trigger:
    """The trigger of the run. A worker asks git for its commit. Raises InvalidRequestError."""
    if asked.branch and asked.tag:
        raise InvalidRequestError("A run is of a branch or of a tag, not of both: leave one of them out.")
    commit = asked.commit.strip().lower()
    if commit and not is_id(commit):
        raise InvalidRequestError(
            f"{asked.commit[:80]!r} is no commit id: give its first 7 hex digits or more, or a branch or tag."
        )
    check_inputs(asked.inputs)
    _check_deployment(asked)
    branch = "" if asked.tag else checked_ref("branch", asked.branch or default_branch)
    return Trigger(
        event=asked.event,
        sha=commit,
        ref=f"refs/tags/{checked_ref('tag', asked.tag)}" if asked.tag else f"refs/heads/{branch}",
        branch=branch,
        tag=asked.tag,
        sender=sender,
        inputs=dict(asked.inputs),
        inputs_by_admin=asked.by_admin,
        no_reuse=asked.no_reuse,
        deploy_target=asked.target,
        deploy_task=asked.task,
    )


def _check_deployment(asked: ManualRun) -> None:
    if asked.event is Event.DEPLOYMENT and not asked.target:
        raise InvalidRequestError("A deployment needs a target, such as production.")
    if asked.event is Event.MANUAL and (asked.target or asked.task):
        raise InvalidRequestError("Only a deployment has a target and a task: leave them out, or ask for a deployment.")
    for noun, value in (("target", asked.target), ("task", asked.task)):
        if len(value) > NAME_CHARS_MAX or not value.isprintable():
            raise InvalidRequestError(f"The {noun} must be a word or two of at most {NAME_CHARS_MAX} characters.")


def checked_ref(noun: str, name: str) -> str:
    """The name of a branch or tag. Raises InvalidRequestError where git would not take it."""
    if not name.isprintable():
        raise InvalidRequestError(f"{name[:80]!r} cannot be a {noun}: it holds characters that cannot be shown.")
    try:
        return allowed_ref(name)
    except ValueError as error:
        raise InvalidRequestError(f"{name[:80]!r} cannot be a {noun}: it {error}.") from None


def check_inputs(inputs: Mapping[str, str]) -> None:
    """Raises InvalidRequestError for inputs that no pipeline could declare."""
    if wrong := next(wrong_names_and_sizes(inputs), ""):
        raise InvalidRequestError(wrong)


def inputs_from(lines: Iterable[str]) -> dict[str, str]:
    """Inputs from ``NAME=VALUE`` lines; empty lines are left out. Raises InvalidRequestError."""
    found: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not line.strip():
            continue
        if not equals:
            raise InvalidRequestError(f"{line[:80]!r} is no input: write NAME=VALUE.")
        found[name.strip()] = value
    return found
