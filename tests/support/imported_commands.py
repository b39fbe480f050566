"""Runs the commands of an imported file's plan in a shell of this machine, with the variables of the plan."""

import subprocess

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.plan import CommandsStep, resolve
from pipelines.trigger import Trigger
from tests.support.imports import Import
from tests.support.pipelines import TRUSTED


def output_of(found: Import, trigger: Trigger, **more: str) -> str:
    """What the commands of all steps print. ``more`` are variables that the runner would add."""
    printed = ""
    for job in compile_pipeline(found.imported.files, trigger, TRUSTED).jobs:
        for step in job.steps:
            assert isinstance(step, CommandsStep)
            given = {name: resolve(value, {}) for name, value in step.container.environment.items()}
            environment = {"PATH": "/usr/bin:/bin", **given, **more}
            command = ["/bin/sh", "-ec", "\n".join(step.commands)]
            printed += subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout
    return printed
