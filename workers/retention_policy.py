"""How long and how much is kept of a repository: the server's limits, and a repository's own values within them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

RUNS_KEPT = 30
"""So many finished runs of a repository, the newest, are never removed: the first page of its list."""
DELIVERIES_KEPT = 100
"""So many deliveries of a repository, the newest, are never removed because of their number."""


@dataclass(frozen=True)
class RetentionPolicy:
    """Days and numbers; 0 is no limit. A run is removed with its rows and logs, its logs may go before."""

    log_days: int = 0
    run_days: int = 0
    run_count: int = 0
    delivery_days: int = 0
    delivery_count: int = 0

    def within(self, own: Mapping[str, int | None]) -> "RetentionPolicy":
        """What counts for a repository with ``own`` values: the smaller one of each."""
        return RetentionPolicy(**{name: _smaller(limit, own.get(name)) for name, limit in asdict(self).items()})


NAMES = tuple(field.name for field in fields(RetentionPolicy))
LEAST = {"run_count": RUNS_KEPT, "delivery_count": DELIVERIES_KEPT}
"""The least value of a number; of days it is 1."""


def _smaller(limit: int, own: int | None) -> int:
    return min(filter(None, (limit, own)), default=0)
