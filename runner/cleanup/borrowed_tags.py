"""Names that a job takes for the time of a push, and gives back afterwards.

The engine can only push by name, and a name in the engine is shared by all jobs. While a name is taken, the image has a
second name that says so, and so has the image that the name belongs to: other jobs use that one (``image_named``). Each
name is written to the disk before it is taken: a job that is killed during a push must not leave its image under it.
"""

import json
import secrets
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipelines.images.own_images import BEFORE_REPO, BORROWED_REPO, canonical
from runner.cleanup.image_removal import remove_image_names
from runner.docker.client import Engine
from runner.docker.references import split_tag

_LOOKS_MAX = 5
_HASH_CHARS = 40


@dataclass(frozen=True)
class BorrowedTag:
    """``name`` points to the job's ``image`` for now; it belongs to the image ``before``, or to none. Both are ids.

    ``mark`` is the tag of both marks; a name with random digits, so that no two pushes share it.
    """

    name: str
    image: str
    before: str
    mark: str = ""


def borrow_tag(engine: Engine, folder: Path, image_id: str, name: str) -> BorrowedTag | None:
    """Points ``name`` to the image, and records that in the ``folder`` of the job. None if it does so already."""
    repo, tag = split_tag(name)
    before = str((image_named(engine, name) or {}).get("Id", ""))
    if before == image_id and str((engine.image(name) or {}).get("Id", "")) == image_id:
        return None
    borrowed = BorrowedTag(name, image_id, before, f"{_hash(name)}-{secrets.token_hex(8)}")
    with _list(folder).open("a") as file:
        file.write(f"{json.dumps(asdict(borrowed))}\n")
    if before:
        engine.tag(before, BEFORE_REPO, borrowed.mark)
    engine.tag(image_id, BORROWED_REPO, borrowed.mark)
    engine.tag(image_id, repo, tag)
    return borrowed


def return_borrowed_tag(engine: Engine, tag: BorrowedTag) -> None:
    """Points the name to its own image again, unless another image has taken it meanwhile. Idempotent."""
    holder = str((engine.image(tag.name) or {}).get("Id", ""))
    if holder in {"", tag.image}:
        if holder:
            remove_image_names(engine, [tag.name])
        if tag.before and engine.image(tag.before):
            repo, version = split_tag(tag.name)
            engine.tag(tag.before, repo, version or "latest")
    if tag.mark:
        remove_image_names(engine, [f"{repo}:{tag.mark}" for repo in (BORROWED_REPO, BEFORE_REPO)])


def return_borrowed_tags(engine: Engine, folder: Path) -> None:
    """Returns every tag that a dead job with this ``folder`` had borrowed."""
    if _list(folder).exists():
        # If the job was killed while it wrote the last line, it had not moved that tag yet.
        for line in _list(folder).read_text().split("\n")[:-1]:
            return_borrowed_tag(engine, BorrowedTag(**json.loads(line)))


def image_named(engine: Engine, name: str) -> dict[str, Any] | None:
    """The engine's image of this name, as it was before any job took the name for a push; None if there is none.

    An id is no name: with a few digits of one, a job could use an image of another repository.
    """
    for _ in range(_LOOKS_MAX):
        image = engine.image(name)
        if image is None or not _has_name(image, name):
            return None
        if not is_borrowed(image, name):
            return image
        for before in engine.images({"reference": f"{BEFORE_REPO}:{_hash(name)}-*"}):
            return engine.image(str(before["Id"]))
        # It belongs to no image, or was given back a moment ago.
    return None


def is_borrowed(image: dict[str, Any], name: str) -> bool:
    """True if the image has this name only for a push."""
    mark = f"{BORROWED_REPO}:{_hash(name)}-"
    return any(canonical(other).startswith(mark) for other in image.get("RepoTags") or ())


def _has_name(image: dict[str, Any], name: str) -> bool:
    names = (*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ()))
    return canonical(name) in {canonical(other) for other in names}


def _hash(name: str) -> str:
    return sha256(canonical(name).encode()).hexdigest()[:_HASH_CHARS]


def _list(folder: Path) -> Path:
    return folder / "scratch" / "borrowed-tags"
