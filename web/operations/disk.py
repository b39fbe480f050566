"""What uses how much: the database, the logs, each repository, each machine. As it was measured last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from web.operations.lookup import check_administrator
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.db.models import DiskReport
from workers.db.session import reading
from workers.store.processes.disk_reports import SERVER, reports

WORDS: Mapping[str, str] = {
    "database": "Database",
    "logs": "Logs in the blob store",
    "deleted_logs": "Logs that are being deleted",
    "artifacts": "Artifacts in the blob store",
    "mirrors": "Mirrors",
    "caches": "Caches of steps",
    "workspaces": "Workspaces of jobs",
    "kept_files": "Files of failed jobs",
    "spool": "Output that waits for the blob store",
    "old_logs": "Logs of older versions",
    "images": "Images that Headway has pulled or made",
    "other_images": "Images of others",
    "build_cache": "Build cache of all builds",
    "containers": "Written in Headway's containers",
    "other_containers": "Written in containers of others",
}
"""What each kind of bytes is."""


@dataclass(frozen=True)
class MachineUse:
    """A machine with workers. ``*_percent`` say when it makes room on its disk, and until when."""

    host: str
    folder: str
    measured_ms: int
    total_bytes: int
    free_bytes: int
    high_percent: int
    low_percent: int
    bytes: Mapping[str, int]
    freed_bytes: int = 0
    problem: str = ""

    @property
    def used_percent(self) -> int:
        """How full its disk is."""
        return (self.total_bytes - self.free_bytes) * 100 // max(1, self.total_bytes)


@dataclass(frozen=True)
class RepoUse:
    """What a repository has: runs, logs in the blob store, and mirrors and caches on all machines."""

    name: str
    runs: int
    log_bytes: int
    mirror_bytes: int
    cache_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return self.log_bytes + self.mirror_bytes + self.cache_bytes


@dataclass(frozen=True)
class DiskUse:
    """Everything that was measured. ``measured_ms`` is of the database and the logs; None: not yet."""

    measured_ms: int | None = None
    bytes: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    machines: Sequence[MachineUse] = ()
    repos: Sequence[RepoUse] = ()


def disk_use(services: OperationServices, actor: Actor) -> DiskUse:
    """What uses how much; the repositories that use most come first. Raises ForbiddenError."""
    check_administrator(actor)
    with reading(services.engine) as session:
        found = {report.name: report for report in reports(session)}
        names = {repo.id: repo.name for repo in store.repos(session)}
    shared = found.pop(SERVER, None)
    machines = list(found.values())
    facts = shared.facts if shared else {}
    return DiskUse(
        shared.measured_ms if shared else None,
        facts.get("bytes", {}),
        facts.get("rows", {}),
        [_machine(report) for report in machines],
        _repos(names, facts.get("repos", {}), machines),
    )


def _machine(report: DiskReport) -> MachineUse:
    facts = {name: value for name, value in report.facts.items() if name in MachineUse.__dataclass_fields__}
    return MachineUse(measured_ms=report.measured_ms, **facts)


def _repos(
    names: Mapping[int, str], shared: Mapping[str, Mapping[str, int]], machines: Sequence[DiskReport]
) -> list[RepoUse]:
    """Reports may name repositories that are gone, and new ones are in none."""
    found = []
    for repo_id, name in names.items():
        rows = shared.get(str(repo_id), {})
        mirrors, caches = (
            sum(report.facts.get(kind, {}).get(str(repo_id), 0) for report in machines)
            for kind in ("mirrors", "caches")
        )
        found.append(RepoUse(name, rows.get("runs", 0), rows.get("log_bytes", 0), mirrors, caches))
    return sorted(found, key=lambda each: (-each.size_bytes, -each.runs, each.name))
