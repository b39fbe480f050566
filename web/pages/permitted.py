"""Which forms and buttons a page about a repository shows. Whether they work is decided by the operations again."""

from dataclasses import dataclass

from workers.db.roles import Role


@dataclass(frozen=True)
class Permitted:
    """``run``: start, cancel and re-run runs. ``settings``: change secrets, crons, settings and roles."""

    run: bool
    settings: bool


def permitted(role: Role | None) -> Permitted:
    """What a user with this role on the page's repository may do."""
    return Permitted(
        run=role is not None and role.includes(Role.WRITE), settings=role is not None and role.includes(Role.ADMIN)
    )
