"""What the forges share: signatures, strict reading of payloads, and the words for what came of one."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from pipelines.commit_id import FULL_ID, is_full_id
from pipelines.trigger import Event, Trigger
from workers.forges.status_request import CommitStatus, Home, Request

# One environment string may hold 128 KiB; a message is at most 4 bytes a character and must fit with its name.
TEXT_CHARS_MAX = 16_384
REF_CHARS_MAX = 1_024
DELIVERY_KEY_CHARS_MAX = 200
_FORBIDDEN_IN_REFS = frozenset(" ~^:?*[\\\x7f") | {chr(code) for code in range(32)}


@dataclass(frozen=True)
class NothingToDo:
    """A genuine delivery that starts no run. ``reason`` is a sentence for people, kept on the delivery."""

    reason: str


class BadPayloadError(ValueError):
    """The payload is not what its forge sends. ``field`` is the dotted path of the first offending field."""

    def __init__(self, field: str, sentence: str) -> None:
        self.field = field
        self.sentence = sentence
        super().__init__(f"{field}: {sentence}")


Parsed = tuple[Trigger, ...] | NothingToDo


class Forge(Protocol):
    """One kind of sender. ``headers`` is looked up with lower-case names; ``body`` is the raw body as it came.

    Each module of this package is one, registered in ``FORGES``.
    """

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        """Whether the sender knows ``secret``; takes the same time whatever is wrong."""

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        """What happened: mostly one trigger, several where one delivery names several refs. Raises BadPayloadError."""

    def delivery_key(self, headers: Mapping[str, str], body: bytes) -> str:
        """The same text when the forge sends the same delivery again, and another for every other delivery."""

    def report(self, home: Home, token: str, status: CommitStatus) -> Request | None:
        """How to tell the forge; None where there is nobody to tell. Raises NoForgeError."""

    def setup_text(self, hook_url: str, secret: str) -> str:
        """What a person pastes where, so that the forge sends its deliveries here."""


def hmac_hex(secret: str, body: bytes) -> str:
    """HMAC-SHA256 of the raw body, as the forges write it."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Equality in constant time. An empty ``expected`` equals nothing: a repository without a secret is closed."""
    return bool(expected) and hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def signed(given: str, body: bytes, secret: str) -> bool:
    """Whether ``given`` (with or without ``sha256=``) is the HMAC of the body under ``secret``."""
    return same(given.removeprefix("sha256="), hmac_hex(secret, body)) and bool(secret)


def key_of(header: str, body: bytes) -> str:
    """A delivery's key from the forge's own id, or from the body where the forge gave none."""
    if header and len(header) <= DELIVERY_KEY_CHARS_MAX and header.isascii() and header.isprintable():
        return header
    return "body-" + hashlib.sha256(header.encode(errors="replace") + b"\0" + body).hexdigest()


def _clean(value: str) -> str:
    # PostgreSQL's text and the environment of a process cannot hold NUL.
    return value.replace("\0", "\ufffd")[:TEXT_CHARS_MAX]


def allowed_ref(value: str) -> str:
    """The name of a branch, a tag or a ref. Raises ValueError where git would not allow it."""
    if not 0 < len(value) <= REF_CHARS_MAX:
        raise ValueError(f"must have 1 to {REF_CHARS_MAX} characters")
    parts = value.split("/")
    broken = ".." in value or "@{" in value or not _FORBIDDEN_IN_REFS.isdisjoint(value)
    if broken or any(not part or part.startswith(".") or part.endswith((".lock", ".")) for part in parts):
        raise ValueError("is not a name that git allows")
    return value


def _full_ref(value: str) -> str:
    if not value.startswith("refs/"):
        raise ValueError("must be a full ref name such as refs/heads/main")
    return allowed_ref(value)


def _seconds(value: object) -> int:
    """Unix time of an ISO date; 0 where the forge wrote something else, for nothing depends on it."""
    if isinstance(value, int):
        return value
    try:
        return int(datetime.fromisoformat(str(value)).timestamp())
    except ValueError:
        return 0


Text = Annotated[str, AfterValidator(_clean)]
Maybe = Annotated[str, BeforeValidator(lambda value: "" if value is None else value), AfterValidator(_clean)]
"""Text that forges also send as null."""
RefName = Annotated[str, AfterValidator(allowed_ref)]
FullRef = Annotated[str, AfterValidator(_full_ref)]
Sha = Annotated[str, StringConstraints(pattern=rf"^({FULL_ID})$")]
MaybeSha = Annotated[
    str,
    BeforeValidator(lambda value: value or ""),
    StringConstraints(pattern=rf"^({FULL_ID})?$"),
]
Moment = Annotated[int, BeforeValidator(_seconds)]


