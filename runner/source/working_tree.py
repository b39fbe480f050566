"""The source of ``headway run``: the working tree as it is now, uncommitted files included."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.clone_address import forge_from, name_from
from pipelines.commit_id import NO_COMMIT
from pipelines.context import Context, PipelineFile, RepoInfo
from pipelines.parser.discovery import FOLDERS, choose_files, other_systems_hint
from pipelines.plan import Checkout
from pipelines.state import Reason
from pipelines.trigger import Event, Trigger
from runner.docker.references import LOCAL_FOLDERS
from runner.errors import StepError
from runner.source.git.git import GitError, run_git
from runner.source.git.git_words import without_login
from runner.source.git.users_git import users_git
from runner.source.repository_file import read_repository_file
from runner.source.working_tree_files import (
    Source,
    copy,
    files_in,
    files_of,
    lay_out,
    new_files,
    strange_files,
    tracked_files,
)  # fmt: skip

NO_BRANCH = "HEAD"
"""What git calls the branch where none is checked out. It is no repository's default branch, so nothing is `latest`."""

_REMOTE = re.compile(r"(?P<name>[^\t]+)\t(?P<url>.*) \(fetch\)(?: \[[^]]*\])?")
"""A line of `git remote --verbose`; in brackets stands the filter of a partial clone."""


@dataclass(frozen=True)
class WorkingTree:
    """A folder with source code. ``head`` is its commit, if it is in a git repository that has one; ``top`` is true if
    it is the root of that repository. ``in_repository`` is true also before the first commit.

    What git says of it is asked once: each question costs a start of git before the first container of a run.
    """

    folder: Path
    top: bool = False
    head: str = ""
    in_repository: bool = False

    @property
    def versioned(self) -> bool:
        """True if the folder is in a git repository with a commit."""
        return bool(self.head)

    def trigger(self, event: Event, branch: str) -> Trigger:
        """The trigger as if this tree had been pushed."""
        branch = branch or self.branch
        if not self.versioned:
            return Trigger(event=event, sha=NO_COMMIT, ref=f"refs/heads/{branch}", branch=branch)
        known = self.git("log", "-1", "-s", "--format=%P%x00%an%x00%ae%x00%at%x00%B", self.head)
        parents, author, email, timestamp, message = known.split("\0", 4)
        return Trigger(
            event=event,
            sha=self.head,
            ref=f"refs/heads/{branch}",
            branch=branch,
            message=message.strip(),
            author=author,
            author_email=email,
            sender=author,
            timestamp_s=int(timestamp),
            changed_files=self._changed(parents.partition(" ")[0]),
        )

    @cached_property
    def branch(self) -> str:
        """The branch that is checked out; ``HEAD`` if none is, as git says it."""
        if not self.in_repository:
            return "main"
        # Not --short: where a tag has the same name, git says heads/NAME.
        return self.git("symbolic-ref", "--quiet", "HEAD", default=NO_BRANCH).removeprefix("refs/heads/")

    def notes(self, branch: str = "") -> Iterator[str]:
        """Sentences about what a run of this tree lacks. ``branch`` is what the user has named, if anything."""
        if not branch and self.branch == NO_BRANCH:
            yield f"no branch is checked out: the run's branch is {NO_BRANCH}; --branch NAME names another"
        names = files_of(self._source, self._tracked, self._new) if self.in_repository else self._all()
        for name in strange_files(self.folder, names):
            yield f"{name} is a pipe, a socket or a device: it is left out"

    @cached_property
    def _source(self) -> Source:
        return Source(self.folder, self.head, self.remote())

    @cached_property
    def _tracked(self) -> list[str]:
        return tracked_files(self._source)

    @cached_property
    def _new(self) -> list[str]:
        return new_files(self._source)

    def _all(self) -> Iterator[str]:
        return (str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))

    def _changed(self, base: str) -> tuple[str, ...]:
        """Files changed by the last commit and since then; ``base`` is the commit before it, if any."""
        since = self._differing(base) if base else _readable(self._tracked)
        return tuple(dict.fromkeys([*since, *_readable(self._new)]))

    def _differing(self, base: str) -> list[str]:
        command = ("diff", "--name-only", "--no-renames", "--no-ext-diff", "--relative", "-z", base)
        try:
            names = self.git(*command)
        except GitError:  # a clone without trees fetches them with its user's login
            names = users_git(self.folder, *command).decode(errors="replace")
        return [name for name in names.split("\0") if name]

    def context(self) -> Context:
        """The run's context, as far as it is known without a server. The repository is named after its remote."""
        url = self.remote()
        name = name_from(url) or self.folder.name
        repo = RepoInfo(name, url or str(self.folder), default_branch=self._default_branch(), forge=forge_from(url))
        return Context(repo, local=True, run_number=1)

    def remote(self) -> str:
        """The address of ``origin``, else of the first remote, without a login; empty if there is none."""
        return self._remote[1]

    @property
    def remote_name(self) -> str:
        """What git calls this remote; empty if there is none."""
        return self._remote[0]

    @cached_property
    def _remote(self) -> tuple[str, str]:
        """Name and address of the remote; both empty if there is none."""
        if not self.versioned:
            return "", ""
        lines = map(_REMOTE.fullmatch, self.git("remote", "--verbose", default="").splitlines())
        urls = {line["name"]: line["url"] for line in lines if line}
        name = "origin" if "origin" in urls else next(iter(urls), "")
        return name, without_login(urls[name]) if name else ""

    def _default_branch(self) -> str:
        if not self.versioned:
            return "main"
        of_remote = f"refs/remotes/{self._remote[0]}/" if self._remote[0] else ""
        if of_remote and (known := self.git("symbolic-ref", "--quiet", f"{of_remote}HEAD", default="")):
            return known.removeprefix(of_remote)
        usual = [f"{place}{name}" for name in ("main", "master") for place in (of_remote, "refs/heads/") if place]
        refs = self.git("for-each-ref", "--format=%(refname)", *usual).splitlines()
        return next((ref.rpartition("/")[2] for ref in usual if ref in refs), "main")

    def pipeline(self) -> list[PipelineFile]:
        """The pipeline files; none if there is only a Dockerfile. Raises StepError if there is neither."""
        chosen = choose_files(_candidates(self.folder))
        if not chosen and not (self.folder / "Dockerfile").is_file():
            hint = self._hint_of_root() or "write a .headway.yml (`headway init` makes a first one), or a Dockerfile"
            more = other_systems_hint(sorted(path.name for path in self.folder.iterdir()))
            raise StepError(Reason.NO_PIPELINE, f"{self.folder} has no pipeline file and no Dockerfile; {hint}{more}")
        return [PipelineFile(name, read_repository_file(self.folder, name)) for name in chosen]

    def _hint_of_root(self) -> str:
        """Where the pipeline files are, if this is a folder of a repository that has them at its root."""
        folder = self.folder.resolve()
        root = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
        has_files = root != folder and choose_files(_candidates(root))
        return f"its repository has pipeline files, so name the repository's folder: {root}" if has_files else ""

    def check_out(self, target: Path, how: Checkout, *, for_builds: bool = False) -> None:
        """Writes the tree to ``target``, which must not exist. Raises GitError and StepError.

        Of a git repository no ignored files; of the root of one also a ``.git``, as on a server.
        """
        if self.top:
            lay_out(self._source, target, how, for_builds=for_builds)
            return
        target.mkdir(parents=True)
        for name in self._files():
            copy(self.folder / name, target / name)

    def _files(self) -> list[str]:
        """The files of a folder that is not the root of a repository."""
        if not self.in_repository:
            return [path.name for path in self.folder.iterdir() if not path.match(LOCAL_FOLDERS)]
        return list(files_in(self.folder))

    def git(self, *arguments: str, default: str | None = None) -> str:
        """The output of a git command in the tree; ``default``, if given, when it fails."""
        try:
            return run_git(["git", "-C", str(self.folder), *arguments]).decode(errors="replace").strip("\n")
        except GitError:
            if default is None:
                raise
            return default


