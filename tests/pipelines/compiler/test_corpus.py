"""Real pipeline files compile for the events that they serve."""

from collections.abc import Iterator

import pytest

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import PipelineFile
from pipelines.problem import InvalidPipelineError
from pipelines.trigger import Event, Trigger
from tests.support.paths import ROOT
from tests.support.pipelines import TRUSTED, event, pull_request, push, tag

CORPUS = ROOT.parent / "shared" / "corpus" / "woodpecker"
FILES = sorted(CORPUS.glob("*.y*ml")) if CORPUS.is_dir() else []

pytestmark = pytest.mark.skipif(not FILES, reason="the folder of real pipeline files is not beside the project")


def triggers() -> Iterator[Trigger]:
    yield from (push("main"), push("master"), tag(), pull_request())
    yield from (event(name) for name in (Event.CRON, Event.MANUAL))


@pytest.mark.stress
def test_every_real_file_compiles_for_the_events_that_files_serve() -> None:
    failed = {}
    for file in FILES:
        path = file.name.split("__", 2)[2].replace("__", "/")
        for trigger in triggers():
            try:
                compile_pipeline([PipelineFile(path, file.read_bytes())], trigger, TRUSTED)
            except InvalidPipelineError as error:
                failed[f"{file.name} at {trigger.event}"] = str(error)
    assert failed == {}
    assert len(FILES) > 50
