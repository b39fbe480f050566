"""``headway run --watch``: runs again when a file of the folder changes that a run would see."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from pipelines.state import Reason
from pipelines.visible import visible_line
from runner.cli import exit_status
from runner.cli.run.json_lines import JsonLines
from runner.docker.references import LOCAL_FOLDERS
from runner.errors import StepError
from runner.source.working_tree import WorkingTree, working_tree

QUIET_MS = 200
"""Changes that come in shorter distances than this are one change, for at most ``BURST_MS``."""
BURST_MS = 2000
_FIRST_LOOK_MS = 200
NAMES_SHOWN_MAX = 3

Files = Mapping[str, tuple[int, ...]]


def run_and_watch(folder: Path, run: Callable[[], int], *, json: bool) -> int:
    """Calls ``run``, and again after each change, until it is interrupted; returns its exit status then."""
    try:
        tree = working_tree(folder)
        while True:
            before = files_of(tree)
            status = run()
            if status == exit_status.INTERRUPTED:
                return status
            waiting = partial(_say_waiting, tree, json=json)
            changed = wait_for_change(tree.folder, before, partial(files_of, tree), waiting)
            _say_changed(changed, json=json)
    except KeyboardInterrupt:
        return exit_status.INTERRUPTED
    except StepError as error:
        sys.stderr.write(f"headway: {error}\n")
        return exit_status.USAGE


def files_of(tree: WorkingTree) -> Files:
    """What tells the versions of each file apart that a run would see: not its content, which may be large."""
    found = {}
    for name in _names(tree):
        try:
            known = (tree.folder / name).lstat()
        except OSError:  # it has gone while the folder was read
            continue
        found[name] = (known.st_mode, known.st_size, known.st_mtime_ns, known.st_ino)
    return found


def _names(tree: WorkingTree) -> Iterator[str]:
    from runner.source.working_tree_files import files_in

    if tree.in_repository:
        yield from files_in(tree.folder)
        return
    for folder, folders, names in os.walk(tree.folder):
        folders[:] = [name for name in folders if name != ".git" and not fnmatch(name, LOCAL_FOLDERS)]
        yield from (str(Path(folder, name).relative_to(tree.folder)) for name in names)


def wait_for_change(
    folder: Path, before: Files, look: Callable[[], Files], waiting: Callable[[], None]
) -> list[str]:  # fmt: skip
    """The names of the files that differ from ``before``, as soon as there are some. Raises StepError.

    ``look`` reads the files of the folder now. ``waiting`` is called once every later change is seen.
    """
    looked = False
    for changes in _changes(folder):
        if looked and not changes:
            continue
        now = look()
        if names := sorted(name for name in {*before, *now} if before.get(name) != now.get(name)):
            return names
        if not looked:
            looked = True
            waiting()
    raise AssertionError("the changes of a folder have no end")


def _changes(folder: Path) -> Iterator[object]:
    """Yields when something below the folder may have changed, and once at the beginning, when it is being watched."""
    from watchfiles import watch

    if not folder.is_dir():  # nothing would ever be reported
        raise StepError(Reason.NO_PIPELINE, f"{folder} is not a folder any more")
    try:
        yield from watch(
            folder, watch_filter=_counts, debounce=BURST_MS, step=QUIET_MS, rust_timeout=_FIRST_LOOK_MS,
            yield_on_timeout=True, ignore_permission_denied=True,
        )  # fmt: skip
    except (OSError, RuntimeError) as error:
        hint = "on Linux, raise fs.inotify.max_user_watches or max_user_instances with sysctl"
        message = f"the folder {folder} cannot be watched: {error}; {hint}"
        raise StepError(Reason.INTERNAL, message) from None


def _counts(_change: object, path: str) -> bool:
    """Git's own files and folders of running jobs do not count: reading the tree may change them."""
    return not any(part == ".git" or fnmatch(part, LOCAL_FOLDERS) for part in Path(path).parts)


def _say_waiting(tree: WorkingTree, *, json: bool) -> None:
    _say("waiting", f"waiting for a change in {tree.folder}; Ctrl-C ends", json=json)


def _say_changed(names: list[str], *, json: bool) -> None:
    more = len(names) - NAMES_SHOWN_MAX
    shown = ", ".join(names[:NAMES_SHOWN_MAX]) + (f" and {more:,} more" if more > 0 else "")
    _say("changed", f"runs again: {shown} changed", json=json)


def _say(event: str, text: str, *, json: bool) -> None:
    """Writes a line to standard output: for people, or as an object."""
    text = visible_line(os.fsencode(text).decode(errors="replace"))
    if json:
        JsonLines(sys.stdout).write(event, text=text)
    else:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
