"""Caches of ``headway run``: in the user's cache folder, apart for each repository."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from runner.caches.job_caches import CacheAccess
from runner.caches.store import CacheStore
from runner.cli.cache_folder import cache_folder
from runner.execution.job.journal import boot_id

LOCAL_BYTES_MAX = 10 * 1024**3
"""What the caches of all repositories of a user may have together."""


def local_caches(environment: Mapping[str, str], repository: Path) -> CacheAccess:
    """What jobs of the repository in this folder may use.

    By the folder, not the address from which it was cloned: a folder of a stranger could name any.
    """
    scope = hashlib.sha256(str(repository.resolve()).encode()).hexdigest()[:32]
    return CacheAccess(CacheStore(cache_folder(environment, "caches"), boot_id()), scope, LOCAL_BYTES_MAX)
