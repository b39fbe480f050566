"""Whether the branch or tag of a run that a person asks for exists: known before a worker asks git."""

from pipelines.syntax.diagnostics import did_you_mean
from web.operations.errors import InvalidInputError
from web.operations.lookup import repo_named
from web.security.access import Actor
from web.services import OperationServices
from workers.db.roles import Role
from workers.db.session import reading
from workers.store.runs.known_refs import names_instead
from workers.triggers.manual import ManualRun


class UnknownRefError(InvalidInputError):
    """No such branch or tag was there when Headway looked last. It may have been pushed since."""


def check_ref_exists(services: OperationServices, actor: Actor, repo_name: str, asked: ManualRun) -> None:
    """Raises UnknownRefError for a branch or tag that is not there, and NotFoundError and ForbiddenError."""
    noun, name = ("tag", asked.tag) if asked.tag else ("branch", asked.branch)
    if not name or (asked.tag and asked.branch):
        return  # the default branch; or two names, which the request itself is refused for
    prefix = "refs/tags/" if asked.tag else "refs/heads/"
    with reading(services.engine) as session:
        repo = repo_named(session, actor, repo_name, Role.WRITE)
        known = names_instead(session, repo, f"{prefix}{name}")
    if known is None:
        return
    near = did_you_mean(name, [ref.removeprefix(prefix) for ref in known])
    hint = f" {near[0].upper()}{near[1:]}" if near else ""
    raise UnknownRefError(
        f"There was no {noun} named {name[:80]} when Headway looked at the repository last.{hint} "
        "If it was pushed just now, start the run anyway."
    )
