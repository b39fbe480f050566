"""The source of ``headway run``: the working tree as it is now, uncommitted files included."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
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
from runner.source.working_tree_files import Source, copy, files_in, lay_out, new_files, strange_files

NO_BRANCH = "HEAD"
"""What git calls the branch where none is checked out. It is no repository's default branch, so nothing is `latest`."""


@dataclass(frozen=True)
class WorkingTree:
    """A folder with source code. ``head`` is its commit, if it is in a git repository that has one; ``top`` is true if
    it is the root of that repository. ``in_repository`` is true also before the first commit.
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

    @property
    def branch(self) -> str:
        """The branch that is checked out; ``HEAD`` if none is, as git says it."""
        if not self.in_repository:
            return "main"
        return self.git("symbolic-ref", "--quiet", "--short", "HEAD", default=NO_BRANCH)

    def notes(self, branch: str = "") -> Iterator[str]:
        """Sentences about what a run of this tree lacks. ``branch`` is what the user has named, if anything."""
        if not branch and self.branch == NO_BRANCH:
            yield f"no branch is checked out: the run's branch is {NO_BRANCH}; --branch NAME names another"
        for name in strange_files(self.folder, files_in(self.folder) if self.in_repository else self._all()):
            yield f"{name} is a pipe, a socket or a device: it is left out"

    def _all(self) -> Iterator[str]:
        return (str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))

    def _changed(self, base: str) -> tuple[str, ...]:
        """Files changed by the last commit and since then; ``base`` is the commit before it, if any."""
        since = self._differing(base) if base else self.git("ls-files", "-z")
        new = [os.fsencode(name).decode(errors="replace") for name in new_files(Source(self.folder, self.head, ""))]
        return tuple(dict.fromkeys(name for name in [*since.split("\0"), *new] if name))

    def _differing(self, base: str) -> str:
        command = ("diff", "--name-only", "--no-renames", "--no-ext-diff", "--relative", "-z", base)
        try:
            return self.git(*command)
        except GitError:  # a clone without trees fetches them with its user's login
            return users_git(self.folder, *command).decode(errors="replace")

    def context(self) -> Context:
        """The run's context, as far as it is known without a server. The repository is named after its remote."""
        url = self.remote()
        name = name_from(url) or self.folder.name
        repo = RepoInfo(name, url or str(self.folder), default_branch=self._default_branch(), forge=forge_from(url))
        return Context(repo, local=True, run_number=1)

    def remote(self) -> str:
        """The address of ``origin``, else of the first remote, without a login; empty if there is none."""
        if not self.versioned:
            return ""
        name = self._remote_name()
        return without_login(self.git("remote", "get-url", name, default="")) if name else ""

    def _remote_name(self) -> str:
        names = self.git("remote", default="").splitlines()
        return "origin" if "origin" in names else next(iter(names), "")

    def _default_branch(self) -> str:
        if not self.versioned:
            return "main"
        of_remote = f"refs/remotes/{self._remote_name() or 'origin'}/"
        if known := self.git("symbolic-ref", "--quiet", f"{of_remote}HEAD", default=""):
            return known.removeprefix(of_remote)
        refs = self.git("for-each-ref", "--format=%(refname)", of_remote, "refs/heads/").splitlines()
        names = {ref.removeprefix(of_remote).removeprefix("refs/heads/") for ref in refs}
        return next((name for name in ("main", "master") if name in names), "main")

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
            lay_out(Source(self.folder, self.head, self.remote()), target, how, for_builds=for_builds)
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
    if not shutil.which("git") or probe.git("rev-parse", "--is-inside-work-tree", default="") != "true":
        return probe
    head = probe.git("rev-parse", "--verify", "--quiet", "HEAD", default="")
    return WorkingTree(folder, top=bool(head) and (folder / ".git").exists(), head=head, in_repository=True)


def _candidates(root: Path) -> list[str]:
    """The paths of files where pipeline files may be, from the root on."""
    folders = (root, *(root / name for name in FOLDERS))
    found = (path for folder in folders for path in sorted(folder.glob("*")) if path.is_file() or path.is_symlink())
    return [path.relative_to(root).as_posix() for path in found]
