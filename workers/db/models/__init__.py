"""The tables, as SQLAlchemy models. Every ``*_ms`` is milliseconds since 1970 by the database's clock."""

from workers.db.models.base import Base
from workers.db.models.processes import Counter, Leader, Worker
from workers.db.models.repos import BranchInputs, Cron, Delivery, Registry, Repo, Secret
from workers.db.models.runs import Job, Run, Status, Step
from workers.db.models.users import ApiToken, LoginLink, LoginSession, User

__all__ = [
    "ApiToken",
    "Base",
    "BranchInputs",
    "Counter",
    "Cron",
    "Delivery",
    "Job",
    "Leader",
    "LoginLink",
    "LoginSession",
    "Registry",
    "Repo",
    "Run",
    "Secret",
    "Status",
    "Step",
    "User",
    "Worker",
]
