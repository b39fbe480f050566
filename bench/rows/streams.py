"""Many open pages: does the front page still come as fast as without them, what do they take, and how late are they?"""

import http.client
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median

from bench.measure import NotMeasurableError, interleave
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.client import flood
from bench.rows.hooks import ACCEPTED, delivery, secret_in
from bench.rows.rest import pss_mib
from bench.servers import WebAlone, redis_server

STREAMS, RUNS = 2_000, 50
_PAGES_IN_A_ROUND = 20
_ROUNDS = 9
_SETTLE_S = 5
_QUIET_S, _NEWS_MAX_S = 3, 30
ROW = Row(
    "front-page-streams",
    f"the front page while {STREAMS:,} streams are open: half of the front page, half of {RUNS} runs",
    "the same server without streams",
    "s",
    Target(Kind.RATIO_AT_MOST, 2.0),
)
MEMORY = Row(
    "streams-memory",
    f"memory (PSS) of the web server for each of {STREAMS:,} open streams",
    "",
    "KiB",
    Target(Kind.FIGURE_AT_MOST, 64),
)
DELAY = Row(
    "streams-delay",
    f"from a webhook until all {STREAMS // 2:,} open front pages get its notice, {STREAMS:,} streams open",
    "the same server with one stream",
    "s",
    Target(Kind.FIGURE_AT_MOST, 2.0),
)


def front_page(bench: Bench) -> dict[Row, Measured]:
    """Two servers with the same rows, asked alternately; one has the streams, the other has one."""
    with ExitStack() as stack:
        (busy, say), (idle, say_idle) = (_web(stack, bench, f"{ROW.name}-{name}") for name in ("busy", "idle"))
        before = _memory_mib(busy)
        opened = stack.enter_context(_streams(busy, STREAMS))
        time.sleep(_SETTLE_S)
        memory = (_memory_mib(busy) - before) * 1024 / STREAMS
        variants = {"ours": partial(_page_s, busy), "baseline": partial(_page_s, idle)}
        timed = interleave(bench.rounds_of(_ROUNDS), variants)
        one = stack.enter_context(_streams(idle, 2))
        variants = {"ours": partial(_news_s, opened, say), "baseline": partial(_news_s, one, say_idle)}
        news = interleave(bench.rounds_of(_ROUNDS), variants)
        alive = sum(_is_open(each) for each in opened)
    if alive != STREAMS:
        raise NotMeasurableError(f"of {STREAMS} streams {STREAMS - alive} were closed by the server")
    return {
        ROW: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures)),
        MEMORY: Measured(memory, None, {}, f"{before:.0f} MiB before"),
        DELAY: Measured(news.median("ours"), news.median("baseline"), dict(news.figures)),
    }


def _memory_mib(web: WebAlone) -> float:
    return pss_mib(web.process.pid) if web.process else 0.0


def _news_s(opened: Sequence[socket.socket], say: Callable[[], None]) -> float:
    """Seconds from a webhook until the last stream of the front page has something new."""
    waiting = set(opened[1::2])
    time.sleep(_QUIET_S)
    for each in opened:
        _is_open(each)
    poll, by_number = select.poll(), {each.fileno(): each for each in waiting}
    for number in by_number:
        poll.register(number, select.POLLIN)
    started_s = time.perf_counter()
    say()
    while waiting:
        ready = poll.poll(_NEWS_MAX_S * 1000)
        if not ready:
            raise NotMeasurableError(f"{len(waiting)} streams heard nothing within {_NEWS_MAX_S} s")
        for number, _ in ready:
            waiting.discard(by_number[number])
            poll.unregister(number)
    return time.perf_counter() - started_s


def _web(stack: ExitStack, bench: Bench, name: str) -> tuple[WebAlone, Callable[[], None]]:
    """A web server with runs that wait, for no worker takes them; and what sends it one more webhook."""
    place = bench.place(name)
    web = WebAlone(place, stack.enter_context(redis_server(place / "redis")))
    stack.enter_context(web.running())
    secret = secret_in(web.headway("repo", "add", "https://git.example.com/bench.git", "--name", "bench"))
    web.headway("user", "add", "bench", "--admin")
    web.token = web.headway("token", "create", "bench", "bench").strip().splitlines()[-1]
    requests = [delivery("/hooks/bench", secret, secrets.token_hex(20)) for _ in range(RUNS)]
    _, statuses = flood(web.port, requests, 4)
    if statuses != {ACCEPTED: RUNS}:
        raise NotMeasurableError(f"the webhooks were answered with {statuses}")

    def say() -> None:
        flood(web.port, [delivery("/hooks/bench", secret, secrets.token_hex(20))], 1)

    return web, say


def _page_s(web: WebAlone) -> float:
    """Seconds of the front page; the median of some."""
    connection, took_s = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60), []
    try:
        for _ in range(_PAGES_IN_A_ROUND):
            started_s = time.perf_counter()
            connection.request("GET", "/", headers={"Authorization": f"Bearer {web.token}"})
            answer = connection.getresponse()
            answer.read()
            took_s.append(time.perf_counter() - started_s)
            if answer.status != http.client.OK:
                raise NotMeasurableError(f"the front page was answered with {answer.status}")
    finally:
        connection.close()
    return median(took_s)


@contextmanager
def _streams(web: WebAlone, count: int) -> Iterator[Sequence[socket.socket]]:
    """Streams as browsers have them."""
    opened: list[socket.socket] = []
    try:
        for number in range(count):
            path = "/api/stream" if number % 2 else f"/api/runs/{number // 2 % RUNS + 1}/stream"
            connection = socket.create_connection(("127.0.0.1", web.port), timeout=60)
            opened.append(connection)
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {web.token}\r\n\r\n".encode()
            )
            if not connection.recv(4096).startswith(b"HTTP/1.1 200 "):
                raise NotMeasurableError(f"stream {number + 1} was refused")
            connection.settimeout(0)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def _is_open(connection: socket.socket) -> bool:
    """Reads all that has come. False if the server has disconnected."""
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return True
    return False
