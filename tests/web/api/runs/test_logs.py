"""Logs of steps, over the API: by bytes, by lines, and the last lines."""

import pytest
from starlette.testclient import TestClient

from pipelines.state import PASSED, Outcome
from runner.events import StepFinished, StepOutput, StepStarted, Stream
from tests.support.people import OPERATOR
from tests.web.conftest import REPO, ClaimedRun, Site
from web.operations.repos import repos

TEXT = "".join(f"line {number} \u00e9\n" for number in range(1, 1001)).encode()


def write(begun: ClaimedRun, number: int, data: bytes, outcome: Outcome | None = PASSED) -> None:
    with begun.recorder() as record:
        record(StepStarted(number))
        record(StepOutput(number, 0, data, Stream.STDOUT))
        if outcome:
            record(StepFinished(number, outcome))


@pytest.mark.slow
def test_a_log_is_read_by_bytes(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    write(begun, 2, TEXT)
    path = f"/api/steps/{begun.steps[2]}/log"
    assert program.get(path).content == TEXT
    part = program.get(path, params={"offset": 100, "max_bytes": 50})
    assert part.content == TEXT[100:150]
    assert part.headers["x-log-size"] == str(len(TEXT))
    assert part.headers["x-log-complete"] == "true"
    assert part.headers["content-type"] == "text/plain; charset=utf-8"
    read = b""
    while piece := program.get(path, params={"offset": len(read), "max_bytes": 777}).content:
        read += piece
    assert read == TEXT


def test_a_log_is_read_by_lines(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    write(begun, 2, TEXT)
    path = f"/api/steps/{begun.steps[2]}/log"
    part = program.get(path, params={"line": 10, "lines": 3})
    assert part.text == "line 10 \u00e9\nline 11 \u00e9\nline 12 \u00e9\n"
    assert part.headers["x-log-line"] == "10"
    assert TEXT[int(part.headers["x-log-offset"]) :].startswith(b"line 10 ")
    last = program.get(path, params={"last": 2})
    assert last.text == "line 999 \u00e9\nline 1000 \u00e9\n"
    assert last.headers["x-log-lines"] == "1000"


def test_the_log_of_a_step_without_output_is_empty(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    for query in ({}, {"offset": 0}, {"line": 1}, {"last": 10}):
        answer = program.get(f"/api/steps/{begun.steps[2]}/log", params=query)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "query", ["offset=-1", "line=0", "lines=0&line=1", "max_bytes=99999999999&offset=0", "offset=x"]
)
def test_an_invalid_range_is_refused(site: Site, program: TestClient, query: str) -> None:
    site.add_repo()
    begun = site.begin()
    answer = program.get(f"/api/steps/{begun.steps[2]}/log?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["error"]


@pytest.mark.slow
def test_a_repository_is_removed_with_its_runs_and_logs(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    write(begun, 2, TEXT)
    repos.remove(site.services, OPERATOR, REPO)
    assert program.get(f"/api/repos/{REPO}").status_code == 404
    assert program.get(f"/api/steps/{begun.steps[2]}/log").status_code == 404
    address = (begun.queued.run_id, begun.queued.job_id, 2, begun.claim.attempt)
    with site.services.logs.open(*address) as reader:
        assert reader.size_bytes == 0


def test_only_standard_error_is_asked_for(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(2))
        record(StepOutput(2, 0, b"one\n", Stream.STDOUT))
        record(StepOutput(2, 4, b"bad\n", Stream.STDERR))
        record(StepOutput(2, 8, b"two\nthree\n", Stream.STDOUT))
        record(StepOutput(2, 18, b"worse\n", Stream.STDERR))
        record(StepFinished(2, PASSED))
    path = f"/api/steps/{begun.steps[2]}/log"
    whole = program.get(path, params={"stream": "stderr"})
    assert whole.content == b"bad\nworse\n"
    assert whole.headers["content-disposition"].endswith('-1-test-stderr.log"')
    assert program.get(path, params={"stream": "stdout"}).content == b"one\ntwo\nthree\n"
    for query, content, end in (
        ({"offset": 0, "max_bytes": 6}, b"ba", 6),
        ({"line": 2, "lines": 2}, b"bad\n", 12),
        ({"last": 1}, b"worse\n", 24),
        ({"offset": 24}, b"", 24),
    ):
        part = program.get(path, params={**query, "stream": "stderr"})
        assert (part.content, part.headers["x-log-end"], part.headers["x-log-size"]) == (content, str(end), "24")
        assert program.get(path, params=query).headers["x-log-end"] == str(end)
    assert program.get(path, params={"stream": "sterr"}).status_code == 422
    lines = program.get(f"{path}/lines", params={"stream": "stderr"}).json()
    assert lines == {"ranges": [[2, 2], [5, 5]], "more": False, "searched_lines": 5}
    assert program.get(f"{path}/lines").status_code == 422
