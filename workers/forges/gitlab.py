"""GitLab. It sends the secret itself as a header; a signing token (GitLab 18.11 and later) is not needed."""

from collections.abc import Mapping
from urllib.parse import quote

from pipelines.state import State
from pipelines.trigger import Event, PullRequest, Trigger
from workers.forges.common import (
    Commit,
    FullRef,
    Maybe,
    MaybeSha,
    Moment,
    Parsed,
    Part,
    RefName,
    Sha,
    Text,
    alone,
    hmac_hex,
    ignored,
    key_of,
    pushed,
    read,
    released,
    same,
)
from workers.forges.status_request import CommitStatus, Home, Request, api_and_path, short

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
    action: Text
    tag: RefName
    name: Maybe = ""
    url: Maybe = ""
    commit: _CommitOfPush


class _Label(Part):
    title: Text = ""


class _MergeRequest(Part):
    iid: int
    title: Text
    action: Maybe = ""
    url: Maybe = ""
    oldrev: MaybeSha = ""
    draft: bool = False
    source_branch: RefName
    target_branch: RefName
    source_project_id: int | None
    target_project_id: int
    last_commit: _CommitOfPush


class _Change(Part):
    previous: object = None
    current: object = None


class _Changes(Part):
    labels: _Change | None = None
    milestone_id: _Change | None = None
    assignees: _Change | None = None


class _MergeRequestEvent(Part):
    user: _Person = _Person()
    object_attributes: _MergeRequest
    labels: tuple[_Label, ...] = ()
    changes: _Changes = _Changes()


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """``X-Gitlab-Token`` equals the secret; it does not cover the body."""
    hmac_hex(secret, body)  # takes the time that others take, or a refusal's time would tell a GitLab repository's name
    return same(headers.get("x-gitlab-token", ""), secret)


def delivery_key(headers: Mapping[str, str], body: bytes) -> str:
    """``Idempotency-Key`` (17.4 and later) stays the same over retries; older servers are told apart by the body."""
    if key := headers.get("idempotency-key", ""):
        return key_of(key, body)
    # An event that a webhook caused shares its cause's UUID, so the UUID alone is not enough.
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
    return alone(pushed(push.ref, sha, push.before, commit, sender=push.user_username, url=url))


def _release(event: _ReleaseEvent) -> Parsed:
    if event.action != "create":
        return ignored(NAME, f"release {event.action}")
    made = event.commit
    commit = Commit(made.message, made.author.name, made.author.email, made.timestamp)
    # GitLab does not say who made the release, nor whether it is a pre-release.
    return (released(event.tag, commit, sha=made.id, title=event.name, url=event.url),)


def _reason(changes: _Changes) -> str:
    """What an update without commits changed, in the words that all forges share."""
    if changes.labels:
        return "label_updated"
    if changes.milestone_id:
        return "milestoned" if changes.milestone_id.current else "demilestoned"
    if changes.assignees:
        return "assigned" if changes.assignees.current else "unassigned"
    return "edited"


def _kind(merge: _MergeRequest) -> Event | None:
    match merge.action:
        case "open" | "reopen":
            return Event.PULL_REQUEST
        case "close" | "merge":
            return Event.PULL_REQUEST_CLOSED
        case "update":
            # Only an update that brought commits says which commit it replaced.
            return Event.PULL_REQUEST if merge.oldrev else Event.PULL_REQUEST_METADATA
        case _:
            return None


def _merge_request(event: _MergeRequestEvent) -> Parsed:
    merge = event.object_attributes
    kind = _kind(merge)
    if kind is None:
        return ignored(NAME, f"merge request {merge.action}".strip())
    return (
        Trigger(
            event=kind,
            event_reason=_reason(event.changes) if kind is Event.PULL_REQUEST_METADATA else "",
            sha=merge.last_commit.id,
            ref=f"refs/merge-requests/{merge.iid}/head",
            branch=merge.target_branch,
            previous_sha=merge.oldrev,
            message=merge.title,
            author=merge.last_commit.author.name,
            author_email=merge.last_commit.author.email,
            sender=event.user.username,
            url=merge.url,
            timestamp_s=merge.last_commit.timestamp,
            pull_request=PullRequest(
                number=merge.iid,
                title=merge.title,
                source_branch=merge.source_branch,
                target_branch=merge.target_branch,
                from_fork=merge.source_project_id != merge.target_project_id,
                labels=tuple(label.title for label in event.labels),
                draft=merge.draft,
            ),
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
    """A status of an external pipeline. GitLab refuses to say twice that one waits or runs."""
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
