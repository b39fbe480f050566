"""The tables of Headway's own processes: which workers are alive, which scheduler leads, counters, keys."""

from sqlalchemy import false
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import Base


class Worker(Base):
    """A worker: the labels that it offers, and until when its last heartbeat counts.

    ``problem`` is a sentence where it takes no job, and empty where it does.
    ``drained``: it takes no new job, and ends when its jobs have ended.
    """

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    labels: Mapped[dict[str, str]]
    slots: Mapped[int]
    started_ms: Mapped[int]
    seen_ms: Mapped[int]
    until_ms: Mapped[int]
    problem: Mapped[str] = mapped_column(default="")
    drained: Mapped[bool] = mapped_column(default=False, server_default=false())


class Leader(Base):
    """Leader election: which process has a role that only one may have, and until when."""

    __tablename__ = "leaders"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    until_ms: Mapped[int]


class FailedDuty(Base):
    """A duty of the scheduler that fails: why, and since when."""

    __tablename__ = "failed_duties"

    name: Mapped[str] = mapped_column(primary_key=True)
    problem: Mapped[str]
    since_ms: Mapped[int]


class Counter(Base):
    """A number by name, such as how many webhooks were refused."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


class SealingKey(Base):
    """A key that has sealed secrets. The row with the highest ``number`` is the key that seals now.

    ``fingerprint`` tells another key with the same id; the key does not follow from it.
    """

    __tablename__ = "sealing_keys"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key_id: Mapped[str]
    fingerprint: Mapped[str]
