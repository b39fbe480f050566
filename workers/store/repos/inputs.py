"""The inputs that a branch's pipeline declares, as its newest run found them: for forms, and for early answers."""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from pipelines.inputs import DeclaredInput
from pipelines.trigger import Trigger
from workers.db.models import BranchInputs
from workers.store.common import insert_or


def put_branch_inputs(session: Session, repo_id: int, trigger: Trigger, declared: Iterable[DeclaredInput]) -> None:
    """Stores what the pipeline at the trigger's commit declares. Triggers of no branch change nothing."""
    if trigger.ref != f"refs/heads/{trigger.branch}" or trigger.pull_request is not None:
        return
    values = [each.model_dump(mode="json") for each in declared]
    if not values:
        session.execute(delete(BranchInputs).where(_is(repo_id, trigger.branch)))
        return
    row = {"sha": trigger.sha, "inputs": values}
    insert = insert_or(session, BranchInputs).values(repo_id=repo_id, branch=trigger.branch, **row)
    session.execute(insert.on_conflict_do_update(index_elements=["repo_id", "branch"], set_=row))


def branch_inputs(session: Session, repo_id: int, branch: str) -> Sequence[DeclaredInput]:
    """The inputs that the branch declared when it last ran."""
    return _inputs(session.scalars(select(BranchInputs).where(_is(repo_id, branch))).one_or_none())


def inputs_at(session: Session, repo_id: int, commit: str) -> Sequence[DeclaredInput]:
    """The inputs that the pipeline at this commit declares; empty as well if that is not known yet."""
    at_commit = BranchInputs.sha.startswith(commit, autoescape=True)
    query = select(BranchInputs).where(BranchInputs.repo_id == repo_id, at_commit).limit(1)
    return _inputs(session.scalars(query).one_or_none())


def _is(repo_id: int, branch: str) -> ColumnElement[bool]:
    return (BranchInputs.repo_id == repo_id) & (BranchInputs.branch == branch)


def _inputs(row: BranchInputs | None) -> Sequence[DeclaredInput]:
    return [DeclaredInput.model_validate(each) for each in row.inputs] if row else []