def working_tree(folder: Path) -> WorkingTree:
    """The tree at ``folder``. Raises StepError if that is not a folder."""
    try:
        folder = folder.resolve()
    except OSError as error:
        raise StepError(
            Reason.NO_PIPELINE, f"the folder does not exist any more: {error}; change to another folder"
        ) from error
    if not folder.is_dir():
        raise StepError(Reason.NO_PIPELINE, f"{folder} is not a folder")
    probe = WorkingTree(folder)
    inside, _, head = _found_by_git(probe).partition("\n")
    if inside != "true":
        return probe
    return WorkingTree(folder, top=bool(head) and (folder / ".git").exists(), head=head, in_repository=True)


def _found_by_git(probe: WorkingTree) -> str:
    """Whether the folder is in a work tree, and on a second line the commit, if it has one."""
    if not shutil.which("git"):
        return ""
    inside = ("rev-parse", "--is-inside-work-tree")
    return probe.git(*inside, "HEAD", default="") or probe.git(*inside, default="")


def _readable(names: Iterable[str]) -> list[str]:
    return [os.fsencode(name).decode(errors="replace") for name in names]


def _candidates(root: Path) -> list[str]:
    """The paths of files where pipeline files may be, from the root on."""
    folders = (root, *(root / name for name in FOLDERS))
    found = (path for folder in folders for path in sorted(folder.glob("*")) if path.is_file() or path.is_symlink())
    return [path.relative_to(root).as_posix() for path in found]
