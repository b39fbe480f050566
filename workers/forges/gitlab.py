"""GitLab. It sends the secret itself as a header; a signing token (GitLab 18.11 and later) is not needed."""

from collections.abc import Mapping
from urllib.parse import quote

from pipelines.state import State
from pipelines.trigger import Event, PullRequest
from workers.forges.interface import NothingToDo, Parsed
from workers.forges.payload import FullRef, Maybe, MaybeSha, Moment, Part, RefName, Sha, Text, read
from workers.forges.signatures import hmac_hex, key_of, same
from workers.forges.status_request import CommitStatus, Home, Request, api_and_path, short
from workers.forges.triggers import Commit, ignored, pull_request_trigger, push_trigger, release_trigger, single

NAME = "GitLab"


class _Person(Part):
    name: Maybe = ""
    username: Maybe = ""
    email: Maybe = ""


class _CommitOfPush(Part):
    id: Sha
    message: Text = ""
    timestamp: Moment = 0
    url: Maybe = ""
    author: _Person = _Person()


class _Push(Part):
    ref: FullRef
    before: Sha
    after: Sha
    # The commit under an annotated tag; null when the ref was deleted.
    checkout_sha: Sha | None = None
    user_username: Maybe = ""
    commits: tuple[_CommitOfPush, ...] = ()


class _ReleaseEvent(Part):
    action: Text = ""
    tag: RefName
    name: Maybe = ""
    url: Maybe = ""
    # Null where the tag is gone. A worker asks git then.
    commit: _CommitOfPush | None = None


class _Label(Part):
    title: Text = ""


class _MergeRequest(Part):
    iid: int
    title: Text = ""
    action: Maybe = ""
    url: Maybe = ""
    oldrev: MaybeSha = ""
    draft: bool = False
    source_branch: RefName
    target_branch: RefName
    author_id: int = 0
    # Null where the fork was deleted since.
    source_project_id: int | None = None
    target_project_id: int
    # Null where the source branch is gone, or has no commit.
    last_commit: _CommitOfPush | None = None


class _Change(Part):
    previous: object = None
    current: object = None


class _Assignee(Part):
    id: int = 0
    username: Maybe = ""


class _Assignees(Part):
    previous: tuple[_Assignee, ...] = ()
    current: tuple[_Assignee, ...] = ()


class _Changes(Part):
    labels: _Change | None = None
    milestone_id: _Change | None = None
    assignees: _Assignees | None = None


class _MergeRequestEvent(Part):
    user: _Person = _Person()
    object_attributes: _MergeRequest
    labels: tuple[_Label, ...] = ()
    changes: _Changes = _Changes()


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """``X-Gitlab-Token`` is the secret itself; it does not sign the body."""
    hmac_hex(secret, body)  # takes as long as other forges: time must not tell which names exist
    return same(headers.get("x-gitlab-token", ""), secret)


def delivery_key(headers: Mapping[str, str], body: bytes) -> str:
    """``Idempotency-Key`` (17.4 and later) stays the same over retries. Else a hash of the body."""
    if key := headers.get("idempotency-key", ""):
        return key_of(key, body)
    # An event that a webhook caused has the UUID of its cause, so the UUID alone is not unique.
    return key_of("", headers.get("x-gitlab-event-uuid", "").encode(errors="replace") + body)


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """See ``Forge``. GitLab has no ping: its Test button sends a push."""
    match headers.get("x-gitlab-event", ""):
        case "Push Hook" | "Tag Push Hook":
            return _push(read(_Push, body))
        case "Release Hook":
            return _release(read(_ReleaseEvent, body))
        case "Merge Request Hook":
            return _merge_request(read(_MergeRequestEvent, body))
        case event:
            return ignored(NAME, event)


def _push(push: _Push) -> Parsed:
    sha = push.checkout_sha or push.after
    tip = next((commit for commit in push.commits if commit.id == sha), None)
    commit = Commit(tip.message, tip.author.name, tip.author.email, tip.timestamp) if tip else Commit()
    url = tip.url if tip else ""
    return single(push_trigger(push.ref, sha, push.before, commit, sender=push.user_username, url=url))


