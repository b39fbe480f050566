"""Going on with a job whose process died: what is left of it, and whether that is enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.plan import BuildStep, JobPlan, PushStep
from pipelines.state import Outcome
from runner.docker.client import Engine
from runner.docker.containers.specs import JOB_LABEL
from runner.docker.init_program import BROKEN_OFF_STATUS
from runner.events import Stream
from runner.execution.job.journal import History, OpenedContainer

_REPORT_LINES = 8


@dataclass(frozen=True)
class StoredOutput:
    """What is stored of a step's output: how much in all, and of each stream in the attempt that goes on.

    ``full``: no more is taken.
    """

    size_bytes: int = 0
    streams: Mapping[Stream, int] = field(default_factory=dict)
    full: bool = False


NOTHING_STORED = StoredOutput()


@dataclass(frozen=True)
class Resumption:
    """What is left of a job: its journal, how its steps ended, in that order, and the output of those that had begun.

    ``note`` is a sentence for people. Without a process that died before, it is empty.
    """

    history: History = field(default_factory=History)
    ended: Mapping[int, Outcome] = field(default_factory=dict)
    begun: Mapping[int, StoredOutput] = field(default_factory=dict)
    note: str = ""

    def __bool__(self) -> bool:
        return self.history.prepared

    def opened(self) -> dict[int, OpenedContainer]:
        """The containers of the steps that have not ended."""
        return {step: found for step, found in self.history.opened.items() if step in self.begun}


NOTHING_LEFT = Resumption()


def obstacle(engine: Engine, key: str, plan: JobPlan, folder: Path, left: Resumption) -> str:
    """Why the job cannot go on in this engine, as the end of a sentence; empty if it can."""
    if not (folder / "workspace").is_dir():
        return "its workspace is gone"
    for name, container in left.history.services.items():
        if engine.inspect(container) is None:
            return f"the container of its service {name!r} is gone"
    for step, opened in left.opened().items():
        if lost := _lost(engine, opened):
            return f"the container of its step {step} {lost}"
    for step, image in left.history.built.items():
        if engine.image(image) is None:
            return f"the image that its step {step} built is gone"
    # A job that died before its first container may have none yet.
    used = left.history.services or left.opened()
    has_network = not used or not needs_network(plan) or engine.networks_labelled(f"{JOB_LABEL}={key}")
    return "" if has_network else "its network is gone"


def needs_network(plan: JobPlan) -> bool:
    """True for a job with containers of steps or services."""
    return bool(plan.services) or not all(isinstance(step, BuildStep | PushStep) for step in plan.steps)


def _lost(engine: Engine, opened: OpenedContainer) -> str:
    """Why it is not known how the commands in this container ended, or go on; empty where it can be seen."""
    found = engine.inspect(opened.container)
    if found is None:
        return "is gone"
    state = found["State"]
    if is_alive(state) or not opened.token or state.get("OOMKilled"):
        return ""
    told = opened.token.encode() in engine.logs(opened.container, _REPORT_LINES)
    # The gate tells how the commands ended, unless the engine or its machine ended it together with them.
    return "" if told or state.get("ExitCode") == BROKEN_OFF_STATUS else "was ended from outside of the step"


def is_alive(state: Mapping[str, Any]) -> bool:
    """True for a container that runs, or has not been started yet."""
    return bool(state.get("Running")) or state.get("Status") == "created"