class Part(BaseModel):
    """The fields that we read of one object in a payload; forges may add others at any time."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Model = TypeVar("Model", bound=Part)


def read(model: type[Model], body: bytes) -> Model:
    """The payload, or BadPayloadError naming the first field that is missing or unusable."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "json_invalid":
            sentence = "The body is not JSON. In the webhook's settings, choose the content type application/json."
            raise BadPayloadError("body", sentence)
        case "missing":
            raise BadPayloadError(field, f"The payload has no field {field}, which this event always has.")
        case "string_pattern_mismatch":
            raise BadPayloadError(field, f"The field {field} must be a commit id: 40 or 64 hex digits in lower case.")
        case _:
            said = first["msg"].removeprefix("Value error, ")
            raise BadPayloadError(field or "body", f"The field {field or 'body'} cannot be used: {said}.")


@dataclass(frozen=True)
class Commit:
    """What a forge says about the commit at the tip of a push."""

    message: str = ""
    author: str = ""
    author_email: str = ""
    timestamp_s: int = 0


def pushed(
    ref: str, sha: str, before: str, commit: Commit, *, sender: str = "", url: str = ""
) -> Trigger | NothingToDo:
    """The trigger of a push to ``ref``: a branch or a tag that is now at ``sha``, or was deleted (all zeros)."""
    kind, _, name = ref.removeprefix("refs/").partition("/")
    if kind not in {"heads", "tags"} or not name:
        return NothingToDo(f"Only branches and tags are built, and {ref} is neither.")
    if is_zero(sha):
        return deleted("tag" if kind == "tags" else "branch", name)
    return Trigger(
        event=Event.TAG if kind == "tags" else Event.PUSH,
        sha=sha,
        ref=ref,
        branch=name if kind == "heads" else "",
        tag=name if kind == "tags" else "",
        previous_sha="" if is_zero(before) else before,
        message=commit.message,
        author=commit.author or sender,
        author_email=commit.author_email,
        timestamp_s=commit.timestamp_s,
        sender=sender,
        url=url,
    )


def released(
    tag: str,
    commit: Commit,
    *,
    branch: str = "",
    sha: str = "",
    title: str = "",
    prerelease: bool = False,
    sender: str = "",
    url: str = "",
) -> Trigger:
    """The trigger of a release of ``tag``. ``branch`` is what the forge says that it was made from, mostly a branch."""
    return Trigger(
        event=Event.RELEASE,
        sha=sha,
        ref=f"refs/tags/{tag}",
        branch="" if is_full_id(branch) else branch,
        tag=tag,
        message=commit.message,
        author=commit.author,
        author_email=commit.author_email,
        timestamp_s=commit.timestamp_s,
        sender=sender,
        url=url,
        release_title=title or tag,
        prerelease=prerelease,
    )


class Release(Part):
    """A release as GitHub and Gitea send it."""

    tag_name: RefName
    target_commitish: Maybe = ""
    name: Maybe = ""
    prerelease: bool = False
    html_url: Maybe = ""

    def trigger(self, sender: str) -> Trigger:
        """What the release starts; its commit is for git to tell."""
        return released(
            self.tag_name,
            Commit(),
            branch=self.target_commitish,
            title=self.name,
            prerelease=self.prerelease,
            sender=sender,
            url=self.html_url,
        )


def alone(outcome: Trigger | NothingToDo) -> Parsed:
    """What came of a delivery that can name only one ref."""
    return outcome if isinstance(outcome, NothingToDo) else (outcome,)


def is_zero(sha: str) -> bool:
    """True for the id that means "no commit": the ref is new, or gone."""
    return not sha.strip("0")


def deleted(what: str, name: str) -> NothingToDo:
    """The answer to a deletion."""
    return NothingToDo(f"The {what} {name} was deleted; there is nothing to build.")


def ping(forge: str) -> NothingToDo:
    """The answer to a forge that tries the webhook."""
    return NothingToDo(f"{forge} says hello: the webhook works. The next push starts a run.")


def ignored(forge: str, event: str) -> NothingToDo:
    """The answer to an event that no pipeline can ask for."""
    named = f'the event "{_clean(event)[:80]}"' if event else "a delivery that names no event"
    return NothingToDo(f"{forge} sent {named}; Headway acts on pushes, tags, releases, deployments and pull requests.")
