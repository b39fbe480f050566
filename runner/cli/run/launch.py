"""Starts ``headway run``: while the engine makes a network, Python loads the rest."""

from runner.cli.run.bootstrap import Begun
from runner.cli.run.options import RunOptions


def launch(options: RunOptions) -> int:
    """``headway run``: begins, loads the rest meanwhile, and returns the exit status."""
    begun = Begun(options.folder)
    from runner.cli.run.run import run_folder

    return run_folder(options, begun)
