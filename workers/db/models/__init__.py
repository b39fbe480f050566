"""The tables, as SQLAlchemy models. Every ``*_ms`` is milliseconds since 1970 by the database's clock."""

from workers.db.models.artifacts import Artifact, ArtifactBlob
from workers.db.models.base import Base
from workers.db.models.caches import SharedCache
from workers.db.models.deliveries import DeliveryPayload
from workers.db.models.heads import Head, HeadCheck
from workers.db.models.housekeeping import DiskReport, Retention
from workers.db.models.logs import LogSegment, StoredLog
from workers.db.models.processes import Counter, FailedDuty, Leader, SealingKey, Worker
from workers.db.models.reports import StepReport, TestFailure
from workers.db.models.repos import (
    NEWEST_WINS_EVENTS,
    BranchInputs,
    Cron,
    Delivery,
    FormerName,
    Registry,
    Repo,
    Secret,
    SharedForgeToken,
    SharedSecret,
)
from workers.db.models.reuse import ReuseRecord
from workers.db.models.runs import Approval, Job, Run, Status, Step
from workers.db.models.sent_trees import SentTree
from workers.db.models.users import ApiToken, AuditEntry, LoginLink, LoginSession, RepoRole, User

__all__ = [
    "NEWEST_WINS_EVENTS",
    "ApiToken",
    "Approval",
    "Artifact",
    "ArtifactBlob",
    "AuditEntry",
    "Base",
    "BranchInputs",
    "Counter",
    "Cron",
    "Delivery",
    "DeliveryPayload",
    "DiskReport",
    "FailedDuty",
    "FormerName",
    "Head",
    "HeadCheck",
    "Job",
    "Leader",
    "LogSegment",
    "LoginLink",
    "LoginSession",
    "Registry",
    "Repo",
    "RepoRole",
    "Retention",
    "ReuseRecord",
    "Run",
    "SealingKey",
    "Secret",
    "SentTree",
    "SharedCache",
    "SharedForgeToken",
    "SharedSecret",
    "Status",
    "Step",
    "StepReport",
    "StoredLog",
    "TestFailure",
    "User",
    "Worker",
]
