"""Where the ``headway`` command starts. An editor that runs ``headway lint`` at every save gets its answer at once."""

import gc
import os
import sys


def main() -> None:
    """Runs the command line."""
    if sys.argv[1:2] == ["lint"]:
        # Neither typer nor pydantic's search through all installed packages for plugins is needed for this, and what is
        # loaded now is there to stay: it need not be searched for garbage.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        gc.disable()
        from runner.lint import main as lint  # noqa: PLC0415 - a verb loads what it needs

        gc.freeze()
        gc.enable()
        code = lint(sys.argv[2:])
        if code is not None:
            sys.exit(code)
    from runner.cli import main as run  # noqa: PLC0415 - see above

    run()
