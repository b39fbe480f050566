"""From a payload to a trigger: builders for pushes, releases and pull requests, and answers that start no run."""

from dataclasses import dataclass

from pipelines.commit_id import is_full_id
from pipelines.trigger import Event, PullRequest, Trigger
from workers.forges.interface import NothingToDo, Parsed
from workers.forges.payload import Maybe, Part, RefName, clean_text


@dataclass(frozen=True)
class Commit:
    """What a forge sent about a commit."""

    message: str = ""
    author: str = ""
    author_email: str = ""
    timestamp_s: int = 0
    sha: str = ""


def push_trigger(
    ref: str, sha: str, before: str, commit: Commit, *, sender: str = "", url: str = ""
) -> Trigger | NothingToDo:
    """The trigger of a push to ``ref``, a branch or a tag. ``sha`` is its new commit, all zeros if it was deleted."""
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


def release_trigger(
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
    """The trigger of a release of ``tag``. ``branch`` is what the forge says it was made from: usually a branch."""
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


def pull_request_trigger(
    event: Event,
    pull_request: PullRequest,
    commit: Commit,
    *,
    ref: str,
    previous_sha: str = "",
    reason: str = "",
    sender: str = "",
    url: str = "",
) -> Trigger:
    """The trigger of a pull request. ``commit`` is its newest one, which ``ref`` names in the target's repository.

    ``previous_sha`` is the newest commit before that, and ``reason`` says what else changed, if the forge sends these.
    """
    return Trigger(
        event=event,
        event_reason=reason,
        sha=commit.sha,
        ref=ref,
        branch=pull_request.target_branch,
        previous_sha=previous_sha,
        message=commit.message or pull_request.title,
        author=commit.author,
        author_email=commit.author_email,
        timestamp_s=commit.timestamp_s,
        sender=sender,
        url=url,
        pull_request=pull_request,
    )


class Release(Part):
    """A release as GitHub and Gitea send it."""

    tag_name: RefName
    target_commitish: Maybe = ""
    name: Maybe = ""
    prerelease: bool = False
    html_url: Maybe = ""

    def trigger(self, sender: str) -> Trigger:
        """The trigger of this release. A worker asks git for its commit."""
        return release_trigger(
            self.tag_name,
            Commit(),
            branch=self.target_commitish,
            title=self.name,
            prerelease=self.prerelease,
            sender=sender,
            url=self.html_url,
        )


def single(outcome: Trigger | NothingToDo) -> Parsed:
    """The result of a delivery that can name only one ref."""
    return outcome if isinstance(outcome, NothingToDo) else (outcome,)


def is_zero(sha: str) -> bool:
    """True for the id that means "no commit": the ref is new, or was deleted."""
    return not sha.strip("0")


def deleted(what: str, name: str) -> NothingToDo:
    """The answer to a deletion."""
    return NothingToDo(f"The {what} {name} was deleted; there is nothing to build.")


def ping(forge: str) -> NothingToDo:
    """The answer to a forge that tests the webhook."""
    return NothingToDo(f"{forge} says hello: the webhook works. The next push starts a run.")


def ignored(forge: str, event: str) -> NothingToDo:
    """The answer to an event for which no pipeline can run."""
    named = f'the event "{clean_text(event)[:80]}"' if event else "a delivery that names no event"
    return NothingToDo(f"{forge} sent {named}; Headway acts on pushes, tags, releases, deployments and pull requests.")
