"""Runs of working trees that people send with ``headway run --remote``."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.commit_id import is_full_id
from pipelines.trigger import SENT_TREE_REFS, Event, SentTree, Trigger
from workers.triggers.manual import InvalidRequestError, check_inputs, checked_ref

_SHORT_CHARS = 10


@dataclass(frozen=True)
class SentTreeRun:
    """A run of a sent tree that a user requests.

    ``commit`` is the tree's commit, which the pack has, and ``base`` the commit of the repository that is its parent;
    empty where it has none. ``branch`` is the one that the run counts as one of, by default the default branch. With
    ``inputs`` its event is ``manual``, else ``push``.
    """

    commit: str
    base: str = ""
    branch: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    by_admin: bool = False
    no_reuse: bool = False


def trigger_for_tree(asked: SentTreeRun, default_branch: str, sender: str) -> Trigger:
    """The trigger of the run, with a ref that no other run has but those that repeat it. Raises InvalidRequestError."""
    for name, value in (("commit", asked.commit), *([("base", asked.base)] if asked.base else [])):
        if not is_full_id(value) or set(value) == {"0"}:
            raise InvalidRequestError(f"{value[:80]!r} is no whole commit id: `{name}` needs all of its hex digits.")
    check_inputs(asked.inputs)
    branch = checked_ref("branch", asked.branch or default_branch)
    on = f", on top of {asked.base[:_SHORT_CHARS]}" if asked.base else ""
    return Trigger(
        event=Event.MANUAL if asked.inputs else Event.PUSH,
        sha=asked.commit,
        ref=f"{SENT_TREE_REFS}{secrets.token_hex(8)}",
        branch=branch,
        previous_sha=asked.base,
        message=f"Uncommitted tree of {sender}{on}",
        author=sender,
        sender=sender,
        inputs=dict(asked.inputs),
        inputs_by_admin=asked.by_admin,
        no_reuse=asked.no_reuse,
        sent_tree=SentTree(base=asked.base),
    )
