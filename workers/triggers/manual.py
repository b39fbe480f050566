"""Runs that a user starts: from the page, the API or the command line."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipelines.commit_id import is_id
from pipelines.trigger import Event, Trigger
from workers.forges.payload import allowed_ref

INPUTS_BYTES_MAX = 65_536  # all names and values: half of what one environment variable may hold
NAME_CHARS_MAX = 100
_INPUT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORBIDDEN = re.compile("[\0\ud800-\udfff]")
_RESERVED = ("CI_", "DRONE_", "PLUGIN_")


class InvalidRequestError(ValueError):
    """The request is not valid. The text says why, and what to do."""


StartedByHand = Literal[Event.MANUAL, Event.DEPLOYMENT]


@dataclass(frozen=True)
class ManualRun:
    """A run that a user requests: of a branch (by default the default branch), a tag, or a commit on one of them.

    ``inputs`` become environment variables; ``target`` and ``task`` are for deployments.
    """

    branch: str = ""
    tag: str = ""
    commit: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    event: StartedByHand = Event.MANUAL
    target: str = ""
    task: str = ""


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
    """Raises InvalidRequestError for inputs that could not be environment variables of a step."""
    for name, value in inputs.items():
        if not _INPUT.fullmatch(name):
            raise InvalidRequestError(
                f"{name[:80]!r} cannot be an input: a name consists of letters, digits and _, and begins with no digit."
            )
        if name.startswith(_RESERVED):
            raise InvalidRequestError(
                f"{name[:80]} cannot be an input: names with {', '.join(_RESERVED)} are Headway's own."
            )
        if _FORBIDDEN.search(value):
            raise InvalidRequestError(f"The input {name} holds a NUL or bytes that are no UTF-8: take them out.")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in inputs.items())
    if size > INPUTS_BYTES_MAX:
        raise InvalidRequestError(f"The inputs have {size:,} bytes; the limit is {INPUTS_BYTES_MAX:,}.")


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
