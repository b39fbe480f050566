"""Bitbucket Cloud."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import StringConstraints

from pipelines.commit_id import ANY_ID, NO_COMMIT
from pipelines.state import State
from pipelines.trigger import Event, PullRequest, Trigger
from workers.forges.interface import NothingToDo, Parsed
from workers.forges.payload import Maybe, Moment, Part, RefName, Sha, Text, read
from workers.forges.signatures import signed, signed_key
from workers.forges.status_request import CommitStatus, Home, Request, api_and_path, short
from workers.forges.triggers import Commit, deleted, ignored, ping, pull_request_trigger, push_trigger

NAME = "Bitbucket"

PULL_REQUEST_EVENTS: Mapping[str, Event] = {
    "pullrequest:created": Event.PULL_REQUEST,
    "pullrequest:updated": Event.PULL_REQUEST,
    "pullrequest:fulfilled": Event.PULL_REQUEST_CLOSED,
    "pullrequest:rejected": Event.PULL_REQUEST_CLOSED,
}


class _Account(Part):
    nickname: Maybe = ""
    display_name: Maybe = ""

    @property
    def account(self) -> str:
        return self.nickname or self.display_name


class _Author(Part):
    raw: Text = ""
    user: _Account | None = None


class _Target(Part):
    hash: Sha
    message: Text = ""
    date: Moment = 0
    author: _Author = _Author()


class _Ref(Part):
    type: Text
    name: RefName
    target: _Target


class _Link(Part):
    href: Maybe = ""


class _Links(Part):
    html: _Link = _Link()


class _Change(Part):
    new: _Ref | None = None
    old: _Ref | None = None
    links: _Links = _Links()


class _Changes(Part):
    changes: tuple[_Change, ...] = ()


class _Push(Part):
    actor: _Account = _Account()
    push: _Changes


class _Repository(Part):
    uuid: Text


class _Branch(Part):
    name: RefName


class _ShortCommit(Part):
    # Bitbucket abbreviates the commits of pull requests, mostly to 12 digits.
    hash: Annotated[str, StringConstraints(pattern=rf"^{ANY_ID}$")]


class _End(Part):
    branch: _Branch
    commit: _ShortCommit | None = None
    # Null where the fork was deleted since.
    repository: _Repository | None = None


class _PullRequest(Part):
    id: int
    title: Text = ""
    state: Literal["OPEN", "MERGED", "DECLINED", "SUPERSEDED"] = "OPEN"
    draft: bool = False
    updated_on: Moment = 0
    author: _Account = _Account()
    source: _End
    destination: _End
    links: _Links = _Links()


class _PullRequestEvent(Part):
    actor: _Account = _Account()
    pullrequest: _PullRequest


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """``X-Hub-Signature``: ``sha256=`` and the hex digest."""
    return signed(headers.get("x-hub-signature", ""), body, secret)


def delivery_key(headers: Mapping[str, str], body: bytes) -> str:  # noqa: ARG001 - headers are not signed
    """The body, which stays the same when a delivery is sent again."""
    return signed_key(body)


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """See ``Forge``. One delivery may name several refs: a branch pushed with its tags is one delivery."""
    match headers.get("x-event-key", ""):
        case "repo:push":
            return _push(read(_Push, body))
        case event if event in PULL_REQUEST_EVENTS:
            return _pull_request(PULL_REQUEST_EVENTS[event], read(_PullRequestEvent, body))
        case "diagnostics:ping":
            return ping(NAME)
        case event:
            return ignored(NAME, event)


def _push(push: _Push) -> Parsed:
    outcomes = [_change(change, push.actor.account) for change in push.push.changes]
    triggers = tuple(outcome for outcome in outcomes if isinstance(outcome, Trigger))
    if triggers:
        return triggers
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, NothingToDo)]
    return NothingToDo(" ".join(reasons) or "The push changed no branch and no tag.")


def _change(change: _Change, sender: str) -> Trigger | NothingToDo:
    ref = change.new
    if ref is None:
        return deleted(change.old.type, change.old.name) if change.old else NothingToDo("The push changed nothing.")
    full_name = f"refs/tags/{ref.name}" if ref.type == "tag" else f"refs/heads/{ref.name}"
    target = ref.target
    user = target.author.user
    name, _, rest = target.author.raw.partition(" <")
    commit = Commit(target.message, user.account if user else name, rest.rstrip(">"), target.date)
    before = change.old.target.hash if change.old else NO_COMMIT
    return push_trigger(full_name, target.hash, before, commit, sender=sender, url=change.links.html.href)


def _pull_request(kind: Event, event: _PullRequestEvent) -> Parsed:
    pull = event.pullrequest
    source, target = pull.source, pull.destination
    if source.repository is None or target.repository is None or source.repository.uuid != target.repository.uuid:
        return NothingToDo(
            f"Pull request {pull.id} comes from a fork, and Bitbucket does not offer a fork's commits in the "
            "target repository: there is nothing to fetch.",
        )
    if source.commit is None:
        return NothingToDo(f"The source branch of pull request {pull.id} is gone.")
    pull_request = PullRequest(
        number=pull.id,
        title=pull.title,
        source_branch=source.branch.name,
        target_branch=target.branch.name,
        from_fork=False,
        draft=pull.draft,
    )
    return (
        pull_request_trigger(
            kind,
            pull_request,
            Commit(author=pull.author.account, timestamp_s=pull.updated_on, sha=source.commit.hash),
            # Bitbucket has no refs for pull requests.
            ref=f"refs/heads/{source.branch.name}",
            sender=event.actor.account,
            url=pull.links.html.href,
        ),
    )


_DESCRIPTION_CHARS_MAX = 255
_KEY_CHARS_MAX = 40
_DIGEST_CHARS = 8
_API = {"https://bitbucket.org": "https://api.bitbucket.org/2.0"}
_STATES: Mapping[State, str] = {
    State.QUEUED: "INPROGRESS",
    State.RUNNING: "INPROGRESS",
    State.PASSED: "SUCCESSFUL",
    State.FAILED: "FAILED",
    State.BROKEN: "FAILED",
    State.CANCELED: "STOPPED",
    State.SKIPPED: "STOPPED",
}


def report(home: Home, token: str, status: CommitStatus) -> Request:
    """A build status. A token of the form ``user:token`` is a person's, any other the repository's own."""
    api, path = api_and_path(home, "/2.0", _API)
    basic = b64encode(token.encode()).decode()
    body = {
        "state": _STATES[status.state],
        "key": _key(status.context),
        "name": status.context,
        "description": short(status.sentence, _DESCRIPTION_CHARS_MAX),
        "url": status.url,
    }
    return Request(
        f"{api}/repositories/{path}/commit/{status.sha}/statuses/build",
        {"authorization": f"Basic {basic}" if ":" in token else f"Bearer {token}"},
        body | ({"refname": status.branch} if status.branch else {}),
    )


def _key(context: str) -> str:
    """The key of a status. Bitbucket allows 40 characters: a longer context is cut, and a hash keeps it unique."""
    if len(context) <= _KEY_CHARS_MAX:
        return context
    digest = sha256(context.encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{context[: _KEY_CHARS_MAX - _DIGEST_CHARS - 1]}-{digest}"


def setup_text(hook_url: str, secret: str) -> str:
    """See ``Forge``."""
    return f"""\
In the repository on Bitbucket: Repository settings, Webhooks, Add webhook.
  URL        {hook_url}
  Secret     {secret}
  Triggers   Repository: Push; Pull request: Created, Updated, Merged, Declined
"""
