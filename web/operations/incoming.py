"""From a signed payload to the rows to store: the same for a delivery that arrives and for one that is replayed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipelines.trigger import Trigger, skip_ci
from workers.access.trust import Admission, UntrustedRuns, admission_when_queued, refusal, why_untrusted
from workers.forges import BadPayloadError, Forge, NothingToDo
from workers.store import DeliveryState, NewDelivery

SWITCHED_OFF = "The repository is switched off in Headway."


@dataclass(frozen=True)
class Rules:
    """What a repository says of its deliveries."""

    forge: Forge
    active: bool = True
    policy: UntrustedRuns = UntrustedRuns.APPROVE


def rows_of(
    rules: Rules, first: NewDelivery, headers: Mapping[str, str], payload: bytes
) -> tuple[list[NewDelivery], BadPayloadError | None]:
    """The rows to store of a delivery, one for each trigger, because a row leads to one run at most.

    ``first`` has what is known of it. Also returns what is wrong with its payload, if anything.
    """
    try:
        parsed = rules.forge.parse(headers, payload)
    except BadPayloadError as error:
        return [replace(first, state=DeliveryState.REFUSED, reason=error.sentence)], error
    if isinstance(parsed, NothingToDo):
        return [replace(first, reason=parsed.reason if rules.active else SWITCHED_OFF)], None
    return [_row(first, number, trigger, rules) for number, trigger in enumerate(parsed)], None


def _row(first: NewDelivery, number: int, trigger: Trigger, rules: Rules) -> NewDelivery:
    about: dict[str, Any] = {"event": trigger.event.value, "ref": trigger.ref, "sha": trigger.sha}
    if number:
        about |= {"key": f"{first.key}#{number}", "payload": None, "payload_key": first.key}
    return replace(first, **about, **_decision(first, trigger, rules))


def _decision(new: NewDelivery, trigger: Trigger, rules: Rules) -> dict[str, Any]:
    """Whether the trigger starts a run, and if not, why."""
    if not rules.active:
        return {"reason": SWITCHED_OFF}
    if skip_ci(trigger):
        return {"reason": f"The commit message of {trigger.ref} asks to skip CI."}
    if new.repeats:
        trigger = _without_old_rights(trigger)
    admitted = admission_when_queued(trigger, rules.policy)
    if admitted is Admission.REFUSE:
        return {"reason": f"Not run: {refusal(why_untrusted(trigger, on_branch=True))}."}
    return {"trigger": trigger, "held": admitted is Admission.HOLD}


def _without_old_rights(trigger: Trigger) -> Trigger:
    """What the forge said of its author's rights may be true no more: who replays it must not bring them back."""
    if trigger.pull_request is None or not trigger.pull_request.author_may_write:
        return trigger
    return trigger.model_copy(
        update={"pull_request": trigger.pull_request.model_copy(update={"author_may_write": False})}
    )
