"""A socket in front of the Docker Engine that can be cut, as if the engine went away in mid-work."""

import socket
import threading
from pathlib import Path


class EngineProxy:
    """Passes everything on until ``cut``: then all connections end, and new ones are refused."""

    def __init__(self, folder: Path, engine_socket: str) -> None:
        self._engine_socket = engine_socket
        self._path = folder / "engine.sock"
        self.host = f"unix://{self._path}"
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.alive = True
        self._listen()

    def _listen(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        self._start(self._accept, self._listener)

    def _start(self, *work: object) -> None:
        thread = threading.Thread(target=work[0], args=work[1:], daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                ours, _ = listener.accept()
            except OSError:
                return
            theirs = socket.socket(socket.AF_UNIX)
            theirs.connect(self._engine_socket)
            with self._lock:
                self._open += [ours, theirs]
                if not self.alive:
                    _end(ours, theirs)
            self._start(self._pass_on, ours, theirs)
            self._start(self._pass_on, theirs, ours)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(64 * 1024):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def cut(self) -> None:
        """The engine is gone."""
        with self._lock:
            self.alive = False
            self._path.unlink(missing_ok=True)
            _end(self._listener, *self._open)

    def cut_streams(self) -> None:
        """All connections end, and the engine goes on: it was restarted, say."""
        with self._lock:
            _end(*self._open)

    def close(self) -> None:
        """Stops, and gives everything back."""
        self.cut()
        for thread in self._threads:
            thread.join()
        for connection in (self._listener, *self._open):
            connection.close()


def _end(*connections: socket.socket) -> None:
    for connection in connections:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
