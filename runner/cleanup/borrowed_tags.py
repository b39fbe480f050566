"""Names that belong to other images, and that a job lends to its own for as long as it pushes under them.

The engine can only push by name. What was lent is noted on the disk first: a job that is killed in mid-push must not
leave its image under the name of another.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.docker.client import Engine
from runner.docker.references import split_tag


@dataclass(frozen=True)
class Lent:
    """``name`` is lent to ``image``; it belongs to the image ``before``, or to none. Both are ids."""

    name: str
    image: str
    before: str


def note(folder: Path, lent: Lent) -> None:
    """Writes it down among what the job with this ``folder`` has lent."""
    with _notes(folder).open("a") as notes:
        notes.write(f"{json.dumps(asdict(lent))}\n")


def give_back(engine: Engine, lent: Lent) -> None:
    """Gives the name back to whose it was, unless somebody else has taken it. Doing it twice does no harm."""
    holder = str((engine.image(lent.name) or {}).get("Id", ""))
    if holder not in {"", lent.image}:
        return
    if holder:
        engine.untag(lent.name)
    if lent.before and engine.image(lent.before):
        repo, tag = split_tag(lent.name)
        engine.tag(lent.before, repo, tag or "latest")


def give_back_all(engine: Engine, folder: Path) -> None:
    """The same for all that a dead job with this ``folder`` had lent."""
    if _notes(folder).exists():
        # A kill may have come before the end of a line was written; what it names was not lent then.
        for line in _notes(folder).read_text().split("\n")[:-1]:
            give_back(engine, Lent(**json.loads(line)))


def _notes(folder: Path) -> Path:
    return folder / "scratch" / "lent-names"
