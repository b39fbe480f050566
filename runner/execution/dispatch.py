"""Carries out one step by its kind. Adding a kind is a class in ``pipelines/plan.py`` and a case here."""

from collections.abc import Callable
from typing import assert_never

from pipelines.plan import BuildStep, CommandsStep, PluginStep, PushStep, Step
from pipelines.state import Outcome
from runner.execution import step_container
from runner.execution.build_step import build
from runner.execution.job import Job
from runner.execution.push_step import push
from runner.execution.step_container import Started
from runner.logs.output import Output


def perform(job: Job, step: Step, output: Output, early: Callable[[], Started | None]) -> Outcome:
    """Does a step; ``early`` gives its container if that was started before its turn.

    Its failing is the outcome or a StepError; a MachineError means that it could not be done.
    """
    match step:
        case CommandsStep() | PluginStep():
            return step_container.run(job, step, output, early())
        case BuildStep():
            return build(job, step, output)
        case PushStep():
            return push(job, step, output)
        case _:
            assert_never(step)
