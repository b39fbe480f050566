"""What a cache costs the step that uses it: all of it is there as soon as its container has started."""

import random
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import measure
from bench.measure import NotMeasurableError, interleave
from bench.result import Bench, Kind, Measured, Row, Target
from runner.caches.store import CacheStore, Wanted
from runner.docker.client import Engine
from runner.docker.containers.overlays import Overlay
from runner.docker.containers.specs import ContainerSpec
from runner.docker.streams.archive import folder_archive

FILES, FILE_BYTES, FOLDERS = 20_000, 50_000, 400
ROW = Row(
    "cache-available",
    "a cache of 20,000 files and 1 GB made available to a step, on its worker",
    "restoring it by `tar` from zstd",
    "s",
    Target(Kind.RATIO_AT_MOST, 0.02),
)
_IMAGE = "busybox:latest"
_TARGET = "/var/cache/headway/bench"


def available(bench: Bench) -> dict[Row, Measured]:
    """The start of a container with the cache, less that of one without, against an archive that is unpacked."""
    if shutil.which("zstd") is None:
        raise NotMeasurableError("`zstd` is not on the PATH")
    place = bench.place(ROW.name)
    store, engine = CacheStore(place / "caches", "bench"), Engine()
    try:
        owner = place / "job"
        owner.mkdir()
        archive = _fill(store, owner, place)
        variants: dict[str, Callable[[], float]] = {
            "with the cache": lambda: _start(engine, store, owner),
            "without": lambda: _start(engine, None, owner),
            "tar": lambda: _unpack(archive, place / "unpacked"),
        }
        timed = interleave(bench.rounds_of(7), variants)
    finally:
        engine.close()
    ours = max(0.0, timed.median("with the cache") - timed.median("without"))
    return {ROW: Measured(ours, timed.median("tar"), dict(timed.figures))}


def _fill(store: CacheStore, owner: Path, place: Path) -> Path:
    """Keeps a cache, and makes an archive of it. Half of the bytes can be compressed, as those of packages."""
    store.open_job(owner)
    view = store.open_view(owner, _wanted())
    chance, half = random.Random(1), bytes(FILE_BYTES // 2)
    for number in range(FILES):
        folder = view.upper(0) / f"d{number % FOLDERS}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}").write_bytes(chance.randbytes(FILE_BYTES // 2) + half)
    archive = place / "cache.tar.zst"
    subprocess.run(["tar", "--zstd", "-cf", archive, "-C", view.upper(0), "."], check=True)
    store.save(view, FILES * FILE_BYTES, None)
    return archive


def _wanted() -> Wanted:
    return Wanted("bench", 1, "repo/bench", "key", (), 1)


def _start(engine: Engine, store: CacheStore | None, owner: Path) -> float:
    """Seconds until a container runs, in which a step would begin."""
    started_s = time.perf_counter()
    overlays: tuple[Overlay, ...] = ()
    if store is not None:
        view = store.open_view(owner, _wanted())
        if view.found is None:
            raise NotMeasurableError("the cache is not there")
        lower = tuple(store.layers / layer.name / "0" for layer in view.found.layers)
        overlays = (Overlay(_TARGET, lower, view.upper(0), view.work(0)),)
    labels: Mapping[str, str] = {}
    spec = ContainerSpec(_IMAGE, labels, "none", entrypoint=("/bin/sleep", "60"), overlays=overlays)
    container = engine.create(spec)
    try:
        if overlays:
            engine.put_archive(container, "/var/cache/headway", folder_archive("bench", 0))
        engine.start(container)
        took_s = time.perf_counter() - started_s
        _check(engine, container, FILES if overlays else 0)
    finally:
        engine.remove(container)
    return took_s


def _check(engine: Engine, container: str, files: int) -> None:
    """Raises NotMeasurableError unless the container sees all of the files."""
    script = f"find {_TARGET} -type f 2>/dev/null | wc -l"
    _, output = engine.exec(container, ["sh", "-c", script])
    if int(output) != files:
        raise NotMeasurableError(f"the container sees {output.decode().strip()} files")


def _unpack(archive: Path, target: Path) -> float:
    target.mkdir()
    try:
        return measure.run(["tar", "--zstd", "-xf", archive, "-C", target])
    finally:
        shutil.rmtree(target)
