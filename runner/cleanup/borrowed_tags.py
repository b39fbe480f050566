"""Tags that a job takes from another image for the time of a push, and gives back afterwards.

The engine can only push by name. Each borrowed tag is written to the disk before it is moved: a job that is killed
during a push must not leave its own image under the name of another.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.docker.client import Engine
from runner.docker.references import split_tag


@dataclass(frozen=True)
class BorrowedTag:
    """``name`` points to the job's ``image`` for now; it belongs to the image ``before``, or to none. Both are ids."""

    name: str
    image: str
    before: str


def record_borrowed_tag(folder: Path, tag: BorrowedTag) -> None:
    """Adds it to the list on the disk of the job with this ``folder``."""
    with _list(folder).open("a") as file:
        file.write(f"{json.dumps(asdict(tag))}\n")


def return_borrowed_tag(engine: Engine, tag: BorrowedTag) -> None:
    """Points the name to its own image again, unless another image has taken it meanwhile. Idempotent."""
    holder = str((engine.image(tag.name) or {}).get("Id", ""))
    if holder not in {"", tag.image}:
        return
    if holder:
        engine.untag(tag.name)
    if tag.before and engine.image(tag.before):
        repo, version = split_tag(tag.name)
        engine.tag(tag.before, repo, version or "latest")


def return_borrowed_tags(engine: Engine, folder: Path) -> None:
    """Returns every tag that a dead job with this ``folder`` had borrowed."""
    if _list(folder).exists():
        # If the job was killed while it wrote the last line, it had not moved that tag yet.
        for line in _list(folder).read_text().split("\n")[:-1]:
            return_borrowed_tag(engine, BorrowedTag(**json.loads(line)))


def _list(folder: Path) -> Path:
    return folder / "scratch" / "borrowed-tags"
