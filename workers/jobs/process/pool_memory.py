"""What the processes of a worker's pool share: what their parent has made before it forks them."""

import gc
from contextlib import suppress
from importlib import import_module

from workers.tracing.exporter import import_early

_LOADED_LATE = ("git", "runner.execution.builds.build_step", "runner.execution.builds.push_step")
"""What the runner loads only where a job needs it, for the sake of `headway run`; here most jobs do."""


def share_memory() -> None:
    """Loads what each child would load, and keeps the garbage collector from it. Call it before each fork."""
    import_early()
    for name in _LOADED_LATE:
        import_module(name)
    # Celery's children load a parser of C declarations (3 MiB), to get a signal when their parent ends.
    with suppress(ImportError):
        import_module("cffi").FFI().cdef("int prctl(int option, ...);")
    # The garbage collector would write into what the child shares with this process, and so copy it.
    gc.freeze()
