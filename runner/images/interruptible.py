"""Reads the engine's messages of a pull or push while staying responsive to cancellation."""

from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread

from runner.docker.streams.progress_stream import Message, ProgressStream

POLL_S = 0.2


def interruptible(messages: ProgressStream | Iterable[Message], check: Callable[[], None]) -> Iterator[Message]:
    """The messages as they arrive. ``check`` is called every ``POLL_S`` until they end, and may raise to stop.

    A background thread reads them. If a registry hangs, that thread hangs too; nothing waits for it. When the caller
    stops, the connection is closed.
    """
    queue: SimpleQueue[Message | Exception | None] = SimpleQueue()

    def read() -> None:
        try:
            for message in messages:
                queue.put(message)
            queue.put(None)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that reads the queue
            queue.put(error)

    Thread(target=read, daemon=True, name="read messages").start()
    try:
        yield from _from_queue(queue, check)
    finally:
        if isinstance(messages, ProgressStream):
            messages.close()


def _from_queue(queue: SimpleQueue[Message | Exception | None], check: Callable[[], None]) -> Iterator[Message]:
    while True:
        check()
        try:
            message = queue.get(timeout=POLL_S)
        except Empty:
            continue
        if message is None:
            return
        if isinstance(message, Exception):
            raise message
        yield message
