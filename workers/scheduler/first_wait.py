"""The scheduler waits for a database that is not ready: in a cluster, parts start in any order."""

import threading

import structlog

from workers.errors import NotYetError
from workers.scheduler.candidate import TICK_S
from workers.secrets.vault import Vault
from workers.settings import Settings
from workers.startup import check_installation

_log = structlog.get_logger()


def when_there_is_an_installation(settings: Settings, stop: threading.Event) -> Vault | None:
    """Waits until the database can be used, and says so once. None where ``stop`` is set before."""
    said = False
    while not stop.is_set():
        try:
            return check_installation(settings)
        except NotYetError as error:
            if not said:
                _log.warning("the scheduler waits for the database", problem=str(error))
            said = True
        stop.wait(TICK_S)
    return None
