"""What a trigger may use. This is the only place that decides it: every other module asks ``permissions``."""

from dataclasses import dataclass

from pipelines.context import Trust
from pipelines.trigger import Trigger


@dataclass(frozen=True)
class Permissions:
    """What the jobs of one trigger may use.

    Without ``push`` a job pushes no image and no build cache, and its builds share no cache.
    ``secrets`` is for those secrets that are meant for the trigger's event. Without ``registry_logins`` a job can
    neither pull a private image nor push one. ``clone_login`` is for what a checkout fetches besides the commit:
    submodules and large files on the repository's own host. ``proxy_logins`` is for the user and password in the
    addresses of a company's proxies. ``host_options`` are the options of containers that reach the host: privileged
    mode, volumes, network settings. Jobs share a concurrency group only with jobs of the same ``group_scope``.
    """

    secrets: bool
    push: bool
    registry_logins: bool
    clone_login: bool
    proxy_logins: bool
    host_options: Trust
    group_scope: str


def permissions(trigger: Trigger, repo_trust: Trust) -> Permissions:
    """What the jobs of this trigger may use. ``repo_trust`` is what an administrator allows the repository.

    The author of a pull request from a fork may be anybody and can change the pipeline file. So it gets no secret and
    no login: it could print them, or push an image. Its concurrency groups are its own: it must neither delay nor
    cancel a deployment.
    """
    trusted = not _from_fork(trigger)
    return Permissions(
        secrets=trusted,
        push=trusted,
        registry_logins=trusted,
        clone_login=trusted,
        proxy_logins=trusted,
        host_options=repo_trust,
        group_scope="" if trusted else trigger.ref,
    )


def _from_fork(trigger: Trigger) -> bool:
    """True for a pull request whose source branch is in another repository."""
    return trigger.pull_request is not None and trigger.pull_request.from_fork
