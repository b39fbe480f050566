"""What readers of one process have read from the blob store lately, shared by all of them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable


class ByteCache:
    """The most recently used pieces, ``bytes_max`` together at most. For several threads."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._pieces: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> bytes | None:
        """The piece, if it is here."""
        with self._lock:
            if key in self._pieces:
                self._pieces.move_to_end(key)
            return self._pieces.get(key)

    def get(self, key: Hashable, load: Callable[[], bytes]) -> bytes:
        """The piece, loaded where it is not here. Two threads may load it at once."""
        piece = self.find(key)
        if piece is None:
            piece = load()
            self.put(key, piece)
        return piece

    def put(self, key: Hashable, piece: bytes) -> None:
        """Keeps a piece, in place of the ones that were not used for longest."""
        with self._lock:
            self._bytes += len(piece) - len(self._pieces.pop(key, b""))
            self._pieces[key] = piece
            while self._bytes > self._bytes_max:
                self._bytes -= len(self._pieces.popitem(last=False)[1])
