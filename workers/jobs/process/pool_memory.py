"""What the processes of a worker's pool share: what their parent has made before it forks them."""

import gc
from contextlib import suppress
from importlib import import_module

from workers.tracing.exporter import import_early


def share_memory() -> None:
    """Loads what each child would load, and keeps the garbage collector from it. Call it before each fork."""
    import_early()
    # Celery's children load a parser of C declarations (3 MiB), to get a signal when their parent ends.
    with suppress(ImportError):
        import_module("cffi").FFI().cdef("int prctl(int option, ...);")
    # The garbage collector would write into what the child shares with this process, and so copy it.
    gc.freeze()
