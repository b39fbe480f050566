"""GitLab. It sends the secret itself as a header; a signing token (GitLab 18.11 and later) is not needed."""

from collections.abc import Mapping

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
    same,
)

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


class _MergeRequestEvent(Part):
    user: _Person = _Person()
    object_attributes: _MergeRequest
    labels: tuple[_Label, ...] = ()


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


def setup_text(hook_url: str, secret: str) -> str:
    """See ``Forge``."""
    return f"""\
In the project on GitLab: Settings, Webhooks, Add new webhook.
  URL            {hook_url}
  Secret token   {secret}
  Trigger        Push events, Tag push events, Merge request events
If GitLab refuses a local address, an administrator allows it under Admin, Settings, Network, Outbound requests.
"""
