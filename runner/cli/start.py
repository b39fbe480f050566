"""Where the ``headway`` command starts. Who runs a pipeline, or lints at every save, gets to work at once."""

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

EXIT_UNWRITTEN, EXIT_INTERRUPTED = 3, 130


def main() -> None:
    """Runs the command line."""
    _open_what_is_closed()
    try:
        code = quickly(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except OSError as error:
        code = EXIT_UNWRITTEN
        if not isinstance(error, BrokenPipeError):  # then whoever reads it has read enough
            sys.stderr.write(f"headway: the operating system refused: {error}\n")
    if code is not None:
        # Without waiting for threads that still remove what the guard of a run removes as well.
        sys.stderr.flush()
        os._exit(code)
    from runner.cli.main import main as run

    run()


def _open_what_is_closed() -> None:
    """Whoever closed the standard streams wants no words; what is opened next must not take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for as long as we live


def quickly(words: Sequence[str]) -> int | None:
    """The exit status of a verb that needs no library to read its plain arguments, for that loads slowly; else None."""
    if list(words) == ["--version"]:
        from runner.cli.version import show_version

        return show_version(sys.stdout)
    if words[:1] not in (["lint"], ["run"]):
        return None
    # Pydantic's search through all installed packages for plugins is not needed, and what is loaded now is there to
    # stay: it need not be searched for garbage.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    try:
        return _lint(words[1:]) if words[0] == "lint" else _run(words[1:])
    finally:
        gc.enable()


def _lint(arguments: Sequence[str]) -> int | None:
    from runner.cli.lint import main as lint

    gc.freeze()
    gc.enable()
    return lint(arguments)


def _run(arguments: Sequence[str]) -> int | None:
    from runner.cli.run.options import plain_options

    options = plain_options(arguments)
    if options is None:
        return None
    from runner.cli.run.launch import launch

    return launch(options)
