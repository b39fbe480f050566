"""What the processes of a worker's pool share: what their parent has made before it forks them."""

import gc
from contextlib import suppress
from importlib import import_module

from workers.tracing.exporter import import_early


def share_memory() -> None:
    """Call it before each fork.

    Each child asks the kernel for a signal at its parent's death, through a parser of C declarations: 3 MiB.
    """
    import_early()
    with suppress(ImportError):
        import_module("cffi").FFI().cdef("int prctl(int option, ...);")
    # The garbage collector would write into what the child shares with this process, and so copy it.
    gc.freeze()
