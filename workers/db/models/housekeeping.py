"""The tables of housekeeping: how long a repository's rows are kept, and what was measured of the disks."""

from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import ID, Base


class Retention(Base):
    """A repository's own values (``workers.retention_policy``). None: the server's."""

    __tablename__ = "retention"

    repo_id: Mapped[int] = mapped_column(ID, ForeignKey("repos.id", ondelete="CASCADE"), primary_key=True)
    log_days: Mapped[int | None]
    run_days: Mapped[int | None]
    run_count: Mapped[int | None]
    delivery_days: Mapped[int | None]
    delivery_count: Mapped[int | None]


class DiskReport(Base):
    """What was measured of the database and the blob store, or of a machine, in ``facts``."""

    __tablename__ = "disk_reports"

    name: Mapped[str] = mapped_column(primary_key=True)
    measured_ms: Mapped[int]
    facts: Mapped[dict[str, Any]]
