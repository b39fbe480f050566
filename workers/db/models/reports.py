"""The tables of reports: what each step's tests came to, and the tests that failed or are flaky."""

from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import ID, Base


class StepReport(Base):
    """The reports of one step. They count only in the job's ``origin`` attempt, or with the attempt 0: carried over.

    ``counts`` are the numbers of its tests by their states; empty without tests. ``slowest`` is [{suite, group, name,
    duration_ms}]. All its tests, also those that passed, are lines of the blob ``blob_key``, compressed; None where it
    has none, or the blob store was away. ``warnings`` are sentences about reports that could not be read.
    ``covered_files`` is the coverage of each file, see ``workers/store/covered_files.py``: only there it is read.
    """

    __tablename__ = "step_reports"
    __table_args__ = (
        UniqueConstraint("job_id", "step_number", "attempt"),
        Index(None, "run_id"),
        Index(None, "repo_id", "id"),
        Index(None, "blob_key"),
    )

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    step_number: Mapped[int]
    attempt: Mapped[int]
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    duration_ms: Mapped[int] = mapped_column(default=0)
    slowest: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    warnings: Mapped[list[str]] = mapped_column(default=list)
    covered_lines: Mapped[int | None]
    total_lines: Mapped[int | None]
    blob_key: Mapped[str | None] = mapped_column(ForeignKey("artifact_blobs.key"))
    blob_bytes: Mapped[int] = mapped_column(default=0)
    blob_sha256: Mapped[str] = mapped_column(default="")
    created_ms: Mapped[int]
    covered_files: Mapped[bytes | None] = mapped_column(deferred=True)
    covered_files_bytes: Mapped[int] = mapped_column(default=0)


class TestFailure(Base):
    """A test of a report that failed, or that is flaky. ``key`` is a hash of what identifies the test.

    ``state`` is ``failed``, ``error``, or ``passed`` for one that failed before, at the same commit. ``flaky``: red and
    green at one commit. ``line`` is 0 where it is not known.
    """

    __test__ = False
    __tablename__ = "test_failures"
    __table_args__ = (Index(None, "report_id"), Index(None, "repo_id", "key", "id"))

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("step_reports.id", ondelete="CASCADE"))
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    key: Mapped[str]
    state: Mapped[str]
    flaky: Mapped[bool] = mapped_column(default=False)
    suite: Mapped[str]
    group: Mapped[str] = mapped_column("class_name")
    name: Mapped[str]
    file: Mapped[str]
    line: Mapped[int]
    message: Mapped[str]
    text: Mapped[str]
    duration_ms: Mapped[int]
