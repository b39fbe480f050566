"""What a trigger may use, and whether it may run at all. This is the only place that decides it."""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.context import Access, Trust
from pipelines.trigger import Event, Trigger


@dataclass(frozen=True)
class Permissions:
    """What the jobs of one trigger may use.

    ``secrets`` is for those secrets that are meant for the trigger's event. Without ``registry_logins`` a job can
    neither pull a private image nor push one. ``clone_login`` is for what a checkout fetches besides the commit:
    submodules and large files on the repository's own host. ``proxy_logins`` is for the user and password in the
    addresses of a company's proxies. ``access`` has what reaches the host, and what is written to where others read:
    registries and shared caches. Jobs share a concurrency group only with jobs of the same ``group_scope``.
    """

    secrets: bool
    registry_logins: bool
    clone_login: bool
    proxy_logins: bool
    access: Access
    group_scope: str


def permissions(trigger: Trigger, repo_trust: Trust, *, on_branch: bool) -> Permissions:
    """What the jobs of this trigger may use. ``repo_trust`` is what an administrator allows the repository.

    ``on_branch`` is what a worker has found out from git: a branch or tag of the repository itself has the commit.

    The author of an untrusted commit may have no account here and can change the pipeline file. So it gets no secret
    and no login: it could print them, or push an image. It reaches nothing of the host. Its concurrency groups are its
    own: it must neither delay nor cancel a deployment.
    """
    untrusted = why_untrusted(trigger, on_branch=on_branch)
    trusted = not untrusted
    return Permissions(
        secrets=trusted,
        registry_logins=trusted,
        clone_login=trusted,
        proxy_logins=trusted,
        access=Access(repo_trust if trusted else Trust(), push=trusted, shared_caches=trusted, untrusted=untrusted),
        group_scope="" if trusted else trigger.ref,
    )


def why_untrusted(trigger: Trigger, *, on_branch: bool) -> str:
    """Why the trigger is untrusted, as the end of a sentence; empty for a trusted one."""
    if trigger.sent_tree is not None:
        return "it was sent from a working tree, and is no commit of the repository"
    if trigger.pull_request is not None and trigger.pull_request.from_fork:
        return "it comes from a fork"
    if on_branch:
        return ""
    if tag := required_tag(trigger):
        return f"the tag {tag} of the repository does not contain its commit"
    return "no branch or tag of the repository contains its commit"


def required_tag(trigger: Trigger) -> str:
    """The tag that must contain the commit of a tag or release: its secrets are for what was tagged."""
    return trigger.tag if trigger.event in {Event.TAG, Event.RELEASE} else ""


class UntrustedRuns(StrEnum):
    """What happens to untrusted runs of a repository: they wait for approval, run at once, or never run."""

    APPROVE = "approve"
    RUN = "run"
    NEVER = "never"


class PipelineFrom(StrEnum):
    """Where untrusted runs have their pipeline file from: their own commit, or the branch that they would change."""

    COMMIT = "commit"
    BASE = "base"


class Admission(StrEnum):
    """Whether a run may go on, waits for approval, or is refused."""

    RUN = "run"
    HOLD = "hold"
    REFUSE = "refuse"


def admission(trigger: Trigger, policy: UntrustedRuns, *, on_branch: bool, approved: bool) -> Admission:
    """Whether the run may go on. ``approved``: a maintainer has approved this commit of this author.

    An approved run is still untrusted: approval is about running at all. To give it secrets, push its commit to a
    branch of the repository. A sent tree needs no approval: who sends one may start runs here.
    """
    if not why_untrusted(trigger, on_branch=on_branch) or policy is UntrustedRuns.RUN:
        return Admission.RUN
    if policy is UntrustedRuns.NEVER:
        return Admission.REFUSE
    author_may = trigger.pull_request is not None and trigger.pull_request.author_may_write
    return Admission.RUN if approved or author_may or trigger.sent_tree is not None else Admission.HOLD


def admission_when_queued(trigger: Trigger, policy: UntrustedRuns) -> Admission:
    """What is certain before a worker has asked git where the commit is: about forks' pull requests and sent trees."""
    return admission(trigger, policy, on_branch=True, approved=False)


def refusal(untrusted: str) -> str:
    """Why a run is refused, and what to do."""
    hint = "push the commit to a branch of the repository, or change the setting with `headway repo untrusted`"
    return f"this repository does not run what is untrusted: {untrusted}; {hint}"
