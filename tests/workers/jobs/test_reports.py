"""Reports on a server: read by a worker, compared over runs, shown, and removed."""

from pathlib import Path

import pytest

from pipelines.state import State
from runner.docker.client import Engine
from tests.support.reports import junit
from tests.support.working import PushWorker
from web.operations.reports.run_reports import RunReports, reports_of
from workers import store
from workers.db.models import Run
from workers.db.session import reading
from workers.settings import Settings

pytestmark = pytest.mark.engine

PIPELINE = """\
steps:
  - name: test
    image: busybox
    commands: ["cat report.xml > out.xml", "if grep -q '<failure' out.xml; then exit 1; fi"]
    reports: {junit: out.xml, coverage: lcov.info}
"""


def shown(worker: PushWorker, run: Run) -> RunReports:
    with reading(worker.context.database) as session:
        repo, again = store.repo_by_id(session, run.repo_id), store.run_by_id(session, run.id)
        assert repo is not None
        assert again is not None
        return reports_of(session, repo, again)


def test_the_second_run_knows_what_failed_before(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    worker = PushWorker(settings, tmp_path)
    try:
        half = "SF:a\nDA:1,1\nDA:2,0\n"
        first = worker.runs(PIPELINE, {"report.xml": junit("one two", "old"), "lcov.info": half}).run
        second = worker.runs(PIPELINE, {"report.xml": junit("one", "old two"), "lcov.info": "SF:a\nDA:1,1\n"}).run
        assert (first.state, second.state) == (State.FAILED, State.FAILED)
        reports = shown(worker, second)
        assert [(each.name.name, each.known) for each in reports.failed] == [("two", False), ("old", True)]
        assert (reports.coverage_change, reports.compared and reports.compared.number) == (50.0, first.number)
        broken = worker.runs(PIPELINE, {"report.xml": "<testsuite>&b;", "lcov.info": ""}).run
        assert broken.state is State.PASSED
        why = "the report 'out.xml' cannot be read: it is no complete XML: undefined entity"
        assert shown(worker, broken).warnings[0].startswith(why)
    finally:
        worker.close()
