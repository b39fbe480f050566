"""The log of a server process, as an operator reads it."""

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
