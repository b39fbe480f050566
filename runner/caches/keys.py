"""The keys of a job's caches: resolved once, when the checkout is there and before any step could change it."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.state import Reason
from pipelines.step_options.caches import Cache, Checksum, Key
from runner.artifacts.checkout_files import find_in_checkout
from runner.artifacts.files import ArtifactLimits, Found, FoundFile, shown
from runner.artifacts.patterns import Patterns
from runner.errors import CanceledError, StepError, as_step_error
from runner.step_files import StepFolder

CHECKSUM_CHARACTERS = 20
LIMITS = ArtifactLimits(bytes_max=64 * 1024**2, files_max=1000, entries_count_max=500_000)
"""The files that one checksum may be of."""


@dataclass(frozen=True)
class ResolvedKey:
    """A cache's key, and the beginnings of other keys that would do. ``problem`` says why there is none."""

    key: str = ""
    restore: tuple[str, ...] = ()
    problem: str = ""


Keys = Mapping[int, tuple[ResolvedKey, ...]]
"""The keys of each step's caches, in their order, by the step's number."""


class _ChecksumFiles(Found):
    """Collects the files of a checksum, with sentences of its own where they are too many."""

    def look(self) -> None:
        self._entries += 1
        if self._entries > self.limits.entries_count_max:
            raise _refused(f"more than {self.limits.entries_count_max:,} names were looked at; name the file's folder")

    def add(self, file: FoundFile) -> None:
        if len(self.files) >= self.limits.files_max:
            raise _refused(f"it would be of more than {self.limits.files_max:,} files; name fewer")
        self.size_bytes += file.size_bytes
        if self.size_bytes > self.limits.bytes_max:
            raise _refused(f"its files have more than {self.limits.bytes_max:,} bytes; name fewer")
        self.files.append(file)


def _refused(why: str) -> StepError:
    return StepError(Reason.INVALID_PIPELINE, f"the checksum in the key of its cache cannot be made: {why}")


class KeyResolver:
    """Resolves the keys of one job. ``check`` is called often, and raises where the job must end."""

    def __init__(self, checkout: StepFolder, check: Callable[[], None], limits: ArtifactLimits = LIMITS) -> None:
        self._checkout, self._check, self._limits = checkout, check, limits
        self._known: dict[Checksum, str] = {}

    def resolve(self, cache: Cache) -> ResolvedKey:
        """The key, or what is wrong with it. Raises CanceledError."""
        try:
            return ResolvedKey(self._text(cache.key), tuple(map(self._text, cache.restore)))
        except CanceledError:
            raise
        except (StepError, OSError) as error:
            return ResolvedKey(problem=str(as_step_error(error)))

    def _text(self, key: Key) -> str:
        return "".join(part if isinstance(part, str) else self._checksum(part) for part in key)

    def _checksum(self, asked: Checksum) -> str:
        if asked not in self._known:
            self._known[asked] = self._of_files(asked)
        return self._known[asked]

    def _of_files(self, asked: Checksum) -> str:
        patterns, found = Patterns(asked.files, ()), _ChecksumFiles(self._limits)
        find_in_checkout(self._checkout, (), patterns, found, self._check)
        if not asked.optional and (problem := _missing(patterns, found)):
            raise StepError(Reason.INVALID_PIPELINE, problem)
        digest = hashlib.sha256()
        for file in sorted(found.files, key=lambda each: each.path):
            content = hashlib.sha256()
            for piece in file.pieces():
                content.update(piece)
            digest.update(f"{content.hexdigest()} {file.path}\n".encode())
        return digest.hexdigest()[:CHECKSUM_CHARACTERS] if found.files else "none"


def _missing(patterns: Patterns, found: Found) -> str:
    start = "the key of its cache takes the checksum of"
    hint = "write its path from where the step starts; no step may make it, because keys are made before the first"
    if patterns.unmatched:
        return f"{start} {shown(patterns.unmatched[0])}, and the checkout has no such file; {hint}"
    return f"{start} a file that cannot be read: {found.left_out[0]}; {hint}" if found.left_out else ""


def as_values(keys: Keys) -> dict[str, list[dict[str, Any]]]:
    """The keys as plain values, for JSON."""
    return {str(step): [vars(key) for key in each] for step, each in keys.items()}


def from_values(values: Mapping[str, Iterable[Mapping[str, Any]]]) -> Keys:
    """The keys from plain values. Raises ValueError, TypeError and KeyError."""
    return {
        int(step): tuple(
            ResolvedKey(str(key["key"]), tuple(map(str, key["restore"])), str(key["problem"])) for key in each
        )
        for step, each in values.items()
    }
