"""Sample triggers for a pipeline file: the linter compiles the file for each of them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipelines.matching.glob import BadPatternError, matches
from pipelines.model.conditions import Condition, Patterns
from pipelines.model.workflow import Workflow
from pipelines.trigger import PULL_REQUEST_EVENTS, Event, PullRequest, Trigger

VALUES_COUNT_MAX = 6  # of branches, of tags and of cron jobs
TRIGGERS_COUNT_MAX = 60
USUAL_EVENTS = (Event.PUSH, Event.PULL_REQUEST, Event.TAG, Event.MANUAL)
"""The events of every repository. Other events are tried only if a file names them."""

_SHA = "0123456789abcdef0123456789abcdef01234567"
_COMMIT: dict[str, Any] = {
    "message": "Change a file",
    "author": "someone",
    "author_email": "someone@example.org",
    "sender": "someone",
    "url": f"https://git.example.org/owner/name/commit/{_SHA}",
    "timestamp_s": 1_700_000_000,
}
"""What the webhook of a commit says besides, as every one does."""
_OTHER_BRANCH = "another-branch"
_OTHER_FILE = ".another-file"


def named_events(conditions: Sequence[Condition]) -> frozenset[Event]:
    """The events for which one of the conditions can hold."""
    if not conditions or any(not condition.event for condition in conditions):
        return frozenset(Event)
    return frozenset(event for condition in conditions for event in condition.event)


def all_conditions(workflow: Workflow) -> Iterator[Condition]:
    """Every condition of the file."""
    yield from workflow.when
    for part in (*workflow.clone, *workflow.services, *workflow.steps):
        yield from part.when


def push_to_default_branch(default_branch: str) -> Trigger:
    """A push to the default branch."""
    return _trigger(Event.PUSH, default_branch)


def triggers_for(workflow: Workflow, default_branch: str) -> list[Trigger]:
    """Triggers that this workflow serves: first one per event, then with values that its conditions distinguish."""
    conditions = list(all_conditions(workflow))
    served = named_events(workflow.when)
    if served == frozenset(Event):
        served = frozenset(USUAL_EVENTS) | {event for condition in conditions for event in condition.event}
    branches = _values(
        (condition.branch for condition in conditions), first=default_branch, last=_OTHER_BRANCH, prefix=""
    )
    tags = _values((condition.ref for condition in conditions), first="v1.2.3", last="nightly", prefix="refs/tags/")
    crons = _values((condition.cron for condition in conditions), first="nightly", last="another", prefix="")
    files = [None, (_OTHER_FILE,)] if any(condition.path != Condition().path for condition in conditions) else [None]
    found: list[list[Trigger]] = []
    for event in (event for event in Event if event in served):
        if event is Event.TAG:
            found.append([_tag(name) for name in tags])
        elif event is Event.CRON:
            found.append([_trigger(event, branch, cron=cron) for branch in branches for cron in crons])
        elif event is Event.PUSH or event in PULL_REQUEST_EVENTS:
            found.append([_trigger(event, branch, changed) for changed in files for branch in branches])
        else:
            found.append([_trigger(event, branch) for branch in branches])
    first, others = [group[0] for group in found], [trigger for group in found for trigger in group[1:]]
    return [*first, *others][:TRIGGERS_COUNT_MAX]


def _trigger(event: Event, branch: str, changed: tuple[str, ...] | None = None, cron: str = "") -> Trigger:
    pull = None
    if event in PULL_REQUEST_EVENTS:
        pull = PullRequest(number=1, source_branch="topic", target_branch=branch)
    ref = "refs/pull/1/head" if pull else f"refs/heads/{branch}"
    return Trigger(
        event=event,
        sha=_SHA,
        ref="refs/tags/v1.2.3" if event is Event.RELEASE else ref,
        branch=branch,
        **_COMMIT,
        tag="v1.2.3" if event is Event.RELEASE else "",
        changed_files=changed,
        pull_request=pull,
        cron=cron,
        release_title="v1.2.3" if event is Event.RELEASE else "",
        deploy_target="production" if event is Event.DEPLOYMENT else "",
        deploy_task="deploy" if event is Event.DEPLOYMENT else "",
    )


def _tag(name: str) -> Trigger:
    return Trigger(event=Event.TAG, sha=_SHA, ref=f"refs/tags/{name}", tag=name, **_COMMIT)


def _values(found: Iterable[Patterns], *, first: str, last: str, prefix: str) -> list[str]:
    """``first``, an example for each pattern, without ``prefix``, and ``last``, which probably no pattern matches."""
    examples: dict[str, None] = {first: None}
    for patterns in found:
        for pattern in (*patterns.include, *patterns.exclude):
            example = example_of(pattern)
            if example.startswith(prefix) and example != prefix:
                examples[example.removeprefix(prefix)] = None
            if len(examples) >= VALUES_COUNT_MAX:
                return [*examples, last]
    return list(dict.fromkeys([*examples, last]))


def example_of(pattern: str) -> str:
    """A text that matches the pattern, or an empty text if none is found easily."""
    text = re.sub(r"\{([^{},]*)[^{}]*\}", r"\1", pattern)
    text = re.sub(r"(?<!\\)(?:\*+|\?)", "x", text)
    text = re.sub(r"\[([^]!^\\])[^]]*\]", r"\1", text)
    text = re.sub(r"\\(.)", r"\1", text)
    try:
        return text if matches(pattern, text) else ""
    except BadPatternError:
        return ""
