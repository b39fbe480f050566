"""Which of several schedulers leads."""

from dataclasses import dataclass, field

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from workers.db.session import transaction
from workers.scheduler.pace import AT_REST_S
from workers.scheduler.silence import SilenceWatch
from workers.store.processes import leaders

TICK_S = 1.0
_ROUNDS = 5
"""For how many rounds it keeps the lead without going on."""
LEAD_S = _ROUNDS * AT_REST_S
"""After so long without a round another scheduler takes over, whatever the database's clock says."""

_log = structlog.get_logger()


@dataclass
class Candidate:
    """A scheduler that leads, or takes over when the one that leads falls silent."""

    engine: Engine
    owner: str
    watch: SilenceWatch[leaders.Lead] = field(default_factory=SilenceWatch)

    def leads(self, pause_s: float = TICK_S) -> bool:
        """Takes the lead, or goes on leading, if it may. Call it again after ``pause_s``. Raises SQLAlchemyError."""
        with transaction(self.engine) as session:
            found = leaders.leader(session, leaders.SCHEDULER)
            silent = self.watch.silent([found] if found else [], lambda _: LEAD_S)
            lease_s = int(_ROUNDS * pause_s)
            return leaders.take_lead(session, leaders.SCHEDULER, self.owner, lease_s, silent[0] if silent else None)

    def give_up(self) -> None:
        """Lets another scheduler take over at once."""
        try:
            with transaction(self.engine) as session:
                leaders.give_up_lead(session, leaders.SCHEDULER, self.owner)
        except SQLAlchemyError as error:
            _log.warning("another scheduler takes over a few seconds late", error=str(error))
