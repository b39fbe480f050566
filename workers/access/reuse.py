"""What a job may use of the results of earlier runs, and whether later ones may use its own."""

from pipelines.plan import Checkout
from workers.access.trust import Permissions


def may_take_results(allowed: Permissions, checkout: Checkout | None) -> bool:
    """Only trusted runs leave results. An untrusted one takes them where it could have fetched the same files.

    Submodules and large files may come from repositories that only the login of this one can read.
    """
    reads_more = checkout is None or checkout.submodules or checkout.lfs
    return not (allowed.access.untrusted and reads_more)


def may_keep_results(allowed: Permissions) -> bool:
    """Whether later runs may take the job's results: as with caches, an untrusted job leaves none."""
    return allowed.access.shared_caches