def _release(event: _ReleaseEvent) -> Parsed:
    if event.action != "create":
        return ignored(NAME, f"release {event.action}")
    made = event.commit
    commit = Commit(made.message, made.author.name, made.author.email, made.timestamp) if made else Commit()
    # GitLab does not say who made the release, nor whether it is a pre-release.
    sha = made.id if made else ""
    return (release_trigger(event.tag, commit, sha=sha, title=event.name, url=event.url),)


def _reason(changes: _Changes) -> str:
    """What an update without new commits changed, in the words that all forges share."""
    if changes.labels:
        return "label_updated"
    if changes.milestone_id:
        return "milestoned" if changes.milestone_id.current else "demilestoned"
    if changes.assignees:
        # A new assignee counts more than one who is not assigned any more.
        return "assigned" if set(changes.assignees.current) - set(changes.assignees.previous) else "unassigned"
    return "edited"


def _kind(merge: _MergeRequest) -> Event | None:
    match merge.action:
        case "open" | "reopen":
            return Event.PULL_REQUEST
        case "close" | "merge":
            return Event.PULL_REQUEST_CLOSED
        case "update":
            # Only an update with new commits names the commit that they replace.
            return Event.PULL_REQUEST if merge.oldrev else Event.PULL_REQUEST_METADATA
        case _:
            return None


def _merge_request(event: _MergeRequestEvent) -> Parsed:
    merge = event.object_attributes
    kind = _kind(merge)
    if kind is None:
        return ignored(NAME, f"merge request {merge.action}".strip())
    tip = merge.last_commit
    if tip is None:
        return NothingToDo(f"The source branch of merge request {merge.iid} has no commit, or is gone.")
    pull_request = PullRequest(
        number=merge.iid,
        title=merge.title,
        source_branch=merge.source_branch,
        target_branch=merge.target_branch,
        from_fork=merge.source_project_id != merge.target_project_id,
        author_id=str(merge.author_id or ""),
        labels=tuple(label.title for label in event.labels),
        draft=merge.draft,
    )
    return (
        pull_request_trigger(
            kind,
            pull_request,
            Commit(author=tip.author.name, author_email=tip.author.email, timestamp_s=tip.timestamp, sha=tip.id),
            ref=f"refs/merge-requests/{merge.iid}/head",
            previous_sha=merge.oldrev,
            reason=_reason(event.changes) if kind is Event.PULL_REQUEST_METADATA else "",
            sender=event.user.username,
            url=merge.url,
        ),
    )


_DESCRIPTION_CHARS_MAX = 255
_STATES: Mapping[State, str] = {
    State.QUEUED: "pending",
    State.RUNNING: "running",
    State.PASSED: "success",
    State.FAILED: "failed",
    State.BROKEN: "failed",
    State.CANCELED: "canceled",
    State.SKIPPED: "canceled",
}


def report(home: Home, token: str, status: CommitStatus) -> Request:
    """The status of an external pipeline. GitLab refuses the same pending or running status a second time."""
    api, path = api_and_path(home, "/api/v4")
    body = {
        "state": _STATES[status.state],
        "name": status.context,
        "description": short(status.sentence, _DESCRIPTION_CHARS_MAX),
        "target_url": status.url,
    }
    return Request(
        f"{api}/projects/{quote(path, safe='')}/statuses/{status.sha}",
        {"private-token": token},
        body | ({"ref": status.branch} if status.branch else {}),
        known_by="" if status.state.final else "Cannot transition status",
    )


def setup_text(hook_url: str, secret: str) -> str:
    """See ``Forge``."""
    return f"""\
In the project on GitLab: Settings, Webhooks, Add new webhook.
  URL            {hook_url}
  Secret token   {secret}
  Trigger        Push events, Tag push events, Merge request events, Releases events
If GitLab refuses a local address, an administrator allows it under Admin, Settings, Network, Outbound requests.
"""
