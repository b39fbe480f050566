"""Gitea and Forgejo. They send the same payloads and signatures; Forgejo adds headers under its own name."""

from collections.abc import Mapping

from pipelines.trigger import Event, PullRequest
from workers.forges.interface import NothingToDo, Parsed
from workers.forges.payload import FullRef, Maybe, Moment, Part, RefName, Sha, Text, read
from workers.forges.signatures import signed, signed_key
from workers.forges.status_request import CommitStatus, Home, Request, api_and_path, commit_status_body
from workers.forges.triggers import Commit, Release, ignored, ping, pull_request_trigger, push_trigger, single

NAME = "Gitea"

PULL_REQUEST_ACTIONS: Mapping[str, Event] = {
    "opened": Event.PULL_REQUEST,
    "synchronized": Event.PULL_REQUEST,
    "reopened": Event.PULL_REQUEST,
    "closed": Event.PULL_REQUEST_CLOSED,
    "label_updated": Event.PULL_REQUEST_METADATA,
    "label_cleared": Event.PULL_REQUEST_METADATA,
    "milestoned": Event.PULL_REQUEST_METADATA,
    "demilestoned": Event.PULL_REQUEST_METADATA,
    "assigned": Event.PULL_REQUEST_METADATA,
    "unassigned": Event.PULL_REQUEST_METADATA,
    "edited": Event.PULL_REQUEST_METADATA,
}


class _Person(Part):
    id: int = 0
    login: Maybe = ""
    username: Maybe = ""
    name: Maybe = ""
    email: Maybe = ""

    @property
    def account(self) -> str:
        return self.login or self.username or self.name


class _HeadCommit(Part):
    id: Sha
    message: Text = ""
    timestamp: Moment = 0
    author: _Person = _Person()


class _Push(Part):
    ref: FullRef
    before: Sha
    after: Sha
    compare_url: Maybe = ""
    commits: tuple[_HeadCommit, ...] = ()
    head_commit: _HeadCommit | None = None
    pusher: _Person = _Person()
    sender: _Person = _Person()

    @property
    def head(self) -> _HeadCommit | None:
        """The newest commit. Gitea before 1.17 sends it only in the list."""
        return self.head_commit or next((commit for commit in self.commits if commit.id == self.after), None)


class _ReleaseEvent(Part):
    action: Text = ""
    release: Release
    sender: _Person = _Person()


class _End(Part):
    ref: RefName
    sha: Sha
    repo_id: int


class _Titled(Part):
    name: Text = ""
    title: Text = ""


class _PullRequest(Part):
    number: int
    title: Text = ""
    draft: bool = False
    html_url: Maybe = ""
    updated_at: Moment = 0
    user: _Person = _Person()
    labels: tuple[_Titled, ...] = ()
    milestone: _Titled | None = None
    head: _End
    base: _End


class _PullRequestEvent(Part):
    action: Text = ""
    pull_request: _PullRequest
    sender: _Person = _Person()


def _header(headers: Mapping[str, str], name: str) -> str:
    return headers.get(f"x-gitea-{name}") or headers.get(f"x-forgejo-{name}", "")


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """``X-Gitea-Signature`` or ``X-Forgejo-Signature``: hex, without a prefix."""
    return signed(_header(headers, "signature"), body, secret)


def delivery_key(headers: Mapping[str, str], body: bytes) -> str:  # noqa: ARG001 - headers are not signed
    """The body, which stays the same when a delivery is replayed."""
    return signed_key(body)


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """See ``Forge``. A new tag is sent as ``create`` and as ``push``: only the push starts a run."""
    match _header(headers, "event"):
        case "push":
            return _push(read(_Push, body))
        case "release":
            return _release(read(_ReleaseEvent, body))
        case event if event.startswith("pull_request") and event not in _COMMENTS:
            return _pull_request(read(_PullRequestEvent, body))
        case "ping":
            return ping(NAME)
        case event:
            return ignored(NAME, event)


_COMMENTS = frozenset(
    {
        "pull_request_comment",
        "pull_request_approved",
        "pull_request_rejected",
        "pull_request_review_approved",
        "pull_request_review_rejected",
        "pull_request_review_comment",
        "pull_request_review_request",
    },
)


def _push(push: _Push) -> Parsed:
    head = push.head
    commit = Commit()
    if head:
        commit = Commit(head.message, head.author.account, head.author.email, head.timestamp)
    if push.before == push.after:
        # Gitea's test of a webhook is a push of the newest commit. Building that could deploy it.
        return NothingToDo(f"{NAME} has tested the webhook, and it works. The next push starts a run.")
    sha = head.id if head and push.ref.startswith("refs/tags/") else push.after
    sender = push.sender.account or push.pusher.account
    return single(push_trigger(push.ref, sha, push.before, commit, sender=sender, url=push.compare_url))


def _release(event: _ReleaseEvent) -> Parsed:
    if event.action != "published":
        return ignored(NAME, f"release {event.action}")
    return (event.release.trigger(event.sender.account),)


def _pull_request(event: _PullRequestEvent) -> Parsed:
    pull = event.pull_request
    kind = PULL_REQUEST_ACTIONS.get(event.action)
    if kind is None:
        return ignored(NAME, f"pull_request {event.action}")
    pull_request = PullRequest(
        number=pull.number,
        title=pull.title,
        source_branch=pull.head.ref,
        target_branch=pull.base.ref,
        target_sha=pull.base.sha,
        from_fork=pull.head.repo_id != pull.base.repo_id,
        author_id=str(pull.user.id or ""),
        labels=tuple(label.name for label in pull.labels),
        milestone=pull.milestone.title if pull.milestone else "",
        draft=pull.draft,
    )
    return (
        pull_request_trigger(
            kind,
            pull_request,
            Commit(
                author=pull.user.account, author_email=pull.user.email, timestamp_s=pull.updated_at, sha=pull.head.sha
            ),
            ref=f"refs/pull/{pull.number}/head",
            reason=event.action if kind is Event.PULL_REQUEST_METADATA else "",
            sender=event.sender.account,
            url=pull.html_url,
        ),
    )


_DESCRIPTION_CHARS_MAX = 255


def report(home: Home, token: str, status: CommitStatus) -> Request:
    """A commit status."""
    api, path = api_and_path(home, "/api/v1")
    return Request(
        f"{api}/repos/{path}/statuses/{status.sha}",
        {"authorization": f"token {token}"},
        commit_status_body(status, _DESCRIPTION_CHARS_MAX),
    )


def setup_text(hook_url: str, secret: str) -> str:
    """See ``Forge``."""
    return f"""\
In the repository on Gitea or Forgejo: Settings, Webhooks, Add webhook, Gitea (or Forgejo).
  Target URL            {hook_url}
  HTTP method           POST
  POST content type     application/json
  Secret                {secret}
  Trigger on            Custom events: Push, Release, and under Pull request: opened, synchronized, labeled,
                        assigned, milestoned
If Gitea refuses to send to this address, add its host to ALLOWED_HOST_LIST under [webhook] in app.ini.
"""
