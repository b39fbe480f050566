"""The files of a working tree with git's ids: those of HEAD, and of what differs from it the ids of its bytes now."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from pipelines.plan import Checkout
from runner.errors import StepError
from runner.reuse.sources import LINK, LS_TREE, TREE, TreeEntry, UnknownSourcesError, entries_of
from runner.source.git.git import run_git
from runner.source.working_tree import WorkingTree
from runner.source.working_tree_files import Source, changes, mode_of, new_files, within

NO_REPOSITORY = "the folder is not the root of a git repository with a commit"


def working_entries(tree: WorkingTree, how: Checkout) -> Sequence[TreeEntry]:
    """The entries of the tree as ``headway run`` lays it out.

    A changed file is hashed by git, without its filters: its bytes as they are come into the checkout. Raises
    UnknownSourcesError.
    """
    if not tree.top:
        raise UnknownSourcesError(NO_REPOSITORY)
    if how.submodules:
        raise UnknownSourcesError("the checkout has the submodules of the working tree as they are")
    try:
        known = entries_of(run_git(["git", "-C", str(tree.folder), *LS_TREE, tree.head]))
        return _with_changes(tree, known)
    except (StepError, OSError) as error:
        raise UnknownSourcesError(f"git cannot say what has changed: {error}") from None


def _with_changes(tree: WorkingTree, known: Sequence[TreeEntry]) -> Sequence[TreeEntry]:
    source = Source(tree.folder, tree.head)
    changed = {change.path: change.mode for change in changes(source)}
    for name in new_files(source):
        changed |= {each: "" for each in within(tree.folder, name) if os.path.lexists(tree.folder / each)}
    if not changed:
        return known
    gone = {path for path, mode in changed.items() if not mode and not os.path.lexists(tree.folder / path)}
    there = {path: mode for path, mode in changed.items() if path not in gone}
    kept = [entry for entry in known if entry.path not in changed]
    files = [*kept, *_hashed(tree.folder, there)]
    folders = {entry.path for entry in kept if entry.mode == TREE}
    above = {parent for path in there for parent in _folders_above(path)} - folders
    files += [TreeEntry(path, TREE, "") for path in above]
    return files


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _hashed(folder: Path, files: dict[str, str]) -> list[TreeEntry]:
    """Entries of these files. Of a link, what counts is where it leads."""
    links = [path for path in files if (folder / path).is_symlink()]
    plain = [path for path in files if path not in links and (folder / path).is_file()]
    if unclear := next((path for path in plain if "\n" in path), None):
        raise UnknownSourcesError(f"the file {unclear!r} has a line break in its name")
    found = [TreeEntry(path, LINK, str((folder / path).readlink())) for path in links]
    with TemporaryFile() as names:
        names.write(b"".join(os.fsencode(path) + b"\n" for path in plain))
        names.seek(0)
        command = ["git", "-C", str(folder), "hash-object", "--no-filters", "--stdin-paths"]
        ids = run_git(command, stdin=names).decode().split()
    modes = (files[path] or mode_of(folder / path) for path in plain)
    return found + [TreeEntry(*each) for each in zip(plain, modes, ids, strict=True)]
