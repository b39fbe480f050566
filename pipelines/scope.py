"""What planning one job looks at."""

from dataclasses import dataclass
from functools import cached_property
from posixpath import join, normpath

from pipelines.context import Context
from pipelines.findings import Findings, Place
from pipelines.matrix import Cell
from pipelines.model import Workflow
from pipelines.parse import Located
from pipelines.trigger import Trigger
from pipelines.when import Situation


@dataclass(frozen=True)
class Scope:
    """One workflow with one cell of its matrix, for one trigger."""

    name: str
    cell: Cell
    located: Located
    trigger: Trigger
    context: Context

    @property
    def workflow(self) -> Workflow:
        """The workflow."""
        return self.located.workflow

    @property
    def findings(self) -> Findings:
        """Where problems of its file go."""
        return self.located.findings

    @cached_property
    def workspace(self) -> str:
        """The absolute folder of the checkout."""
        return normpath(join(self.workspace_base, self.workflow.workspace.path))

    @cached_property
    def workspace_base(self) -> str:
        """The absolute folder that is shared by all containers of the job."""
        return normpath(join("/", self.workflow.workspace.base))

    def situation(self, *, of_step: bool) -> Situation:
        """What conditions are held against."""
        return Situation(self.trigger, self.context, self.cell, of_step)

    def place(self, *location: str | int) -> Place:
        """Where this part of the workflow stands in its file."""
        return self.located.place(*location)
