"""Any git server, through a short ``post-receive`` hook; and any other sender that can sign a JSON body."""

import shlex
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from pipelines.trigger import Event, PullRequest
from workers.forges.interface import BadPayloadError, NothingToDo, Parsed
from workers.forges.payload import FullRef, Maybe, MaybeSha, Moment, Part, RefName, Sha, Text, read
from workers.forges.signatures import signed, signed_key
from workers.forges.status_request import CommitStatus, Home
from workers.forges.triggers import Commit, ignored, ping, pull_request_trigger, push_trigger, release_trigger, single

NAME = "The sender"
_HMAC_BLOCK_BYTES = 64
_ID_CHARS_MAX = 100

_EVENTS: Mapping[str, Event] = {
    "pull_request": Event.PULL_REQUEST,
    "pull_request_closed": Event.PULL_REQUEST_CLOSED,
    "pull_request_metadata": Event.PULL_REQUEST_METADATA,
}


class _Kind(Part):
    event: Text = "push"


class _Push(Part):
    ref: FullRef
    before: MaybeSha = ""
    after: Sha
    pusher: Maybe = ""
    message: Maybe = ""
    author: Maybe = ""
    author_email: Maybe = ""
    timestamp: Moment = 0
    url: Maybe = ""

    @property
    def commit(self) -> Commit:
        return Commit(self.message, self.author, self.author_email, self.timestamp, self.after)


class _Proposal(Part):
    number: int = Field(ge=1)
    title: Text = ""
    source_branch: RefName
    target_branch: RefName
    target_sha: MaybeSha = ""
    # A sender that does not say so is not trusted with secrets.
    from_fork: bool = True
    author_id: Annotated[str, BeforeValidator(str), StringConstraints(max_length=_ID_CHARS_MAX)] = ""
    labels: tuple[Text, ...] = ()
    milestone: Maybe = ""
    draft: bool = False


class _PullRequest(_Push):
    pull_request: _Proposal
    reason: Maybe = ""


class _Published(Part):
    title: Maybe = ""
    prerelease: bool = False


class _Release(_Push):
    release: _Published = _Published()


class _Deployment(_Push):
    target: Text
    task: Maybe = ""


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """``X-Headway-Signature``: ``sha256=`` and the hex digest."""
    return signed(headers.get("x-headway-signature", ""), body, secret)


def delivery_key(headers: Mapping[str, str], body: bytes) -> str:  # noqa: ARG001 - headers are not signed
    """The body. Its key ``delivery``, any text that the sender uses only once, makes each different."""
    return signed_key(body)


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:  # noqa: ARG001 - the body says it all
    """See ``Forge``. Without ``event`` the body is a push. Workers read message and author from git."""
    match read(_Kind, body).event:
        case "push" | "tag":
            return _push(read(_Push, body))
        case "release":
            return _release(read(_Release, body))
        case "deployment":
            return _deployment(read(_Deployment, body))
        case event if event in _EVENTS:
            return _pull_request(_EVENTS[event], read(_PullRequest, body))
        case "ping":
            return ping(NAME)
        case event:
            return ignored(NAME, event)


def _push(push: _Push) -> Parsed:
    return single(push_trigger(push.ref, push.after, push.before, push.commit, sender=push.pusher, url=push.url))


def _release(sent: _Release) -> Parsed:
    tag = sent.ref.removeprefix("refs/tags/")
    if tag == sent.ref:
        raise BadPayloadError("ref", "The field ref of a release must be a tag such as refs/tags/v1.0.")
    about = sent.release
    return (
        release_trigger(
            tag,
            sent.commit,
            sha=sent.after,
            title=about.title,
            prerelease=about.prerelease,
            sender=sent.pusher,
            url=sent.url,
        ),
    )


