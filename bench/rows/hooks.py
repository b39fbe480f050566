"""Many webhooks at once: how many a second, and is each of them a run afterwards?"""

import hashlib
import hmac
import json
import secrets
from functools import partial
from pathlib import Path

from sqlalchemy import func, select

from bench.measure import NotMeasurableError, interleave
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.client import flood, post
from bench.servers import WebAlone, bare_route, redis_server
from workers.db.models import Delivery, Run
from workers.db.session import make_engine, reading

DELIVERIES = 2000
AT_ONCE = 16
ACCEPTED = 202
RATE = Row(
    "hook-rate",
    "2,000 signed webhooks, 16 at a time, one web process, SQLite: each a run",
    "a bare FastAPI POST route on the same uvicorn",
    "1/s",
    Target(Kind.RATIO_AT_LEAST, 0.25),
)


def delivery(path: str, secret: str, sha: str) -> bytes:
    """A signed push of a commit, as the generic forge sends it."""
    said = {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": sha,
        "pusher": "bench",
        "delivery": secrets.token_hex(16),
    }
    body = json.dumps(said).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Headway-Signature": f"sha256={signature}"}
    return post(path, body, headers)


def secret_in(printed: str) -> str:
    """The webhook's secret, from what `headway repo add` prints."""
    lines = [line.strip() for line in printed.splitlines() if "secret is:" in line]
    if not lines:
        raise NotMeasurableError(f"`headway repo add` named no secret: {printed[-300:]}")
    return lines[-1].rpartition("secret is:")[2].strip()


def rate(bench: Bench) -> dict[Row, Measured]:
    """The same client floods both alternately; afterwards the runs in the database are counted."""
    place = bench.place(RATE.name)
    with redis_server(place / "redis") as redis_url, bare_route(place) as bare_port:
        web = WebAlone(place, redis_url)
        with web.running():
            secret = secret_in(web.headway("repo", "add", "https://git.example.com/bench.git", "--name", "bench"))
            variants = {
                "ours": partial(_round, web.port, "/hooks/bench", secret),
                "baseline": partial(_round, bare_port, "/", secret),
            }
            timed = interleave(bench.rounds_of(3), variants)
        sent = DELIVERIES * (bench.rounds_of(3) + 1)
        runs, deliveries = _count(web.data / "headway.db")
    if (runs, deliveries) != (sent, sent):
        raise NotMeasurableError(f"{sent} deliveries were sent; the database has {deliveries} and {runs} runs")
    note = f"{sent} sent, {runs} runs in the database"
    return {RATE: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures), note)}


def _round(port: int, path: str, secret: str) -> float:
    """One flood of new deliveries; how many a second were taken."""
    requests = [delivery(path, secret, secrets.token_hex(20)) for _ in range(DELIVERIES)]
    took_s, statuses = flood(port, requests, AT_ONCE)
    if statuses != {ACCEPTED: DELIVERIES}:
        raise NotMeasurableError(f"not every delivery was answered with {ACCEPTED}: {statuses}")
    return DELIVERIES / took_s


def _count(database: Path) -> tuple[int, int]:
    engine = make_engine(f"sqlite:///{database}")
    try:
        with reading(engine) as session:
            runs = session.scalar(select(func.count()).select_from(Run)) or 0
            deliveries = session.scalar(select(func.count()).select_from(Delivery)) or 0
            return runs, deliveries
    finally:
        engine.dispose()
