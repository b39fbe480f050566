"""The source of ``headway run``: the working tree as it is now, uncommitted files included."""

import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipelines.commit_id import NO_COMMIT, object_format
from pipelines.context import Context, PipelineFile, RepoInfo
from pipelines.parser.discovery import FOLDERS, choose_files, other_systems_hint
from pipelines.state import Reason
from pipelines.trigger import Event, Trigger
from runner.docker.references import LOCAL_FOLDERS
from runner.errors import StepError
from runner.source.git import GitError, run_git
from runner.source.git_dir import write_objects
from runner.source.pipeline_file import read_pipeline_file


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
        """The run's context, as far as it is known without a server."""
        url = self.git("remote", "get-url", "origin", default="") if self.versioned else ""
        return Context(RepoInfo(name=self.folder.name, clone_url=url or str(self.folder)), local=True, run_number=1)

    def pipeline(self) -> list[PipelineFile]:
        """The pipeline files; none if there is only a Dockerfile. Raises StepError if there is neither."""
        names = [path.relative_to(self.folder).as_posix() for path in self._candidates()]
        chosen = choose_files(names)
        if not chosen and not (self.folder / "Dockerfile").is_file():
            hint = "write a .headway.yml (`headway init` makes a first one), or a Dockerfile"
            more = other_systems_hint(sorted(path.name for path in self.folder.iterdir()))
            raise StepError(Reason.NO_PIPELINE, f"{self.folder} has no pipeline file and no Dockerfile; {hint}{more}")
        return [PipelineFile(name, read_pipeline_file(self.folder / name)) for name in chosen]

    def _candidates(self) -> Iterable[Path]:
        for folder in (self.folder, *(self.folder / name for name in FOLDERS)):
            yield from sorted(path for path in folder.glob("*") if path.is_file())

    def check_out(self, target: Path) -> None:
        """Copies the tree to ``target``: of a git repository no ignored files, and a ``.git`` of one commit."""
        target.mkdir(parents=True)
        with ThreadPoolExecutor(1, "git") as pool:
            written = pool.submit(self._write_git_folder, target)
            for name in self._files():
                _copy(self.folder / name, target / name)
        written.result()
        _make_writable_for_all(target)

    def _write_git_folder(self, target: Path) -> None:
        if not self.top:
            return
        at = ["git", "-C", str(target)]
        run_git([*at, "init", "--quiet", "--template=", f"--object-format={object_format(self.head)}"])
        write_objects(["git", "-C", str(self.folder)], self.head, target, history=False)
        # Not with git checkout: it writes timestamps to the index, and builds of the same commit would not be cached.
        (target / ".git" / "HEAD").write_text(f"{self.head}\n")
        run_git([*at, "read-tree", "HEAD"])

    def _files(self) -> list[str]:
        if not self.versioned:
            return [path.name for path in self.folder.iterdir() if not path.match(LOCAL_FOLDERS)]
        mine = ("--exclude", LOCAL_FOLDERS)
        names = self.git("ls-files", "-z", "--cached", "--others", "--exclude-standard", *mine).split("\0")
        return [name for name in dict.fromkeys(names) if name and os.path.lexists(self.folder / name)]

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


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():
        others = shutil.ignore_patterns(LOCAL_FOLDERS)
        shutil.copytree(source, target, symlinks=True, ignore=others, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def _make_writable_for_all(folder: Path) -> None:
    """Steps may run as any user, so all files must be writable for all."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o777 if path.is_dir() else 0o666))
