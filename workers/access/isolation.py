"""What keeps a job apart from those of other repositories on the same engine."""

from sqlalchemy import Engine

from runner.execution.job.isolation import Isolation
from workers import store
from workers.access.trust import Permissions
from workers.db.session import reading
from workers.secrets.vault import Vault


def isolation_for(database: Engine, vault: Vault, repo: tuple[int, str], allowed: Permissions) -> Isolation:
    """See ``Isolation``. A fork's builds share nothing with those of the repository, nor with those of other forks.

    ``repo`` are the repository's id and random key: one that has got the same id in a database that was restored
    shares nothing, as with caches of steps.
    """
    repo_id, key = repo
    with reading(database) as session:
        rows = store.registries(session)
        own = store.registries_for(session, repo_id) if allowed.registry_logins else {}
        used = {row.id for row in own.values()}
        hosts = frozenset(row.host for row in rows if row.id not in used)
    scope = vault.name_for(f"builds/{repo_id}/{key}/{allowed.group_scope}")
    return Isolation(scope, hosts)
