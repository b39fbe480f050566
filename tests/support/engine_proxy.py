"""A proxy of the Docker Engine's socket that can cut its connections, as if the engine went away during a job."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path


class EngineProxy:
    """Forwards everything until ``cut``: then all connections end, and new ones are refused."""

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

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
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
            self._start(self._forward, ours, theirs)
            self._start(self._forward, theirs, ours)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(64 * 1024):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def cut(self) -> None:
        """The engine goes away."""
        with self._lock:
            self.alive = False
            self._path.unlink(missing_ok=True)
            _end(self._listener, *self._open)

    def cut_streams(self) -> None:
        """Ends all connections, but accepts new ones: as after a restart of the engine."""
        with self._lock:
            _end(*self._open)

    def close(self) -> None:
        """Stops the proxy and closes everything."""
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
