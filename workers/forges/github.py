"""GitHub, and GitHub Enterprise."""

from collections.abc import Mapping

from pipelines.commit_id import ABBREVIATED_DIGITS_MIN
from pipelines.trigger import Event, PullRequest, Trigger
from workers.forges.interface import Parsed
from workers.forges.payload import FullRef, Maybe, MaybeSha, Moment, Part, RefName, Sha, Text, read
from workers.forges.signatures import signed, signed_key
from workers.forges.status_request import CommitStatus, Home, Request, api_and_path, commit_status_body
from workers.forges.triggers import Commit, Release, ignored, ping, pull_request_trigger, push_trigger, single

NAME = "GitHub"

PULL_REQUEST_ACTIONS: Mapping[str, Event] = {
    "opened": Event.PULL_REQUEST,
    "synchronize": Event.PULL_REQUEST,
    "reopened": Event.PULL_REQUEST,
    "closed": Event.PULL_REQUEST_CLOSED,
    "labeled": Event.PULL_REQUEST_METADATA,
    "unlabeled": Event.PULL_REQUEST_METADATA,
    "milestoned": Event.PULL_REQUEST_METADATA,
    "demilestoned": Event.PULL_REQUEST_METADATA,
    "assigned": Event.PULL_REQUEST_METADATA,
    "unassigned": Event.PULL_REQUEST_METADATA,
    "edited": Event.PULL_REQUEST_METADATA,
    "ready_for_review": Event.PULL_REQUEST_METADATA,
    "converted_to_draft": Event.PULL_REQUEST_METADATA,
}

_WRITERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
# Other actions bring no commit: the newest one may be by another user than the sender.
_BRINGS_COMMITS = frozenset({"opened", "synchronize"})


class _Person(Part):
    id: int = 0
    name: Maybe = ""
    email: Maybe = ""
    username: Maybe = ""
    login: Maybe = ""


class _HeadCommit(Part):
    id: Sha
    message: Text = ""
    timestamp: Moment = 0
    author: _Person = _Person()


class _Push(Part):
    ref: FullRef
    before: Sha
    after: Sha
    compare: Maybe = ""
    head_commit: _HeadCommit | None = None
    pusher: _Person = _Person()
    sender: _Person = _Person()


class _Repository(Part):
    id: int
    owner: _Person = _Person()


class _ReleaseEvent(Part):
    action: Text = ""
    release: Release
    sender: _Person = _Person()


class _Deployment(Part):
    sha: Sha
    # A branch, a tag or a commit, as the deployment was requested. Of a bare name a worker asks git which it is.
    ref: RefName
    task: Maybe = ""
    environment: Maybe = ""


class _Deployed(Part):
    default_branch: RefName
    html_url: Maybe = ""


class _DeploymentEvent(Part):
    deployment: _Deployment
    repository: _Deployed
    sender: _Person = _Person()


class _End(Part):
    ref: RefName
    sha: Sha
    # Null where the fork was deleted since.
    repo: _Repository | None = None


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
    author_association: Maybe = ""
    labels: tuple[_Titled, ...] = ()
    milestone: _Titled | None = None
    head: _End
    base: _End


class _PullRequestEvent(Part):
    action: Text = ""
    before: MaybeSha = ""
    pull_request: _PullRequest
    sender: _Person = _Person()


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """``X-Hub-Signature-256``. The older SHA-1 signature is not accepted."""
    return signed(headers.get("x-hub-signature-256", ""), body, secret)


def delivery_key(headers: Mapping[str, str], body: bytes) -> str:  # noqa: ARG001 - headers are not signed
    """The body, which stays the same when a delivery is sent again."""
    return signed_key(body)


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """See ``Forge``. ``create`` and ``delete`` start no run: GitHub sends a push for them too."""
    match headers.get("x-github-event", ""):
        case "push":
            return _push(read(_Push, body))
        case "release":
            return _release(read(_ReleaseEvent, body))
        case "deployment":
            return _deployment(read(_DeploymentEvent, body))
        case "pull_request":
            return _pull_request(read(_PullRequestEvent, body))
        case "ping":
            return ping(NAME)
        case event:
            return ignored(NAME, event)


