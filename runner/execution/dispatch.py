"""Runs one step by its kind. A new kind of step needs a class in ``pipelines/plan.py`` and a case here."""

from collections.abc import Callable
from typing import assert_never

from pipelines.plan import BuildStep, CommandsStep, PluginStep, PushStep, Step
from pipelines.state import Outcome
from runner.execution.container import step_container
from runner.execution.container.going_on import go_on
from runner.execution.container.step_container import OnBegun, StartedContainer
from runner.execution.job.job import Job
from runner.logs.output import Output

# Builds load slowly, and most runs of `headway run` have none. A worker loads them before it forks (pool_memory.py).
# ruff: noqa: PLC0415


def perform(
    job: Job,
    step: Step,
    output: Output,
    prestarted: Callable[[], StartedContainer | None],
    on_begun: OnBegun,
) -> Outcome:
    """Runs a step; ``prestarted`` returns its container if that was started before its turn.

    ``on_begun`` is called with a container when its commands have begun.

    A step that fails returns an outcome or raises StepError; MachineError means that the machine could not run it.
    """
    match step:
        case CommandsStep() | PluginStep():
            gone_on = go_on(job, step, output, on_begun) if job.resumption else None
            return gone_on or step_container.run(job, step, output, prestarted(), on_begun)
        case BuildStep():
            from runner.execution.builds.build_step import build

            job.journal.begun(step.number)
            return build(job, step, output)
        case PushStep():
            from runner.execution.builds.push_step import push

            job.journal.begun(step.number)
            return push(job, step, output)
        case _:
            assert_never(step)
