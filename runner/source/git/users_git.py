"""Git as the user of ``headway run`` has it: what only their settings say, and fetches with their logins.

Everything else runs with Headway's own settings (``runner.source.git.git``).
"""

import os
import subprocess
from pathlib import Path

from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.source.git.git import GIT_TIMEOUT_S, GitError, run_git
from runner.source.git.git_words import fit_for_logs, last_word

# They say which files git sees, and which of them differ.
_SETTINGS = r"^core\.(excludesfile|attributesfile|autocrlf|eol)$"
_PATHS = frozenset({"core.excludesfile", "core.attributesfile"})
# If headway runs in a git hook, these point to the hook's repository.
_OF_HOOKS = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"}
    | {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_NAMESPACE"}
)
_ROUNDS_MAX = 50
"""A clone without trees learns of their inner ones only when it has them: so deep may its folders be."""


def users_git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """The output of git with the user's own settings. Raises GitError."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", "LANGUAGE": ""}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, input=stdin, env=environment, capture_output=True, timeout=GIT_TIMEOUT_S, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise MachineError(Reason.INTERNAL, f"git could not be run: {error}") from None
    if done.returncode:
        raise GitError(fit_for_logs(done.stderr.decode(errors="replace"), [], []))
    return done.stdout


def users_settings(folder: Path) -> list[str]:
    """Options of git that carry the user's settings for which files there are."""
    try:
        found = users_git(folder, "config", "--null", "--get-regexp", _SETTINGS)
    except GitError:  # none is set
        return []
    options = []
    for entry in filter(None, found.decode(errors="surrogateescape").split("\0")):
        key, _, value = entry.partition("\n")
        options += ["-c", f"{key}={_path(value) if key in _PATHS else value}"]
    return options


def _path(value: str) -> str:
    try:
        return str(Path(value).expanduser()) if value else value
    except RuntimeError:  # a user that this machine does not have
        return value


def fetch_missing(folder: Path, head: str, depth: int, *, tags: bool) -> None:
    """Fetches what a partial clone (``--filter``) lacks of its commit, or of its history. Raises StepError."""
    remote = _promisor(folder)
    if not remote:
        return
    count = [f"--max-count={depth}"] if depth else []
    look = ["rev-list", "--objects", "--missing=print", *count, head, *(["--tags"] if tags else [])]
    fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none"]
    for _ in range(_ROUNDS_MAX):
        lines = run_git(["git", "-C", str(folder), *look]).splitlines()
        if not (missing := [line[1:] for line in lines if line.startswith(b"?")]):
            return
        try:
            noop = ("-c", "fetch.negotiationAlgorithm=noop")
            users_git(folder, *noop, *fetch, "--stdin", remote, stdin=b"\n".join(missing) + b"\n")
        except GitError as error:
            why = f"this clone is partial, and {len(missing)} objects of its commit could not be fetched from {remote}"
            raise StepError(
                Reason.CLONE_FAILED, f"{why}: {last_word(error.detail)}; `git checkout HEAD -- .` shows the same"
            ) from error


def _promisor(folder: Path) -> str:
    """The remote that has what a partial clone lacks; empty for any other clone."""
    try:
        found = run_git(["git", "-C", str(folder), "config", "--get-regexp", r"^remote\..*\.promisor$"])
    except GitError:
        return ""
    keys = [line.split(" ")[0] for line in found.decode(errors="replace").splitlines() if line.endswith(" true")]
    return keys[0].removeprefix("remote.").removesuffix(".promisor") if keys else ""