def _push(push: _Push) -> Parsed:
    head = push.head_commit
    commit = Commit()
    if head:
        commit = Commit(head.message, head.author.username or head.author.name, head.author.email, head.timestamp)
    # ``after`` of an annotated tag is the tag object; the commit under it is the head commit.
    sha = head.id if head and push.ref.startswith("refs/tags/") else push.after
    sender = push.sender.login or push.pusher.name
    return single(push_trigger(push.ref, sha, push.before, commit, sender=sender, url=push.compare))


def _release(event: _ReleaseEvent) -> Parsed:
    # One publication sends several actions; only this one is sent for pre-releases too.
    if event.action != "published":
        return ignored(NAME, f"release {event.action}")
    return (event.release.trigger(event.sender.login),)


def _deployment(event: _DeploymentEvent) -> Parsed:
    asked, repository = event.deployment, event.repository
    of_commit = len(asked.ref) >= ABBREVIATED_DIGITS_MIN and asked.sha.startswith(asked.ref)
    name = repository.default_branch if of_commit else asked.ref
    ref = name if name.startswith("refs/") else f"refs/heads/{name}"
    return (
        Trigger(
            event=Event.DEPLOYMENT,
            sha=asked.sha,
            ref=ref,
            branch=ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else "",
            tag=ref.removeprefix("refs/tags/") if ref.startswith("refs/tags/") else "",
            sender=event.sender.login,
            url=f"{repository.html_url}/deployments" if repository.html_url else "",
            deploy_target=asked.environment,
            deploy_task=asked.task,
        ),
    )


def _pull_request(event: _PullRequestEvent) -> Parsed:
    pull = event.pull_request
    kind = PULL_REQUEST_ACTIONS.get(event.action)
    if kind is None:
        return ignored(NAME, f"pull_request {event.action}")
    # By id: after a repository is renamed, another one can take its name.
    from_fork = pull.head.repo is None or pull.base.repo is None or pull.head.repo.id != pull.base.repo.id
    pull_request = PullRequest(
        number=pull.number,
        title=pull.title,
        source_branch=pull.head.ref,
        target_branch=pull.base.ref,
        target_sha=pull.base.sha,
        from_fork=from_fork,
        author_id=str(pull.user.id or ""),
        author_may_write=_author_may_write(event),
        labels=tuple(label.name for label in pull.labels),
        milestone=pull.milestone.title if pull.milestone else "",
        draft=pull.draft,
    )
    return (
        pull_request_trigger(
            kind,
            pull_request,
            Commit(author=pull.user.login, timestamp_s=pull.updated_at, sha=pull.head.sha),
            ref=f"refs/pull/{pull.number}/head",
            previous_sha=event.before,
            reason=_reason(event.action) if kind is Event.PULL_REQUEST_METADATA else "",
            sender=event.sender.login,
            url=pull.html_url,
        ),
    )


def _author_may_write(event: _PullRequestEvent) -> bool:
    """True if GitHub calls the author one of the repository's people, and the author sent the commit to a fork of its
    own.

    A branch in a fork may be pushed to by others than the author of the pull request: GitHub says nothing about them.
    """
    pull, author = event.pull_request, event.pull_request.user.id
    if not author or event.action not in _BRINGS_COMMITS or pull.head.repo is None:
        return False
    return author == event.sender.id == pull.head.repo.owner.id and pull.author_association in _WRITERS


def _reason(action: str) -> str:
    """What changed, in the word that all forges share, if there is one."""
    return "label_updated" if action in {"labeled", "unlabeled"} else action


_DESCRIPTION_CHARS_MAX = 140
_API = {"https://github.com": "https://api.github.com"}


def report(home: Home, token: str, status: CommitStatus) -> Request:
    """A commit status. A check run would need a GitHub App."""
    api, path = api_and_path(home, "/api/v3", _API)
    return Request(
        f"{api}/repos/{path}/statuses/{status.sha}",
        {"authorization": f"Bearer {token}", "accept": "application/vnd.github+json"},
        commit_status_body(status, _DESCRIPTION_CHARS_MAX),
    )


def setup_text(hook_url: str, secret: str) -> str:
    """See ``Forge``."""
    return f"""\
In the repository on GitHub: Settings, Webhooks, Add webhook.
  Payload URL    {hook_url}
  Content type   application/json
  Secret         {secret}
  Events         "Let me select individual events": Pushes, Pull requests, Releases, Deployments
"""
