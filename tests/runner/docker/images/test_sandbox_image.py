"""The image of the sandbox, which Headway makes itself."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from runner.docker.client import Engine
from runner.docker.images.sandbox_image import SANDBOX_IMAGE, ensure_sandbox_image, sandbox_archive
from runner.errors import MachineError

LOADS = 12


@pytest.mark.engine
@pytest.mark.both_stores
def test_workers_that_make_it_at_the_same_time_make_the_same_image_and_never_lose_its_name(engine: Engine) -> None:
    ensure_sandbox_image(engine)
    archive = sandbox_archive(engine.connection.version.arch)
    engine.load_image(archive)
    before = engine.image(SANDBOX_IMAGE)
    assert before
    with ThreadPoolExecutor(3) as pool:
        loads = [pool.submit(engine.load_image, archive) for _ in range(LOADS)]
        while not all(load.done() for load in loads):
            now = engine.image(SANDBOX_IMAGE)
            assert now
            assert now["Id"] == before["Id"]
    assert [load.exception() for load in loads] == [None] * LOADS


@pytest.mark.engine
def test_what_is_no_image_is_refused_with_the_engines_words(engine: Engine) -> None:
    with pytest.raises(MachineError, match="the Docker Engine"):
        engine.load_image(b"no archive")
