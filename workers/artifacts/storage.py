"""Keeps the artifacts of one job on the server, and reads those of its run."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine

from pipelines.plan import Artifacts
from pipelines.state import Reason
from runner.artifacts.files import FoundFile, KeptFile, refused
from runner.errors import MachineError
from runner.logs.output import never_low
from workers.artifacts.samples import sample_of
from workers.artifacts.seals import Sealing, checked
from workers.blobs import BlobsAwayError, BlobStore, StoredBlob
from workers.db.models import Artifact
from workers.db.session import persist, reading
from workers.store import artifacts as rows
from workers.store.artifacts import Content, Look, Marks, NewArtifact
from workers.store.jobs.leases import Claim

PROGRAM, NO_PROGRAM = 0o755, 0o644
FILES_AT_ONCE = 100
AT_ONCE_BYTES_MAX = 1024 * 1024
PUTS_AT_ONCE = 8
"""A disk makes many files durable in the time of a few, and a bucket answers many requests at once."""


def blob_name(key: str) -> str:
    """The name of a blob in the blob store."""
    return f"artifacts/{key[:2]}/{key}"


@dataclass(frozen=True)
class RunLimits:
    """What all steps of a run may keep together. While ``disk_low``, nothing is kept: the database needs the room.

    Jobs of a run that keep files at the same time may pass it by what each of their steps may keep.
    """

    bytes_max: int = 10 * 1024**3
    files_max: int = 100_000
    disk_low: Callable[[], bool] = never_low


NO_LIMITS = RunLimits(bytes_max=2**63, files_max=2**63)


class StoredArtifacts:
    """See ``ArtifactStorage``. Calls raise StaleAttemptError once the job belongs to another attempt."""

    def __init__(
        self, database: Engine, blobs: BlobStore, claim: Claim, repo_id: int, limits: RunLimits = NO_LIMITS
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._claim = claim
        self._repo_id = repo_id
        self._limits = limits
        self._seals: dict[str, str] = {}

    def keep(self, step: int, asked: Artifacts, files: Sequence[FoundFile]) -> None:
        """See ``ArtifactStorage``."""
        self._check_run(step, files)
        address = (self._claim.job_id, self._claim.attempt, step)
        for start in range(0, max(1, len(files)), FILES_AT_ONCE):
            new = self.store(files[start : start + FILES_AT_ONCE])
            add = partial(
                rows.replace_artifacts, address=address, name=asked.name, expire_s=asked.expire_s, files=new,
                first=start == 0,
            )  # fmt: skip
            if not persist(self._database, add):
                raise BlobsAwayError("Artifacts took longer than an hour to be stored; re-run the job.")

    def _check_run(self, step: int, files: Sequence[FoundFile]) -> None:
        """Raises StepError where the run would keep too much. A sparse file costs a step nothing, the server all."""
        with reading(self._database) as session:
            count, size_bytes = rows.count_artifacts(session, self._claim.run_id, but=(self._claim.job_id, step))
        count, size_bytes = count + len(files), size_bytes + sum(file.size_bytes for file in files)
        limits, remedy = self._limits, "keep fewer, or raise on the server HEADWAY_ARTIFACT_RUN"
        if count > limits.files_max:
            raise refused(f"its run would keep more than {limits.files_max:,} files; {remedy}_FILES_MAX")
        if size_bytes > limits.bytes_max:
            raise refused(f"its run would keep more than {limits.bytes_max:,} bytes; {remedy}_BYTES_MAX")

    def _check_room(self) -> None:
        if self._limits.disk_low():
            why = "its artifacts are not kept: the disk of the server is nearly full; make room on it and re-run"
            raise MachineError(Reason.DISK_FULL, why)

    def store(self, files: Sequence[FoundFile]) -> list[NewArtifact]:
        """Stores the bytes of these files, but for those that the repository has already."""
        with ThreadPoolExecutor(PUTS_AT_ONCE, "artifacts") as pool:
            looks = dict(zip(files, pool.map(_look, files), strict=True))
            contents = self._known_contents(looks, pool)
            fresh = {content: secrets.token_hex(16) for content in set(contents.values())}
            use = partial(rows.use_blobs, repo_id=self._repo_id, fresh=fresh)
            used = persist(self._database, use) if fresh else {}
            keys = {file: used[contents[file]][0] if file in contents else secrets.token_hex(16) for file in files}
            stored = {key: content for content, (key, is_stored) in used.items() if is_stored}
            new = {key: file for file, key in reversed(keys.items()) if key not in stored}
            sizes = {key: file.size_bytes for key, file in new.items() if file not in contents}
            persist(self._database, partial(rows.begin_blobs, repo_id=self._repo_id, sizes_bytes=sizes))
            # A step that still runs may have changed a file: what was stored counts.
            put = dict(zip(new, pool.map(self._put, new.keys(), new.values()), strict=True))
        actual = {key: content for key, (content, _) in put.items()}
        marks = {key: Marks(looks[new[key]].sample, seal) for key, (_, seal) in put.items()}
        note = partial(rows.blobs_are_stored, repo_id=self._repo_id, stored=actual, marks=marks)
        final = persist(self._database, note) if actual else {}
        stored |= actual
        return [
            NewArtifact(file.path, PROGRAM if file.executable else NO_PROGRAM, stored[key], final.get(key, key))
            for file, key in keys.items()
        ]

    def _known_contents(self, looks: Mapping[FoundFile, Look], pool: Executor) -> dict[FoundFile, Content]:
        """The contents of the files that the repository may have already, or that may be in this list twice.

        A file is read once more for that, so that only those are which look like another one.
        """
        counts = Counter(looks.values())
        with reading(self._database) as session:
            known = rows.looks_of_blobs(session, self._repo_id, counts)
        maybe = [
            file for file, look in looks.items() if counts[look] > 1 or look in known or Look(look.size_bytes) in known
        ]
        return dict(zip(maybe, pool.map(_content, maybe), strict=True))

    def _put(self, key: str, file: FoundFile) -> tuple[Content, str]:
        """Stores the bytes of a file, and returns their seal with what they are.

        Those of a small one are given at once: a bucket takes them in one request.
        """
        sealing = Sealing(self._pieces(file))
        put = self._blobs.put(blob_name(key), b"".join(sealing) if file.size_bytes <= AT_ONCE_BYTES_MAX else sealing)
        return Content(put.sha256, put.size_bytes), sealing.seal()

    def _pieces(self, file: FoundFile) -> Iterator[bytes]:
        for piece in file.pieces():
            self._check_room()
            yield piece

    def kept_by(self, workflows: Sequence[str]) -> Sequence[KeptFile]:
        """See ``ArtifactStorage``. Of the same run alone."""
        with reading(self._database) as session:
            found = rows.artifacts_to_restore(session, self._claim.run_id, workflows)
        self._seals |= {each.artifact.blob_key: each.seal for each in found if each.seal}
        return [_kept(each.artifact, each.workflow) for each in found]

    def read(self, file: KeptFile) -> Iterator[bytes]:
        """See ``ArtifactStorage``."""
        name = blob_name(file.key)
        if seal := self._seals.get(file.key):
            return checked(name, seal, self._blobs.get(name))
        return self._blobs.get(name, StoredBlob(file.size_bytes, file.sha256))


def _kept(artifact: Artifact, workflow: str) -> KeptFile:
    is_program = artifact.mode == PROGRAM
    return KeptFile(artifact.path, artifact.size_bytes, is_program, artifact.sha256, artifact.blob_key, workflow)


def _look(file: FoundFile) -> Look:
    return Look(file.size_bytes, sample_of(file))


def _content(file: FoundFile) -> Content:
    digest, size_bytes = hashlib.sha256(), 0
    for piece in file.pieces():
        digest.update(piece)
        size_bytes += len(piece)
    return Content(digest.hexdigest(), size_bytes)
