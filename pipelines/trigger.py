"""A trigger: what happened at a forge, in the same form for every forge."""

import re
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

TEXT_CHARS_MAX = 16_384
"""Of each text of a trigger. One environment string may hold 128 KiB; a message is at most 4 bytes a character and must
fit with its name.
"""


class Event(StrEnum):
    """The values of ``when.event`` in a pipeline file, which are those of Woodpecker."""

    PUSH = "push"
    TAG = "tag"
    PULL_REQUEST = "pull_request"
    PULL_REQUEST_CLOSED = "pull_request_closed"
    PULL_REQUEST_METADATA = "pull_request_metadata"
    RELEASE = "release"
    DEPLOYMENT = "deployment"
    CRON = "cron"
    MANUAL = "manual"


PULL_REQUEST_EVENTS = frozenset({Event.PULL_REQUEST, Event.PULL_REQUEST_CLOSED, Event.PULL_REQUEST_METADATA})
EVENTS_OF_PEOPLE = frozenset({Event.MANUAL, Event.DEPLOYMENT})
"""The events by which a person starts a run: if nothing of its pipeline runs, it has not passed."""


SENT_TREE_REFS = "refs/sent/"
"""The refs of sent trees begin so: no forge has any, so that no run of a branch, tag or pull request has the same."""


class PullRequest(BaseModel):
    """The pull request that a trigger belongs to. Secrets are not given to runs that are ``from_fork``.

    ``target_sha`` is the commit of the target branch, empty if the forge did not send it. ``author_id`` is the number
    of its author's account at the forge. ``author_may_write`` is true only where the forge says that the sender of the
    commits may write to the repository.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    title: str = ""
    source_branch: str
    target_branch: str
    target_sha: str = ""
    from_fork: bool = False
    author_id: str = ""
    author_may_write: bool = False
    labels: tuple[str, ...] = ()
    milestone: str = ""
    draft: bool = False


class SentTree(BaseModel):
    """A working tree that a person has sent with ``headway run --remote``.

    ``base`` is the commit of the repository on which it is, empty where it is on none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = ""


class Trigger(BaseModel):
    """One event at one commit.

    ``sha`` is the commit's id, in full or abbreviated (see ``commit_id``), or empty: then a worker resolves ``ref``, a
    full ref name, with git. ``branch`` is the target branch of a pull request, empty for a tag. ``changed_files`` is
    None until a worker has asked git; with ``too_many_changed`` it is empty, and each path counts as changed.
    ``event_reason`` says what changed in a pull request. ``inputs`` were given when the run was started by hand or by a
    cron, with ``inputs_by_admin`` by an administrator. With ``no_reuse`` all steps run, also those whose result an
    earlier run has. With ``sent_tree`` the commit is none of the repository's: ``ref`` is below ``SENT_TREE_REFS``,
    another one for each tree.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: Event
    event_reason: str = ""
    sha: str
    ref: str
    branch: str = ""
    tag: str = ""
    previous_sha: str = ""
    message: str = ""
    author: str = ""
    author_email: str = ""
    sender: str = ""
    url: str = ""
    timestamp_s: int = 0
    pull_request: PullRequest | None = None
    changed_files: tuple[str, ...] | None = None
    too_many_changed: bool = False
    inputs: dict[str, str] = {}
    inputs_by_admin: bool = False
    no_reuse: bool = False
    cron: str = ""
    release_title: str = ""
    prerelease: bool = False
    deploy_target: str = ""
    deploy_task: str = ""
    sent_tree: SentTree | None = None


_SKIP = re.compile(r"\[(?:ci *skip|skip *ci)\]", re.IGNORECASE)


def skip_ci(trigger: Trigger) -> bool:
    """True when the commit's message has ``[skip ci]``. It counts for pushes and pull requests only."""
    applies = trigger.event is Event.PUSH or trigger.event in PULL_REQUEST_EVENTS
    return applies and _SKIP.search(trigger.message) is not None