def _deployment(sent: _Deployment) -> Parsed:
    outcome = push_trigger(sent.ref, sent.after, sent.before, sent.commit, sender=sent.pusher, url=sent.url)
    if isinstance(outcome, NothingToDo):
        return outcome
    target = {"event": Event.DEPLOYMENT, "deploy_target": sent.target, "deploy_task": sent.task}
    return (outcome.model_copy(update=target),)


def _pull_request(kind: Event, sent: _PullRequest) -> Parsed:
    return (
        pull_request_trigger(
            kind,
            PullRequest(**sent.pull_request.model_dump()),
            sent.commit,
            ref=sent.ref,
            previous_sha=sent.before,
            reason=sent.reason,
            sender=sent.pusher,
            url=sent.url,
        ),
    )


def report(_home: Home, _token: str, _status: CommitStatus) -> None:
    """See ``Forge``. A plain git server has no commit statuses."""


def setup_text(hook_url: str, secret: str) -> str:
    """See ``Forge``."""
    return f"""\
For a plain git repository, save this as hooks/post-receive in the bare repository on the git server and make it
executable for its owner alone (chmod 700). It needs curl and openssl.

{hook_script(hook_url, secret)}
Anything else can call the webhook too: POST {hook_url}
with the JSON {{"ref": "refs/heads/main", "before": "<40 hex digits>", "after": "<40 hex digits>", "delivery": "<a new
text for each>"}} and the header X-Headway-Signature: sha256=<hex HMAC-SHA256 of the body>.
The secret is: {secret}
"""


def hook_script(hook_url: str, secret: str) -> str:
    """A ``post-receive`` hook in POSIX sh that tells Headway about every branch and tag of a push.

    It never makes a push fail, gives up after a few seconds, and prints the run's address to the person who pushes.
    """
    return (
        _HOOK.replace("@URL@", shlex.quote(hook_url))
        .replace("@INNER@", _pad(secret, 0x36))
        .replace("@OUTER@", _pad(secret, 0x5C))
    )


def _pad(secret: str, mask: int) -> str:
    """The inner or outer half of the HMAC key, as octal escapes for ``printf %b``."""
    key = secret.encode()
    if len(key) > _HMAC_BLOCK_BYTES:
        key = sha256(key).digest()
    return "".join(f"\\0{byte ^ mask:03o}" for byte in key.ljust(_HMAC_BLOCK_BYTES, b"\0"))


# Only ids and names are sent. Workers read message and author from git, so the shell need not quote them.
_HOOK = r"""#!/bin/sh
# post-receive: tells Headway about every branch and tag that was pushed. Never makes the push fail.
url=@URL@
# The webhook's secret as the two halves of an HMAC key: openssl takes a whole key only as an argument, which ps shows.
inner='@INNER@'
outer='@OUTER@'
text() { printf '%s' "$1" | tr -d '\000-\037\177' | sed 's/\\/\\\\/g; s/"/\\"/g'; }
while read -r before after ref; do
  case $ref in refs/heads/* | refs/tags/*) ;; *) continue ;; esac
  commit=$(git rev-parse -q --verify "$after^{commit}" 2>/dev/null) || commit=$after
  pusher=${GL_USERNAME:-${REMOTE_USER:-${LOGNAME:-}}}
  body="{\"ref\":\"$(text "$ref")\",\"before\":\"$before\",\"after\":\"$commit\",\"pusher\":\"$(text "$pusher")\""
  body="$body,\"delivery\":\"$(openssl rand -hex 16)\"}"
  digest=$({ printf '%b' "$outer"; { printf '%b' "$inner"; printf '%s' "$body"; } |
    openssl dgst -sha256 -binary; } | openssl dgst -sha256 -r | cut -d ' ' -f 1)
  answer=$(printf '%s' "$body" | curl -sS --connect-timeout 3 --max-time 10 --retry 2 --data-binary @- \
    -H 'Content-Type: application/json' -H 'Accept: text/plain' \
    -H "X-Headway-Signature: sha256=$digest" "$url" 2>&1)
  printf 'Headway: %s\n' "${answer:-no answer from $url}"
done
exit 0
"""
