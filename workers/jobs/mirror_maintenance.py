"""The mirrors of this machine: opened for a job, kept small and sound while there is nothing better to do."""

from pathlib import Path

import structlog
from sqlalchemy import Engine as Database

from runner.network.egress import EgressSettings
from runner.source.git import GitLogin
from runner.source.mirror import Mirror
from runner.source.mirror_store import tidy_mirrors
from workers.db.session import reading
from workers.settings import Settings
from workers.store import leases

_log = structlog.get_logger()


def note_mirror(sentence: str) -> None:
    """What had to be done about a mirror, for the log."""
    _log.warning("a mirror", note=sentence)


def open_mirror(settings: Settings, company: EgressSettings, url: str, login: GitLogin | None) -> Mirror:
    """The repository's mirror on this machine, which git fetches into as the company's network wants it."""
    reach = company.git_environment(settings.ca_dir)
    return Mirror(settings.mirrors_dir, url, login, note_mirror, reach)


def tidy(database: Database, mirrors: Path) -> None:
    """Tidies mirrors, each once a day, until a job waits."""

    def job_waits() -> bool:
        with reading(database) as session:
            return leases.next_ready(session) is not None

    tidy_mirrors(mirrors, note_mirror, job_waits)
