"""One request to stop, heard by all."""

import os
import select
import signal
import threading
import time

from runner.cancellation import Cancel


def test_who_asked_first_counts() -> None:
    cancel = Cancel()
    assert not cancel
    assert not cancel.wait(0)
    cancel.set("ada")
    cancel.set("bob", lost=True)
    assert cancel
    assert (cancel.by, cancel.lost) == ("ada", False)
    assert cancel.wait(60)
    cancel.close()


def test_a_select_wakes_up_and_stays_awake() -> None:
    cancel = Cancel()
    assert select.select([cancel], [], [], 0) == ([], [], [])
    threading.Thread(target=cancel.set, args=("ada",)).start()
    assert select.select([cancel], [], [], 60)[0] == [cancel]
    assert select.select([cancel], [], [], 0)[0] == [cancel]
    cancel.close()


def test_after_close_it_writes_to_no_descriptor() -> None:
    cancel = Cancel()
    cancel.close()
    read, write = os.pipe()
    cancel.set("ada")
    assert select.select([read], [], [], 0) == ([], [], [])
    assert not cancel
    cancel.close()
    os.close(read)
    os.close(write)


def test_a_signal_may_interrupt_another_signal_and_a_wait() -> None:
    cancel, before = Cancel(), signal.getsignal(signal.SIGALRM)
    signal.signal(signal.SIGALRM, lambda _signal, _frame: cancel.set("a signal"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            assert cancel.wait(60)
            cancel.set("ada")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert cancel.by == "a signal"
    cancel.close()


def test_many_may_ask_at_once() -> None:
    cancel = Cancel()
    threads = [threading.Thread(target=cancel.set, args=(str(number),)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.read(cancel.fileno(), 100) == b"!"
    cancel.close()
