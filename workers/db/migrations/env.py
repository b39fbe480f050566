"""Run by Alembic, with the connection that ``workers.db.session.upgrade`` hands over."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Enum

from workers.db.models import Base
from workers.db.models.base import PlainText


def render_item(kind: str, item: object, _autogen: AutogenContext) -> str | Literal[False]:
    """Generated migrations name the database's types: they must not change when our types do."""
    if kind == "type" and isinstance(item, PlainText):
        return "sa.Text()"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String({item.length})"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a table: a batch makes a new one and copies
    compare_type=True,
    render_item=render_item,
)
context.run_migrations()
