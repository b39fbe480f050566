"""Waits for what the engine says of a pull or a push, without being deaf to a cancel meanwhile."""

from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread

from runner.docker.progress_stream import Answer, Message

POLL_S = 0.2


def heed(messages: Answer | Iterable[Message], check: Callable[[], None]) -> Iterator[Message]:
    """The messages as they come. ``check`` is asked again and again until they end, and may raise to give up on them.

    A registry that hangs keeps the engine, and the thread that reads from it, waiting; nobody waits for that thread.
    Whoever stops listening hangs up.
    """
    box: SimpleQueue[Message | Exception | None] = SimpleQueue()

    def read() -> None:
        try:
            for message in messages:
                box.put(message)
            box.put(None)
        except Exception as error:  # noqa: BLE001 - raised again where somebody waits
            box.put(error)

    Thread(target=read, daemon=True, name="heed").start()
    try:
        yield from _heard(box, check)
    finally:
        if isinstance(messages, Answer):
            messages.close()


def _heard(box: SimpleQueue[Message | Exception | None], check: Callable[[], None]) -> Iterator[Message]:
    while True:
        check()
        try:
            heard = box.get(timeout=POLL_S)
        except Empty:
            continue
        if heard is None:
            return
        if isinstance(heard, Exception):
            raise heard
        yield heard
