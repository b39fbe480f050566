"""Keeps Celery's own lines out of a worker's log: what an operator sees has one format, and is in Headway's words."""

import warnings
from typing import Any

from celery.apps.worker import install_worker_term_handler  # type: ignore[attr-defined]  # its stubs lack it
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging


def quiet(base: type[Any]) -> type[Any]:
    """The class of a Celery worker that prints nothing itself, and leaves the log as it is configured."""
    # Root is what a worker in a container is, and who may use the engine is root by that alone.
    warnings.filterwarnings("ignore", category=SecurityWarning)

    @setup_logging.connect(weak=False)
    def _keep_ours(**_: object) -> None:
        """With a receiver of this signal Celery leaves the log as it is."""

    class QuietWorker(base):  # type: ignore[misc]  # Celery makes the class at run time
        def install_platform_tweaks(self, worker: Any) -> None:  # noqa: ANN401 - Celery's own object, which has no type
            super().install_platform_tweaks(worker)
            install_worker_term_handler(worker, verbose=False)

    return QuietWorker
