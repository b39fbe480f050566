"""The source of ``headway run``: the working tree as it is now, uncommitted files included."""

import os
import shutil
from collections.abc import Iterable
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
from runner.source.git import GitError, run_git
from runner.source.git_words import without_login
from runner.source.pipeline_file import read_pipeline_file
from runner.source.tree_entries import nowhere, outside
from runner.source.working_copy import Source, copy, lay_out, new_files


@dataclass(frozen=True)
class WorkingTree:
    """A folder with source code. ``head`` is its commit, if it is in a git repository that has one; ``top`` is true if
    it is the root of that repository.
    """

    folder: Path
    top: bool = False
    head: str = ""

    @property
    def versioned(self) -> bool:
        """True if the folder is in a git repository with a commit."""
        return bool(self.head)

    def trigger(self, event: Event, branch: str) -> Trigger:
        """The trigger as if this tree had been pushed."""
        if not self.versioned:
            return Trigger(event=event, sha=NO_COMMIT, ref=f"refs/heads/{branch or 'main'}", branch=branch or "main")
        branch = branch or self.git("symbolic-ref", "--quiet", "--short", "HEAD", default="main")
        known = self.git("show", "-s", "--format=%P%x00%an%x00%ae%x00%at%x00%B", self.head)
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

    def _changed(self, base: str) -> tuple[str, ...]:
        """Files changed by the last commit and since then; ``base`` is the commit before it, if any."""
        since = (
            self.git("diff", "--name-only", "--no-renames", "--relative", "-z", base)
            if base
            else self.git("ls-files", "-z")
        )
        new = self.git("ls-files", "-z", "--others", "--exclude-standard")
        return tuple(dict.fromkeys(name for name in (since + "\0" + new).split("\0") if name))

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
        names = self.git("remote", default="").splitlines()
        name = "origin" if "origin" in names else next(iter(names), "")
        return without_login(self.git("remote", "get-url", name, default="")) if name else ""

    def _default_branch(self) -> str:
        head = "refs/remotes/origin/HEAD"
        known = self.git("symbolic-ref", "--quiet", head, default="") if self.versioned else ""
        return known.removeprefix("refs/remotes/origin/") or "main"

    def pipeline(self) -> list[PipelineFile]:
        """The pipeline files; none if there is only a Dockerfile. Raises StepError if there is neither."""
        names = [path.relative_to(self.folder).as_posix() for path in self._candidates()]
        chosen = choose_files(names)
        if not chosen and not (self.folder / "Dockerfile").is_file():
            hint = "write a .headway.yml (`headway init` makes a first one), or a Dockerfile"
            more = other_systems_hint(sorted(path.name for path in self.folder.iterdir()))
            raise StepError(Reason.NO_PIPELINE, f"{self.folder} has no pipeline file and no Dockerfile; {hint}{more}")
        return [PipelineFile(name, self._read(name)) for name in chosen]

    def _candidates(self) -> Iterable[Path]:
        for folder in (self.folder, *(self.folder / name for name in FOLDERS)):
            yield from sorted(path for path in folder.glob("*") if path.is_file() or path.is_symlink())

    def _read(self, name: str) -> bytes:
        """A pipeline file. Raises StepError for a link that a server could not follow."""
        path = self.folder / name
        real = Path(os.path.realpath(path))
        if real.is_symlink() or not real.exists():
            raise nowhere(name, loop=real.is_symlink())
        if real != path and not real.is_relative_to(self._top_folder()):
            raise outside(name, str(real))
        return read_pipeline_file(real)

    def _top_folder(self) -> Path:
        """The root of the repository that the folder is in, else the folder."""
        return next((each for each in (self.folder, *self.folder.parents) if (each / ".git").exists()), self.folder)

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
        if not self.versioned:
            return [path.name for path in self.folder.iterdir() if not path.match(LOCAL_FOLDERS)]
        source = Source(self.folder, self.head, "")
        names = [*source.names("ls-files", "-z", "--cached"), *new_files(source)]
        return [name for name in dict.fromkeys(names) if os.path.lexists(self.folder / name)]

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
    head = probe.git("rev-parse", "--verify", "--quiet", "HEAD", default="") if shutil.which("git") else ""
    return WorkingTree(folder, top=bool(head) and (folder / ".git").exists(), head=head)
