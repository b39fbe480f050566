"""What a big repository costs: its first fetch, and the runs after it."""

import base64
import itertools
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import measure
from bench.measure import interleave
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.folders import git
from pipelines.plan import Checkout
from runner.source.mirrors.mirror import Mirror

FILES, COMMITS, CHANGED, FILE_BYTES = 2_000, 100, 100, 8_000
FIRST = Row(
    "source-first",
    "first run of a repository (2,000 files, 100 commits, 100 MB): fetch and checkout",
    "`git clone` of it",
    "s",
    Target(Kind.RATIO_AT_MOST, 1.0),
)
AGAIN = Row(
    "source-again",
    "a further run of it, one commit later: fetch and checkout",
    "`git clone --depth 1` of it",
    "s",
    Target(Kind.RATIO_AT_MOST, 1.0, goal=0.7),
)


def big(bench: Bench) -> dict[Row, Measured]:
    """A mirror that is new each time, and one that stays, against clones. Each figure is all that a job waits for."""
    place = bench.place(FIRST.name)
    source = place / "big.git"
    _generate(source)
    url, number = f"file://{source}", itertools.count()
    commits = git(source, "rev-list", "--reverse", "main").split()
    kept = Mirror(place / "kept", url)
    kept.fetch(commits[0])
    later = iter(commits[1:])
    variants: dict[str, Callable[[], float]] = {
        "first": lambda: _lay_out(Mirror(place / f"new-{next(number)}", url), commits[-1], place),
        "clone": partial(_clone, place, url),
        "again": lambda: _lay_out(kept, next(later), place),
        "clone of depth 1": partial(_clone, place, url, "--depth=1"),
    }
    timed = interleave(bench.rounds_of(3), variants)
    return {
        FIRST: Measured(timed.median("first"), timed.median("clone"), dict(timed.figures)),
        AGAIN: Measured(timed.median("again"), timed.median("clone of depth 1"), dict(timed.figures)),
    }


def _lay_out(mirror: Mirror, sha: str, place: Path) -> float:
    target = place / "checkout"
    started_s = time.perf_counter()
    mirror.fetch(sha, "refs/heads/main")
    mirror.checkout(sha, target, Checkout())
    took_s = time.perf_counter() - started_s
    shutil.rmtree(target)
    return took_s


def _clone(place: Path, url: str, *options: str) -> float:
    took_s = measure.run(["git", "clone", "--quiet", *options, url, place / "clone"])
    shutil.rmtree(place / "clone")
    return took_s


def _generate(folder: Path) -> None:
    """The repository, by the quickest way in. Its texts have no likeness, as if they were pictures."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare")
    stream = b"".join(_history(random.Random(1)))
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=stream, check=True)


def _history(chance: random.Random) -> Iterator[bytes]:
    names = [f"d{number % 20}/s{number % 400}/f{number}.txt" for number in range(FILES)]
    for commit in range(COMMITS):
        yield f"commit refs/heads/main\nmark :{commit + 1}\n".encode()
        yield f"committer A <a@example.com> {1_700_000_000 + commit} +0000\ndata 2\nc\n".encode()
        yield f"from :{commit}\n".encode() if commit else b""
        for name in chance.sample(names, CHANGED) if commit else names:
            text = base64.encodebytes(chance.randbytes(FILE_BYTES))
            yield f"M 100644 inline {name}\ndata {len(text)}\n".encode() + text + b"\n"
