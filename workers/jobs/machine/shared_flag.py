"""A flag that the processes of one worker share: made before they are forked."""

import mmap


class SharedFlag:
    """False until any of the processes sets it."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def __bool__(self) -> bool:
        return self._byte[0] != 0

    def set(self, *, to: bool = True) -> None:
        """Sets or clears the flag, for all processes at once."""
        self._byte[0] = to
