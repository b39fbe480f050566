"""The command line, run inside the test process."""

from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from tests.support.services import TEST_KEY
from web.cli.main import register as register_web
from workers.cli.main import register as register_workers

URL = "https://github.com/acme/harbour.git"


class Headway:
    """The command with settings for a data directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"HEADWAY_DATA_DIR": str(folder), "HEADWAY_SECRET_KEYS": TEST_KEY, "HEADWAY_DATABASE_URL": ""}
        self._app = typer.Typer()
        register_web(self._app)
        register_workers(self._app)

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(self._app, arguments, input=stdin, env=self.env)

    def ok(self, *arguments: str, stdin: str = "") -> str:
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """Runs a command that must be refused; the error message."""
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == 3, result.output
        assert result.stderr.startswith("headway: ")
        assert "Traceback" not in result.output
        return result.stderr
