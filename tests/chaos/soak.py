"""`make soak`: runs for half an hour without a fault; memory, descriptors, threads and files must not grow."""

import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.__main__ import INTERRUPTED, say, stop
from tests.chaos.judge import judge
from tests.chaos.stack import Stack, running_stack
from tests.chaos.workload import Workload
from tests.e2e.stack import until

MINUTES, MINUTES_MIN = 30.0, 6.0
SAMPLE_EVERY_S = 5.0
DELIVER_EVERY_S = 3.0
RECOVER_S = 120.0
_KEPT = frozenset({"mirrors", "blobs", "database"})
"""Folders that grow with the history, by design."""


@dataclass(frozen=True)
class Quantity:
    """What is measured of a part. Growth by ``more``, and by ``percent`` of what it was, is taken for noise."""

    name: str
    more: float
    percent: float

    def grew(self, before: float, after: float) -> bool:
        """True where that is more than noise."""
        return after > before * (1 + self.percent / 100) + self.more


MEMORY = Quantity("MiB", 8, 10)
DESCRIPTORS = Quantity("descriptors", 10, 5)
THREADS = Quantity("threads", 6, 5)
FILES = Quantity("files", 20, 10)
Series = dict[tuple[str, Quantity], list[float]]


def memory_mib(pid: int) -> float:
    """The proportional share of a process in MiB: what it has alone, and its part of what it shares."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def measured(pids: Iterable[int]) -> dict[Quantity, float]:
    """The sums over all processes of a part. One that ends meanwhile is left out."""
    sums = dict.fromkeys((MEMORY, DESCRIPTORS, THREADS), 0.0)
    for pid in pids:
        with suppress(OSError):
            found = memory_mib(pid), len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 - no paths are wanted
            for quantity, value in zip(sums, found, strict=True):
                sums[quantity] += value
    return sums


def files_below(folder: Path) -> int:
    """How many files there are, but for what grows with the history."""
    count = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _KEPT]  # os.walk looks into those that are left
        count += len(files)
    return count


def sample(stack: Stack, series: Series) -> None:
    """Adds one value to each series."""
    for name, part in stack.site.parts.items():
        for quantity, value in measured(part.pids).items():
            series.setdefault((name, quantity), []).append(value)
    for machine in stack.machines:
        series.setdefault((machine.name, FILES), []).append(files_below(machine.data))


def growth(series: Mapping[tuple[str, Quantity], Sequence[float]]) -> list[str]:
    """Prints a table of the second and the last third, and returns what grew. The first third is for warming up.

    Of each third it takes the lower quartile: what a part holds at rest. What jobs need meanwhile comes and goes.
    """
    grown = []
    for (name, quantity), values in series.items():
        third = len(values) // 3
        before, after = (
            statistics.quantiles(part, n=4)[0] for part in (values[third : 2 * third], values[2 * third :])
        )
        bad = quantity.grew(before, after)
        say(f"  {name:12} {quantity.name:12} {before:9.1f} {after:9.1f}{'   GROWS' if bad else ''}")
        if bad:
            grown.append(f"{name}: {before:.1f} {quantity.name} became {after:.1f}")
    return grown


def soak(folder: Path, minutes: float) -> list[str]:
    """What is wrong in the end."""
    series: Series = {}
    with running_stack(folder, postgres=True) as stack:
        workload = Workload(stack, "soak")
        workload.start(DELIVER_EVERY_S)
        ends_s = time.monotonic() + minutes * 60
        while time.monotonic() < ends_s and workload.error is None:
            sample(stack, series)
            time.sleep(SAMPLE_EVERY_S)
        workload.stop()
        if workload.error is not None:
            raise workload.error
        until("what is to be canceled is canceled", workload.cancel_due, RECOVER_S)
        say(f"{len(workload.sent)} runs in {minutes:.0f} minutes; lower quartiles of the second and of the last third:")
        return growth(series) + judge(stack, workload.sent)


def main() -> int:
    """The exit status: 0 where nothing grew and all is right."""
    signal.signal(signal.SIGTERM, stop)
    minutes = max(MINUTES_MIN, float(os.environ.get("SOAK_MINUTES") or MINUTES))
    folder = Path(os.environ.get("TMPDIR") or "/var/tmp") / f"headway-soak-{os.getpid()}"
    say(f"SOAK_MINUTES={minutes:g}")
    try:
        problems = soak(folder, minutes)
    except AssertionError as error:  # something did not come in time
        problems = [str(error)]
    except KeyboardInterrupt:
        say(f"stopped, and so is all that was started; logs: {folder}")
        return INTERRUPTED
    for problem in problems:
        say(f"  WRONG: {problem}")
    if problems:
        say(f"  evidence: {folder}")
    else:
        shutil.rmtree(folder)
    say("FAILED" if problems else "passed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
