"""Which caches a job may use: its repository's. An untrusted job reads them, and writes none."""

import re

from runner.caches.job_caches import CacheAccess
from runner.caches.sharing import SharedCaches
from runner.caches.store import CacheStore
from runner.execution.job.journal import boot_id
from workers.access.trust import Permissions
from workers.secrets.vault import Vault
from workers.settings import Settings

_SCOPE = re.compile("([0-9]{1,18})-[0-9a-f]{64}")


def caches_for(
    vault: Vault, settings: Settings, repo: tuple[int, str], allowed: Permissions, shared: SharedCaches | None = None
) -> CacheAccess:
    """The caches of a job of the repository with this id and random key. ``shared`` has copies of other machines.

    The name of the scope needs the key and the server's keys. So a repository of another server, or one that has got
    the same id in a database that was restored, never reads another's.
    """
    repo_id, key = repo
    scope = f"{repo_id}-{vault.name_for(f'caches/{repo_id}/{key}')}"
    untrusted = "" if allowed.access.shared_caches else allowed.access.untrusted or "it may not write shared caches"
    return CacheAccess(CacheStore(settings.caches_dir, boot_id()), scope, settings.cache_bytes_max, untrusted, shared)


def repo_of_scope(scope: str) -> int | None:
    """The repository whose caches have this scope."""
    found = _SCOPE.fullmatch(scope)
    return int(found[1]) if found else None
