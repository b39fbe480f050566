"""Removal of image names, announced to the jobs that build meanwhile.

The engine deletes an image with its last name. It looks for other names first, and forgets them all a moment later:
also one that a build with the same content has given the image in between. So a removal is announced by a tag of the
sandbox image, which every process that uses this engine can see. After a build has named its image, it waits for the
removals that are announced: those that begin later see the new name. Then the image stays, or is built again.
"""

import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pipelines.images.own_images import SANDBOX_REPO
from runner.docker.client import Engine
from runner.docker.images.sandbox_image import SANDBOX_IMAGE, ensure_sandbox_image
from runner.errors import StepError

REMOVAL_S_MAX = 60
"""An announcement that is older is from a process that was killed."""

_ANNOUNCEMENT = "removing-"
_POLL_S = 0.02


@contextmanager
def announced(engine: Engine) -> Iterator[None]:
    """Image names are to be removed within this context.

    Raises StepError if the removal could not be announced, at the end: on a full disk, images must go all the same.
    """
    tag, failure = f"{_ANNOUNCEMENT}{_now_ms()}-{secrets.token_hex(8)}", None
    try:
        ensure_sandbox_image(engine)
        engine.tag(SANDBOX_IMAGE, SANDBOX_REPO, tag)
    except StepError as error:
        failure = error
    try:
        yield
    finally:
        for each in {tag, *filter(_is_abandoned, _announcements(engine))}:
            engine.untag(f"{SANDBOX_REPO}:{each}")
    if failure is not None:
        raise failure


def remove_image_names(engine: Engine, names: Iterable[str]) -> None:
    """Removes names from images, and the images that have no other name. Raises the first error at the end."""
    errors: list[StepError] = []
    with announced(engine):
        for name in names:
            try:
                engine.untag(name)
            except StepError as error:
                errors.append(error)
    if errors:
        raise errors[0]


def wait_for_removals(engine: Engine) -> None:
    """Returns when every removal that is announced now has ended, after ``REMOVAL_S_MAX`` at the latest."""
    before = {tag for tag in _announcements(engine) if not _is_abandoned(tag)}
    deadline = time.monotonic() + REMOVAL_S_MAX
    while before and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        before &= set(_announcements(engine))


def _announcements(engine: Engine) -> list[str]:
    """The tags that announce removals."""
    names = (engine.image(SANDBOX_IMAGE) or {}).get("RepoTags") or ()
    tags = [str(name).partition(f"{SANDBOX_REPO}:")[2] for name in names]
    return [tag for tag in tags if tag.startswith(_ANNOUNCEMENT)]


def _is_abandoned(tag: str) -> bool:
    digits = tag.removeprefix(_ANNOUNCEMENT).partition("-")[0]
    return not digits.isdecimal() or _now_ms() - int(digits) > REMOVAL_S_MAX * 1000


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
