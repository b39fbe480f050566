"""Fetches the submodules of a checkout, level by level: each address is checked before git asks it."""

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.git import GIT_TIMEOUT_S, GitError, run_git
from runner.source.git.server import RepoServer

SUBMODULES_COUNT_MAX = 1_000
"""Of one checkout, with theirs: a hostile repository may have itself as a submodule, in an older commit each time."""
_KEY = "submodule."
# The commit of a submodule may be none of its tips, and its server may give nothing but these, or no part of a history.
_NOT_AT_A_TIP = ("did not contain", "unadvertised object", "not our ref", "not valid", "does not support shallow",
                 "Unable to find refs/")  # fmt: skip


def add_submodules(
    server: RepoServer,
    git: list[str],
    target: Path,
    urls: Mapping[str, str],
    *,
    newest: bool,
    count_max: int = SUBMODULES_COUNT_MAX,
) -> None:
    """Fetches all submodules of the checkout, with theirs; ``urls`` replace the addresses of some by their names.

    ``git`` begins each command. Raises GitError, and StepError for an address that this run may not ask.
    """
    # What has moved is not the same for all addresses that begin like the repository's.
    walk = _Walk(replace(server, moved={}), git, target, urls, count_max)
    words = ["--remote"] if newest else []
    try:
        walk.update([*words, "--depth=1"])
    except GitError as error:
        if not any(sign in error.stderr for sign in _NOT_AT_A_TIP):
            raise
        # The long way, as `git clone --recurse-submodules` does it.
        run_git([*git, "-C", str(target), "submodule", "--quiet", "deinit", "--force", "--all"])
        subprocess.run(["rm", "-rf", "--", str(target / ".git/modules")], check=False)
        walk.update([*words, "--no-recommend-shallow"])


def direct_submodules(folder: Path) -> list[Path]:
    """The folders of the submodules that are checked out in this one, without theirs."""
    if not (folder / ".gitmodules").is_file():
        return []
    output = run_git(["git", "-C", str(folder), "submodule", "--quiet", "foreach", 'printf "%s\\0" "$sm_path"'])
    return [folder / os.fsdecode(each) for each in output.split(b"\0")[:-1]]


class _Walk:
    def __init__(
        self, server: RepoServer, git: list[str], target: Path, urls: Mapping[str, str], count_max: int
    ) -> None:
        self._server, self._git, self._target, self._urls, self._count_max = server, git, target, urls, count_max

    def update(self, words: list[str]) -> None:
        deadline_s = time.monotonic() + GIT_TIMEOUT_S
        folders, count = [self._target], 0
        while folders:
            folder = folders.pop()
            if not (folder / ".gitmodules").is_file() and folder != self._target:
                continue
            found = self._update_one(folder, words)
            count += len(found)
            folders += found
            if count > self._count_max:
                raise StepError(Reason.CLONE_FAILED, f"the commit has more than {self._count_max:,} submodules")
            if time.monotonic() > deadline_s:
                raise StepError(Reason.CLONE_FAILED, f"the submodules took more than {GIT_TIMEOUT_S} s to fetch")

    def _update_one(self, folder: Path, words: list[str]) -> list[Path]:
        at = [*self._git, "-C", str(folder)]
        below = "" if folder == self._target else str(folder.relative_to(self._target))
        if not below:
            for name, url in self._urls.items():
                run_git([*at, "config", f"{_KEY}{name}.url", url])
        server = replace(self._server, below=below)  # the same map of what has moved
        server.run([*at, "submodule", "--quiet", "init"])
        self._check(folder, below)
        # Forced, because of a submodule that an earlier try has cloned git would not write the files.
        server.run([*at, "submodule", "update", "--quiet", "--force", *words])
        return direct_submodules(folder)

    def _check(self, folder: Path, below: str) -> None:
        """Each address as git has written it to the settings of the checkout: relative ones are resolved there."""
        for name, url in _addresses(folder).items():
            if why := self._server.reach.refusal(url):
                of = f" of {below}" if below else ""
                raise StepError(Reason.CLONE_FAILED, f"the submodule {name!r}{of} in .gitmodules is at {url!r}: {why}")


def _addresses(folder: Path) -> dict[str, str]:
    command = ["git", "-C", str(folder), "config", "--local", "-z", "--get-regexp", r"^submodule\..*\.url$"]
    try:
        listed = run_git(command).decode(errors="replace")
    except GitError:  # there is none
        return {}
    pairs = (entry.partition("\n")[::2] for entry in listed.split("\0")[:-1])
    return {key.removeprefix(_KEY).removesuffix(".url"): url for key, url in pairs}
