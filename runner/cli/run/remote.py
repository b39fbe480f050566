"""``headway run --remote``: the working tree runs on a server, and its log comes here."""

import sys
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.state import State
from pipelines.visible import visible_line
from runner.cli import exit_status
from runner.cli.run.options import RunOptions
from runner.errors import StepError, as_step_error
from runner.source.sent_tree import pack_tree
from runner.source.working_tree import working_tree

_PROVIDERS = "headway.remote_runs"
"""The entry points of what speaks to a server: a function that sends a pack and follows its run; raises StepError."""


def run_remotely(options: RunOptions, server: str, repo: str) -> int:
    """Runs the folder on the server, and returns the exit status, see ``exit_status``.

    ``repo`` is what the server calls the repository; empty: as its remote is called.
    """
    try:
        if named := _without_effect(options):
            return _refuse(f"{named} works only without --remote: the server runs the pipeline as a push does")
        state = _send(options, server, repo)
    except KeyboardInterrupt:
        return exit_status.INTERRUPTED
    except (StepError, OSError) as error:
        return _refuse(str(as_step_error(error)))
    return exit_status.OF_STATE[state]


def _send(options: RunOptions, server: str, repo: str) -> State:
    tree = working_tree(options.folder)
    name = repo or tree.context().repo.name
    with TemporaryDirectory(prefix="headway-sent-") as folder:
        packed = pack_tree(tree, Path(folder))
        size = f"{packed.path.stat().st_size:,} bytes"
        on = f"on top of {packed.base[:10]}" if packed.base else "as a whole: no remote branch has a commit of it"
        sys.stderr.write(visible_line(f"sending the working tree of {name}, {size}, {on}") + "\n")
        branch = options.branch or ("" if tree.branch == "HEAD" else tree.branch)
        provider, *_ = entry_points(group=_PROVIDERS)
        state: State = provider.load()(
            server=server, repo=name, commit=packed.commit, base=packed.base, branch=branch,
            inputs=options.inputs, pack=packed.path, no_reuse=options.no_reuse,
        )  # fmt: skip
    return state


def _without_effect(options: RunOptions) -> str:
    """The options that a run on a server does not have, as they are written."""
    given = {
        "--push": options.push, "--event": options.event, "--tag": options.tag, "--like": options.like,
        "--secret": options.secrets, "--secrets-file": options.secrets_file, "--workflow": options.workflows,
        "--matrix": options.cells, "--step": options.steps, "--from": options.first_step, "--json": options.json,
        "--watch": options.watch, "--keep-on-failure": options.keep_on_failure, "--jobs": options.jobs != 1,
    }  # fmt: skip
    return " and ".join(name for name, value in given.items() if value)


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"headway: {visible_line(sentence)}\n")
    return exit_status.USAGE
