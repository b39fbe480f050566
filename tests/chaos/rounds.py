"""A round: a stack, runs with known outcomes, a schedule of faults, and the judge."""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.faults import heal, play, schedule
from tests.chaos.judge import judge
from tests.chaos.stack import running_stack
from tests.chaos.workload import Workload
from tests.e2e.stack import until

DELIVER_EVERY_S = 1.5
RECOVER_S = 60.0


def play_round(folder: Path, seed: str, faults_s: float, *, postgres: bool, say: Callable[[str], None]) -> list[str]:
    """Plays one round. What is wrong in the end; the folder is kept then."""
    faults = schedule(seed, faults_s, postgres=postgres)
    say(f"{'PostgreSQL and a bucket' if postgres else 'SQLite and a folder'}, {len(faults)} faults")
    with running_stack(folder, postgres=postgres) as stack:
        workload = Workload(stack, seed)
        workload.start(DELIVER_EVERY_S)
        began_s = time.monotonic()
        play(stack, faults, say)
        heal(stack)
        until("the web server answers again", stack.site.is_ready, RECOVER_S)
        workload.stop()
        if workload.error is not None:
            raise workload.error
        until("what is to be canceled is canceled", workload.cancel_due, RECOVER_S)
        say(f"{time.monotonic() - began_s:6.1f} s  {len(workload.sent)} runs; the faults are over")
        problems = judge(stack, workload.sent)
        say(f"{time.monotonic() - began_s:6.1f} s  judged: {len(problems)} problems")
    if not problems:
        shutil.rmtree(folder)
    return problems


def new_seed() -> str:
    """A seed that was not used before."""
    return f"{random.SystemRandom().randrange(16**6):06x}"
