"""Inputs of a run: which ones a branch declares, and answers that need not wait for the run to be planned."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from pipelines import inputs
from pipelines.inputs import DeclaredInput
from pipelines.trigger import Trigger
from web.operations.errors import InvalidInputError
from web.operations.lookup import repo_named
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.db.roles import Role
from workers.db.session import reading


def inputs_of(services: OperationServices, actor: Actor, repo_name: str, branch: str) -> Sequence[DeclaredInput]:
    """The inputs that the branch declared when it last ran; by default the default branch. Raises NotFoundError."""
    with reading(services.engine) as session:
        repo = repo_named(session, actor, repo_name, Role.READ)
        return store.branch_inputs(session, repo.id, branch or repo.default_branch)


def check_at_commit(session: Session, repo_id: int, trigger: Trigger) -> None:
    """Raises InvalidInputError where the commit's pipeline is known and does not take these inputs.

    For a branch it is not known, because the next commit may declare others: then the run says so when it is planned.
    """
    declared = store.inputs_at(session, repo_id, trigger.sha) if trigger.sha and trigger.inputs else ()
    if not declared:
        return
    wrong = [sentence for _, sentence in inputs.wrong_values(declared, trigger.inputs)]
    if not trigger.inputs_by_admin:
        unknown = inputs.undeclared_inputs([each.name for each in declared], trigger.inputs)
        wrong += [f"{sentence}; {hint}" for sentence, hint in unknown]
    if wrong:
        raise InvalidInputError(f"{wrong[0][:1].upper()}{wrong[0][1:].rstrip('?')}.")
