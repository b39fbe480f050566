"""Starts ``headway run``: the engine creates a network while Python loads the other modules."""

import sys
from contextlib import closing
from functools import partial

from runner.cli import exit_status
from runner.cli.run.bootstrap import RunBootstrap
from runner.cli.run.options import RunOptions
from runner.errors import StepError


def launch(options: RunOptions) -> int:
    """Runs ``headway run`` and returns its exit status."""
    if options.like:
        from runner.cli.run.choice.like import with_trigger

        try:
            options = with_trigger(options)
        except StepError as error:
            sys.stderr.write(f"headway: {error}\n")
            return exit_status.USAGE
    if not options.watch:
        return _run(options, RunBootstrap(options.folder))
    from runner.cli.run.watching import run_and_watch

    return run_and_watch(options.folder, partial(_run_and_close, options), json=options.json)


def _run(options: RunOptions, bootstrap: RunBootstrap) -> int:
    from runner.cli.run.run import run_folder

    return run_folder(options, bootstrap)


def _run_and_close(options: RunOptions) -> int:
    """Runs once. The process goes on after it, so that what belongs to the run must be closed."""
    with closing(RunBootstrap(options.folder)) as bootstrap:
        return _run(options, bootstrap)
