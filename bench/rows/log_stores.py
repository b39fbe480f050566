"""A log written and read through a bucket, against one in a folder."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

from sqlalchemy import Engine

from bench.measure import NotMeasurableError, interleave
from bench.result import Bench, Kind, Measured, Row, Target
from runner.events import Stream
from tests.support.logs import running_job
from tests.support.object_store import BUCKET, KEYS, ObjectStoreServer
from workers.db.session import make_engine, upgrade
from workers.logs import LogStore, open_logs
from workers.settings import Settings

ROW = Row(
    "log-bucket",
    "100 MB of lines written as a step writes them, read whole, and 20 pages of it: in an S3 (moto, this machine)",
    "the same in a folder",
    "s",
    Target(Kind.RATIO_AT_MOST, 1.3),
)
ROUNDS, PIECE_BYTES, BYTES, PAGES = 5, 32 * 1024, 100_000_000, 20
_LINES = b"".join(b"%07d a line of a test suite that says what it did, and how long it took\n" % n for n in range(450))
_PIECE = _LINES[:PIECE_BYTES]


def bucket(bench: Bench) -> dict[Row, Measured]:
    """Both stores on the same database, alternating."""
    place = bench.place(ROW.name)
    engine = make_engine(f"sqlite:///{place}/headway.db")
    upgrade(engine)
    numbers = count(1)
    with _bucket() as url:
        stores = {
            "ours": open_logs(Settings(data_dir=place / "far", blob_url=url), engine),
            "baseline": open_logs(Settings(data_dir=place / "near"), engine),
        }
        variants = {name: partial(_seconds, logs, engine, numbers) for name, logs in stores.items()}
        timed = interleave(bench.rounds_of(ROUNDS), variants)
    engine.dispose()
    return {ROW: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures))}


def _seconds(logs: LogStore, engine: Engine, numbers: Iterator[int]) -> float:
    number = next(numbers)
    running_job(engine, number, number, 1)
    address = (number, number, 1, 1)
    started_s = time.perf_counter()
    writer = logs.writer(*address)
    for at in range(0, BYTES, len(_PIECE)):
        writer.append(_PIECE, Stream.STDOUT, at // 100_000)
    writer.close()
    with logs.open(*address) as reader:
        read = sum(len(reader.read(offset, 256 * 1024)) for offset in range(0, reader.size_bytes, 256 * 1024))
        for page in range(PAGES):
            reader.read_lines(1 + page * reader.lines // PAGES, 500)
    if read < BYTES:
        raise NotMeasurableError(f"only {read} bytes of {BYTES} were read back")
    return time.perf_counter() - started_s


@contextmanager
def _bucket() -> Iterator[str]:
    server, before = ObjectStoreServer(), dict(os.environ)
    server.start()
    os.environ.update(KEYS, AWS_ENDPOINT_URL=server.endpoint)
    try:
        yield f"s3://{BUCKET}/bench"
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.remove()
