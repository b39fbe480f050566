"""The entry point of the ``headway`` command. It starts ``run`` and ``lint`` without Typer, which loads slowly."""

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from runner.cli import exit_status


def main() -> None:
    """Runs the command line."""
    _open_closed_streams()
    try:
        code = run_fast_command(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = exit_status.INTERRUPTED
    except OSError as error:
        code = exit_status.BROKEN
        if not isinstance(error, BrokenPipeError):  # the reader of a pipe, such as `head`, has read enough
            sys.stderr.write(f"headway: the operating system refused: {error}\n")
    if code is not None:
        # Does not wait for threads that still remove containers: the cleanup process of the run does that too.
        sys.stderr.flush()
        os._exit(code)
    from runner.cli.main import main as run

    run()


def _open_closed_streams() -> None:
    """Opens standard streams that the caller closed: else the next file opened would get their number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open until the process ends


def run_fast_command(words: Sequence[str]) -> int | None:
    """Runs a command whose plain arguments need no Typer and returns its exit status; None for all others."""
    if list(words) == ["--version"]:
        from runner.cli.version import show_version

        return show_version(sys.stdout)
    if list(words) in (["language-server"], ["language-server", "--stdio"]):
        from runner.cli.language_server.serving import serve

        return serve(sys.stdin.buffer, sys.stdout.buffer, sys.stderr)
    if words[:1] not in (["lint"], ["run"]):
        return None
    # Faster: no search for Pydantic plugins in all installed packages, and no garbage collection while modules load.
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
