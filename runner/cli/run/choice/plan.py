"""The plan of ``headway run``: compiled for the trigger that its options say, and the part of it that they name."""

from collections.abc import Iterator, Sequence

from pipelines.commit_id import NO_COMMIT
from pipelines.compiler.default_plan import dockerfile_plan
from pipelines.context import forge_url_of
from pipelines.plan import Plan
from pipelines.state import Reason
from pipelines.trigger import Event, Trigger
from runner.cli.fragments import fragments_of
from runner.cli.run.choice.jobs import selected
from runner.cli.run.choice.like import note_of
from runner.cli.run.choice.steps import started_from, with_steps
from runner.cli.run.options import RunOptions
from runner.errors import StepError
from runner.source.git.git import GitError
from runner.source.working_tree import WorkingTree


def plan_for(tree: WorkingTree, options: RunOptions) -> Plan:
    """The jobs and steps that these options ask for. Raises InvalidPipelineError, and StepError."""
    plan = plan_of(tree, options)
    plan = selected(plan, options.workflows, options.cells)
    if options.first_step:
        plan = started_from(plan, options.first_step)
    return with_steps(plan, options.steps, alone=bool(options.workflows)) if options.steps else plan


def notes_of(tree: WorkingTree, options: RunOptions) -> Iterator[str]:
    """Sentences about what a run of this tree with these options lacks, or has from elsewhere."""
    yield from tree.notes(options.branch or options.tag or options.like)
    if options.trigger:
        yield note_of(options.trigger, tree.head)
    if options.first_step:
        before = f"steps before {options.first_step!r} do not run, but for builds"
        yield f"{before}: what they would have made must be in the folder, and not be ignored by git"


def plan_of(tree: WorkingTree, options: RunOptions) -> Plan:
    """The whole plan for what these options say. Raises InvalidPipelineError, or StepError if there is no pipeline."""
    _check_tag(tree, options.tag)
    files = tree.pipeline()
    context = tree.context()
    if not files:
        if options.inputs:
            raise StepError(Reason.INVALID_PIPELINE, "a Dockerfile alone takes no inputs; leave out --input")
        return dockerfile_plan(context)
    from pipelines.importers.running import compile_own_files

    repo = context.repo
    context = context._replace(repo=repo._replace(forge_url=forge_url_of(repo.clone_url, repo.name)))
    return compile_own_files(files, _trigger(tree, options), context, fragments_of(files, tree.folder, tree.remote))


def _trigger(tree: WorkingTree, options: RunOptions) -> Trigger:
    """Whose commit is that of the tree, always."""
    if options.trigger:
        here = tree.head or NO_COMMIT
        return options.trigger.model_copy(update={"sha": here, "inputs_by_admin": True, "no_reuse": False})
    given: dict[str, object] = {"inputs": inputs_of(options.inputs), "inputs_by_admin": True}
    if tag := options.tag:
        given |= {"tag": tag, "ref": f"refs/tags/{tag}", "branch": ""}
    return tree.trigger(event_of(options), options.branch).model_copy(update=given)


def _check_tag(tree: WorkingTree, tag: str) -> None:
    """Raises StepError where git would take no such name."""
    try:
        if tag and tree.in_repository:
            tree.git("check-ref-format", f"refs/tags/{tag}")
    except GitError:
        message = f"{tag!r} is no name of a tag in git; write for example --tag v1.2.3"
        raise StepError(Reason.INVALID_PIPELINE, message) from None


def inputs_of(texts: Sequence[str]) -> dict[str, str]:
    """Inputs from NAME=VALUE. Raises StepError."""
    pairs = [text.partition("=") for text in texts]
    if wrong := next((name for name, equals, _ in pairs if not equals or not name), None):
        raise StepError(Reason.INVALID_PIPELINE, f"the input {wrong!r} is not NAME=VALUE")
    return {name: value for name, _, value in pairs}


def event_of(options: RunOptions) -> Event:
    """The event: as named, else a tag's with ``--tag``, a manual run's with inputs, or a push. Raises StepError."""
    name = options.event or ("tag" if options.tag else "manual" if options.inputs else "push")
    try:
        event = Event(name)
    except ValueError:
        known = ", ".join(Event)
        raise StepError(Reason.INVALID_PIPELINE, f"there is no event {name!r}; the events are {known}") from None
    if options.tag and (event not in {Event.TAG, Event.RELEASE} or options.branch):
        other = "--branch" if options.branch else f"--event {name}"
        raise StepError(Reason.INVALID_PIPELINE, f"--tag is for the events tag and release; leave out {other} or --tag")
    return event
