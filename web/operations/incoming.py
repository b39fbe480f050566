"""From a signed payload to the rows to store: the same for a delivery that arrives and for one that is replayed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
    rows: list[NewDelivery] = []
    for trigger in parsed:
        more = {"key": f"{first.key}#{len(rows)}", "payload": None, "payload_key": first.key} if rows else {}
        own = replace(first, **more)  # type: ignore[arg-type]
        rows.append(_row(replace(own, event=trigger.event.value, ref=trigger.ref, sha=trigger.sha), trigger, rules))
    return rows, None


def _row(new: NewDelivery, trigger: Trigger, rules: Rules) -> NewDelivery:
    if not rules.active:
        return replace(new, reason=SWITCHED_OFF)
    if skip_ci(trigger):
        return replace(new, reason=f"The commit message of {trigger.ref} asks to skip CI.")
    if new.repeats:
        trigger = _without_old_rights(trigger)
    admitted = admission_when_queued(trigger, rules.policy)
    if admitted is Admission.REFUSE:
        return replace(new, reason=f"Not run: {refusal(why_untrusted(trigger, on_branch=True))}.")
    return replace(new, trigger=trigger, held=admitted is Admission.HOLD)


def _without_old_rights(trigger: Trigger) -> Trigger:
    """What the forge said of its author's rights may be true no more: who replays it must not bring them back."""
    if trigger.pull_request is None or not trigger.pull_request.author_may_write:
        return trigger
    return trigger.model_copy(
        update={"pull_request": trigger.pull_request.model_copy(update={"author_may_write": False})}
    )
