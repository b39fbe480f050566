"""The exit statuses of the ``headway`` commands that need no server, in one place."""

from collections.abc import Mapping

from pipelines.state import State

DONE = 0
"""Everything is fine: the pipeline passed, the files have no errors."""
FAILED = 1
"""The pipeline failed, or its files have errors: for the user to fix."""
USAGE = 2
"""The command line is wrong, or there is no valid pipeline to work on."""
BROKEN = 3
"""The machine is at fault: no Docker Engine, a full disk, output that cannot be written."""
INTERRUPTED = 130
"""Ctrl-C, as shells number it: 128 and the number of SIGINT."""

OF_STATE: Mapping[State, int] = {
    State.PASSED: DONE, State.SKIPPED: DONE, State.FAILED: FAILED, State.BROKEN: BROKEN, State.CANCELED: INTERRUPTED,
}  # fmt: skip
"""What ``headway run`` returns for the verdict on a run."""
