"""What uses how much of the database, the blob store and the machines' disks, as JSON."""

from pydantic import Field

from web.api.schemas import Schema
from web.json_api import make_router
from web.operations import disk
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


class MachineUseSchema(Schema):
    """A machine with workers: its disk, and what is on it by kind."""

    host: str
    folder: str = Field(description="The data directory of its workers.")
    measured_ms: int
    total_bytes: int
    free_bytes: int
    high_percent: int = Field(description="When its disk is fuller, it makes room,")
    low_percent: int = Field(description="until it is no fuller than this.")
    bytes: dict[str, int]
    freed_bytes: int = Field(description="What was removed to make room, when it was measured.")
    problem: str = Field(description="Why something could not be measured or removed; empty where all is well.")


class RepoUseSchema(Schema):
    """A repository: its runs, logs in the blob store, and mirrors and caches on all machines."""

    name: str
    runs: int
    log_bytes: int
    mirror_bytes: int
    cache_bytes: int


class DiskUseSchema(Schema):
    """``bytes`` by kind and ``rows`` by table, of what all machines share."""

    measured_ms: int | None
    bytes: dict[str, int]
    rows: dict[str, int]
    machines: list[MachineUseSchema]
    repos: list[RepoUseSchema]


@router.get("/disk")
def get_disk(services: ServicesDep, user: CurrentUser) -> DiskUseSchema:
    """What uses how much, as it was measured last."""
    return DiskUseSchema.model_validate(disk.disk_use(services, user))
