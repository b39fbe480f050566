"""The base of all models: column types that both databases support, and names for constraints."""

from enum import Enum as PythonEnum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Dialect, Enum, Integer, MetaData, Text
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import JSON, TypeDecorator

from pipelines.state import Reason, State
from pipelines.trigger import Event
from workers.db.roles import Role, Scope

ID = BigInteger().with_variant(Integer(), "sqlite")  # SQLite increments automatically only an INTEGER

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Constraints have names, because SQLite cannot drop one without."""


class PlainText(TypeDecorator[str]):
    """Text from any source. NUL, which PostgreSQL refuses, and lone surrogates become replacement characters."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _enum(kind: type[PythonEnum]) -> Enum:
    return Enum(kind, native_enum=False, length=32, values_callable=lambda kind: [member.value for member in kind])


TYPES: dict[Any, Any] = {
    str: PlainText(),
    int: BigInteger(),
    dict[str, Any]: JSON(),
    dict[str, str]: JSON(),
    list[str]: JSON(),
    list[dict[str, Any]]: JSON(),
    State: _enum(State),
    Reason: _enum(Reason),
    Event: _enum(Event),
    Role: _enum(Role),
    Scope: _enum(Scope),
}
"""The column type of each Python type."""


class Base(DeclarativeBase):
    """The base class of all models."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar = TYPES
