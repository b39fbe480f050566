"""What ``headway run --keep-on-failure`` has kept: one failed job for each folder, until it is replaced or too old.

A record says what the job left in the engine and on the disk. It has no value of a secret: those are in the engine's
description of the container, as while the step ran, and nowhere else.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from runner.cleanup.ending import end_containers
from runner.cleanup.leftovers import JobLeftovers, find_leftovers, remove_leftovers
from runner.cli.cache_folder import cache_folder
from runner.docker.client import Engine

KEPT_HOURS_MAX = 12
_RECORD = ".json"


@dataclass(frozen=True)
class KeptFailure:
    """A kept job: where it failed, its leftovers, and until when it stays (seconds since 1970)."""

    repository: str
    title: str
    step: str
    container: str
    preparation: str
    secret_files: tuple[str, ...]
    key: str
    folder: str
    image_names: tuple[str, ...]
    services: tuple[str, ...]
    grace_s: float
    until_s: float

    @property
    def leftovers(self) -> JobLeftovers:
        """All that is to be removed of it."""
        return JobLeftovers(self.key, Path(self.folder), self.image_names, self.services, self.grace_s)


class KeptFailures:
    """The records, in a folder that no other user may enter."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def path(self, repository: str) -> Path:
        """The record of the repository in this folder."""
        name = sha256(os.fsencode(repository)).hexdigest()[:32]
        return self._base / f"{name}{_RECORD}"

    def lock(self, repository: str) -> Path:
        """The file that an open shell locks."""
        return self.path(repository).with_suffix(".lock")

    def of(self, repository: str) -> KeptFailure | None:
        """What is kept of the repository in this folder."""
        return read_kept(self.path(repository))

    def all(self) -> list[KeptFailure]:
        """What is kept of all folders of the user."""
        found: list[KeptFailure | None] = []
        with suppress(OSError):
            found = [read_kept(path) for path in sorted(self._base.glob(f"*{_RECORD}"))]
        return [each for each in found if each is not None]

    def add(self, kept: KeptFailure) -> Path:
        """Writes the record, in place of an earlier one of the folder. Raises OSError."""
        self._base.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, draft = self.path(kept.repository), self._base / f"new-{uuid4().hex}"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(asdict(kept), file)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return path

    def forget(self, kept: KeptFailure) -> None:
        """Removes the record, unless it is of another job by now."""
        if self.of(kept.repository) == kept:
            with suppress(OSError):
                self.path(kept.repository).unlink()
                self.lock(kept.repository).unlink()


def kept_failures(environment: Mapping[str, str]) -> KeptFailures:
    """Those of this user."""
    return KeptFailures(cache_folder(environment, "kept"))


def read_kept(path: Path) -> KeptFailure | None:
    """What the record says; None if there is none, or none of this version."""
    try:
        kept = KeptFailure(**json.loads(path.read_text()))
        return replace(
            kept,
            secret_files=tuple(map(str, kept.secret_files)),
            image_names=tuple(map(str, kept.image_names)),
            services=tuple(map(str, kept.services)),
            until_s=float(kept.until_s),
            grace_s=float(kept.grace_s),
        )
    except (OSError, ValueError, TypeError):
        return None


def remove_kept(engine: Engine, failures: KeptFailures, kept: KeptFailure) -> list[Exception]:
    """Removes a kept job, and its record if nothing of it is left. Returns the errors; raises StepError."""
    end_containers(engine, kept.services, kept.grace_s)
    errors = remove_leftovers(engine, find_leftovers(engine, kept.leftovers))
    if not errors:
        failures.forget(kept)
    return errors
