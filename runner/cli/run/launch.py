"""Starts ``headway run``: the engine creates a network while Python loads the other modules."""

from runner.cli.run.bootstrap import RunBootstrap
from runner.cli.run.options import RunOptions


def launch(options: RunOptions) -> int:
    """Runs ``headway run`` and returns its exit status."""
    bootstrap = RunBootstrap(options.folder)
    from runner.cli.run.run import run_folder

    return run_folder(options, bootstrap)
