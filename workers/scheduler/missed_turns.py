"""Turns in concurrency groups that were missed.

The transaction that ends a job gives the next one of its group its turn. Two transactions at the same time may each not
see what the other one changes, and a crash may come in between: what was missed then is found here.
"""

from dataclasses import dataclass

from sqlalchemy import Engine

from workers.db.session import reading, transaction
from workers.store.jobs import lanes

GROUPS_AT_ONCE = 20


@dataclass
class MissedTurns:
    """Looks at some groups in each round, and at all of them in turn. ``after`` is the last one that it has seen."""

    after: str = ""

    def __call__(self, engine: Engine) -> None:
        """One round. It writes only where it finds something."""
        with reading(engine) as session:
            groups = lanes.next_held_groups(session, self.after, GROUPS_AT_ONCE)
            missed = [each for each in groups if lanes.due_turns(session, *each)]
        self.after = groups[-1][1] if len(groups) == GROUPS_AT_ONCE else ""
        if missed:
            with transaction(engine) as session:
                for repo_id, group_key in missed:
                    lanes.give_turns(session, repo_id, group_key)
