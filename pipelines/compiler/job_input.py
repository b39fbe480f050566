"""The input for planning one job."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines.compiler.conditions import ConditionFacts, Decision, decide
from pipelines.compiler.workspace import WorkspacePaths, workspace_paths
from pipelines.context import Context
from pipelines.environment.environment_size import Fitted
from pipelines.environment.variables import fitted_variables
from pipelines.matching.expressions import EXAMPLE, ExpressionError
from pipelines.model.conditions import Condition
from pipelines.model.workflow import ComposeService, PluginStep, Service, Step, Workflow
from pipelines.parser.matrix import Cell
from pipelines.parser.validation import LocatedWorkflow
from pipelines.syntax.diagnostics import Diagnostics, Place
from pipelines.syntax.nodes import LegacySecrets
from pipelines.trigger import Trigger


@dataclass(frozen=True, eq=False)
class WorkflowItem:
    """A step or service of the file: its location, and its name in messages (``label``)."""

    group: str
    index: int
    label: str
    model: Step | Service

    @property
    def where(self) -> tuple[str, int]:
        """The location in the file."""
        return self.group, self.index


@dataclass(frozen=True, eq=False)
class JobInput:
    """One workflow with one cell of its matrix, for one trigger."""

    name: str
    cell: Cell
    located: LocatedWorkflow
    trigger: Trigger
    context: Context

    @property
    def workflow(self) -> Workflow:
        """The workflow."""
        return self.located.workflow

    @property
    def diagnostics(self) -> Diagnostics:
        """The diagnostics of the workflow's file."""
        return self.located.diagnostics

    @cached_property
    def workspace(self) -> WorkspacePaths:
        """Where the checkout is in every container."""
        return workspace_paths(self.workflow.workspace)

    @cached_property
    def fitted_variables(self) -> Fitted:
        """The variables of the run, for all containers, and a note for each that is not whole."""
        return fitted_variables(self.trigger, self.context)

    @property
    def run_variables(self) -> dict[str, str]:
        """The variables of the run, for all containers."""
        return self.fitted_variables.values

    def decide(self, conditions: Sequence[Condition], *where: str | int, of_step: bool) -> Decision:
        """Decides by the conditions at ``where``. An invalid ``evaluate`` is reported, and counts as true."""
        try:
            return self.try_to_decide(conditions, of_step=of_step)
        except ExpressionError as error:
            self.diagnostics.error(self.place(*where), f"'evaluate': {error}", EXAMPLE)
            return Decision(runs=True)

    def try_to_decide(self, conditions: Sequence[Condition], *, of_step: bool) -> Decision:
        """Decides by the conditions. Raises ExpressionError for an invalid ``evaluate``."""
        facts = ConditionFacts(self.trigger, self.context, self.cell, of_step)
        return decide(conditions, facts, () if of_step else self.workflow.runs_on)

    def items(self) -> Iterator["WorkflowItem"]:
        """Every step and service of the file, the steps of ``clone`` first."""
        groups = (
            ("clone", "clone step", self.workflow.clone),
            ("services", "service", self.workflow.services),
            ("steps", "step", self.workflow.steps),
        )
        for group, noun, models in groups:
            for index, model in enumerate(models):
                yield WorkflowItem(group, index, f"{noun} '{model.name or f'step-{index}'}'", model)

    def is_plugin(self, step: Step, *where: str | int) -> bool:
        """Is the step at ``where`` a plugin? With an ``entrypoint`` or an ``environment`` of its own it is not."""
        if not isinstance(step, PluginStep) or isinstance(step, ComposeService) or step.entrypoint is not None:
            return False
        return not step.environment or isinstance(self.located.node(*where, "environment"), LegacySecrets)

    def place(self, *location: str | int) -> Place:
        """The place of this location in the file."""
        return self.located.place(*location)
