"""The log of a server process, as an operator reads it."""

import json
import re
import subprocess
import sys

import pytest

WRITES = """
import logging, warnings, structlog
from workers.log_lines import configure_log
configure_log()
structlog.get_logger("workers.x").info("ours", value="a b\\n\\x1b[31m")
logging.getLogger("runner.x").info("ours by the standard library")
logging.getLogger("library").info("not shown")
logging.getLogger("library").warning("of a library: %s", 1)
warnings.warn("a warning")
"""


@pytest.mark.slow
def test_all_lines_have_one_format_and_foreign_values_stay_in_their_line() -> None:
    done = subprocess.run([sys.executable, "-c", WRITES], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    lines = [re.sub(r"^[-0-9]{10} [:0-9]{8} ", "TIME ", line) for line in done.stderr.splitlines() if line]
    assert lines == [
        r"TIME [info     ] ours value='a b\n\x1b[31m'",
        "TIME [info     ] ours by the standard library",
        "TIME [warning  ] of a library: 1",
        "TIME [warning  ] <string>:9: UserWarning: a warning",
    ]


WRITES_JSON = """
import logging, structlog
from structlog.contextvars import bound_contextvars
from runner.threads import in_background
from workers.log_lines import configure_log
configure_log("json")
log = structlog.get_logger("workers.x")
with bound_contextvars(run=7, job=9):
    log.info("ours", value="a\\nb\\u2028\\udcff", job=10)
    in_background(lambda: log.info("of another thread")).result()
log.info("an object", value=object)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("it broke")
    logging.getLogger("library").exception("of a\\nlibrary")
"""


@pytest.mark.slow
def test_each_line_of_json_is_an_object_with_the_ids_that_are_known() -> None:
    done = subprocess.run([sys.executable, "-c", WRITES_JSON], capture_output=True, text=True, check=True)
    ours, thread, odd, broke, library = (json.loads(line) for line in done.stderr.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", ours.pop("timestamp"))
    assert ours == {
        "event": "ours", "value": "a\nb\u2028\udcff", "run": 7, "job": 10, "level": "info", "logger": "workers.x"
    }  # fmt: skip
    assert (thread["run"], thread["job"]) == (7, 9)
    assert odd["value"] == "<class 'object'>"
    assert (
        broke["exception"].splitlines()[-1]
        == library["exception"].splitlines()[-1]
        == "ZeroDivisionError: division by zero"
    )
    assert (library["event"], library["level"], library["logger"]) == ("of a library", "error", "library")
