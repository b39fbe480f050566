"""The processes worker and scheduler, from their start to their end. Each loads what it needs only when it runs."""

import signal
import threading

from runner.errors import MachineError
from runner.private import private_umask
from workers.errors import StartError
from workers.log_lines import configure_log
from workers.settings import Settings
from workers.startup import check_installation, sentences


def worker(settings: Settings, exit_when_idle_s: float | None = None, *, ends: bool = True) -> None:
    """Runs a worker until a signal stops it, or it is drained and ``ends`` then. Raises StartError."""
    from workers.jobs.takeovers.lease_holding import hold_leases

    configure_log(settings.log_format)
    check_installation(settings)
    hold_leases(settings)
    # Only now: loading it takes long.
    from workers.jobs.process.process import run_worker

    try:
        with private_umask(), sentences(settings):
            run_worker(settings, exit_when_idle_s, ends=ends)
    except MachineError as error:
        raise StartError(f"The worker cannot work: {error}.") from None


def supervised_worker(settings: Settings) -> None:
    """A worker of ``headway serve``: when it is drained it stays, because a new one would be started in its place."""
    worker(settings, ends=False)


def scheduler(settings: Settings) -> None:
    """Runs the scheduler until TERM or INT. Raises StartError."""
    from workers.scheduler.scheduler import run_scheduler
    from workers.tracing.exporter import report_problem

    configure_log(settings.log_format)
    report_problem()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with private_umask(), sentences(settings):
        run_scheduler(settings, stop)
