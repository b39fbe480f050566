"""What is kept of webhook deliveries, so that one can be looked at and replayed."""

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import Base


class DeliveryPayload(Base):
    """The body of a delivery, compressed with zstd, and those of its headers that hold no secret.

    A table of its own: the list of deliveries and webhooks that come again read none of it. ``key`` is the delivery's
    ``payload_key``.
    """

    __tablename__ = "delivery_payloads"
    __table_args__ = (
        ForeignKeyConstraint(["repo_id", "key"], ["deliveries.repo_id", "deliveries.key"], ondelete="CASCADE"),
        Index(None, "stored_ms"),
    )

    repo_id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    stored_ms: Mapped[int]  # before what may be long: it is read without that
    headers: Mapped[dict[str, str]]
    body: Mapped[bytes] = mapped_column(LargeBinary)
