"""Roles of users on a repository, and scopes of API tokens. Both are listed from the least to the most."""

from enum import Enum


class Role(Enum):
    """What a user may do on one repository. Not a ``StrEnum``: comparing the words would put ``admin`` lowest."""

    READ = "read"
    """See the runs and their logs."""
    WRITE = "write"
    """Also start, re-run, cancel and approve runs."""
    ADMIN = "admin"
    """Also change secrets, crons, settings and roles."""

    def includes(self, needed: "Role") -> bool:
        """Whether who has this role may do what ``needed`` is for."""
        return _ROLES.index(self) >= _ROLES.index(needed)


_ROLES = tuple(Role)


class Scope(Enum):
    """What an API token may be used for, at most. It never allows more than its user's own roles."""

    READ = "read"
    RUN = "run"
    ADMIN = "admin"

    @property
    def role_max(self) -> Role:
        """The highest role that a token of this scope can use."""
        return _ROLES_OF_SCOPES[self]


_ROLES_OF_SCOPES = {Scope.READ: Role.READ, Scope.RUN: Role.WRITE, Scope.ADMIN: Role.ADMIN}


def lower(one: Role, other: Role) -> Role:
    """The lower of two roles."""
    return other if one.includes(other) else one
