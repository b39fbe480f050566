"""`make chaos`: plays rounds of faults against a whole installation, and says what is wrong in the end."""

import os
import signal
import sys
import time
from pathlib import Path

from tests.chaos.rounds import new_seed, play_round

ROUNDS = 4
ROUND_S = 60.0
ALL_S = 15 * 60.0
INTERRUPTED = 130


def say(text: str) -> None:
    """Prints at once."""
    print(text, flush=True)  # noqa: T201 - it talks to a person


def stop(*_: object) -> None:
    """As Ctrl-C: everything is stopped that was started."""
    raise KeyboardInterrupt


def main() -> int:
    """The exit status: 0 where nothing is wrong."""
    signal.signal(signal.SIGTERM, stop)
    rounds = int(os.environ.get("CHAOS_ROUNDS") or ROUNDS)
    seed = os.environ.get("CHAOS_SEED") or new_seed()
    folder = Path(os.environ.get("TMPDIR") or "/var/tmp") / f"headway-chaos-{seed}-{os.getpid()}"
    say(f"CHAOS_SEED={seed} CHAOS_ROUNDS={rounds}")
    began_s, longest_s, failed = time.monotonic(), 0.0, 0
    for number in range(1, rounds + 1):
        if time.monotonic() - began_s + longest_s > ALL_S:
            say(f"round {number} would end after {ALL_S / 60:.0f} minutes, and is left out")
            break
        round_s, where = time.monotonic(), folder / f"round-{number}"
        say(f"\nround {number} of {rounds}")
        try:
            problems = play_round(where, f"{seed}-{number}", ROUND_S, postgres=number % 2 == 1, say=say)
        except AssertionError as error:  # something did not come back in time
            problems = [str(error)]
        except KeyboardInterrupt:
            say(f"stopped, and so is all that was started: CHAOS_SEED={seed}; logs: {where}")
            return INTERRUPTED
        longest_s = max(longest_s, time.monotonic() - round_s)
        for problem in problems:
            say(f"  WRONG: {problem}")
        if problems:
            failed += 1
            say(f"  evidence: {where}")
    say(f"\n{'FAILED' if failed else 'passed'}: CHAOS_SEED={seed} CHAOS_ROUNDS={rounds}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
