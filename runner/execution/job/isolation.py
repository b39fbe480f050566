"""What keeps a job apart from those of other repositories on the same engine, as the caller decides it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Isolation:
    """``build_scope`` is a text that no other repository and no fork can know: builds share cache mounts and the
    results of RUN only with builds of the same scope; if it is empty, with all. ``login_hosts`` are registries for
    which others have a login: their images are used only if the registry gives them to this job as well.
    """

    build_scope: str = ""
    login_hosts: frozenset[str] = frozenset()


NO_ISOLATION = Isolation()
