"""``headway run`` reads a folder as its user's git does."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from pipelines.state import Reason
from pipelines.trigger import Event
from runner.errors import StepError
from runner.source.working_tree import WorkingTree, working_tree
from tests.support.repos import WHO

pytestmark = pytest.mark.slow


class Here:
    """A folder of a user with a home of their own."""

    def __init__(self, place: Path) -> None:
        self.place, self.folder, self.home = place, place / "app", place / "home"
        self.folder.mkdir()
        self.home.mkdir()

    def git(self, *words: str, at: Path | None = None) -> str:
        names = {name: value for name, value in WHO.items() if not name.startswith("GIT_CONFIG")}
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "GIT_ALLOW_PROTOCOL": "file", **names}
        command = ["git", "-c", "init.defaultBranch=main", "-C", str(at or self.folder), *words]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, *names: str, content: str = "x\n") -> None:
        for name in names:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(content)

    def commit(self) -> None:
        self.git("init", "-q")
        self.git("add", ".")
        self.git("commit", "-qm", "m", "--allow-empty")

    @property
    def tree(self) -> WorkingTree:
        return working_tree(self.folder)

    def laid_out(self, folder: Path | None = None, how: Checkout | None = None) -> set[str]:
        target = self.place / "laid out"
        working_tree(folder or self.folder).check_out(target, how or Checkout())
        found = (path.relative_to(target) for path in target.rglob("*") if not path.is_dir())
        return {name.as_posix() for name in found if name.parts[0] != ".git"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    made = Here(tmp_path)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(made.home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return made


WAYS = ["~", "absolute", "default", "xdg", "include", "environment", "info", "repository"]


def ignore_envrc(here: Here, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(here.home / ("xdg" if way == "xdg" else ".config")))
    places = {"default": ".config/git/ignore", "xdg": "xdg/git/ignore", "info": "../app/.git/info/exclude"}
    ignore = here.home / places.get(way, "my ignore")
    ignore.parent.mkdir(parents=True, exist_ok=True)
    ignore.write_text(".envrc\n")
    setting = f"[core]\n\texcludesFile = {'~/my ignore' if way == '~' else ignore}\n"
    if way in {"~", "absolute"}:
        (here.home / ".gitconfig").write_text(setting)
    elif way == "include":
        (here.home / "more").write_text(setting)
        (here.home / ".gitconfig").write_text("[include]\n\tpath = more\n")
    elif way == "repository":
        here.git("config", "core.excludesFile", str(ignore))
    elif way == "environment":
        for name, value in {"COUNT": "1", "KEY_0": "core.excludesFile", "VALUE_0": str(ignore)}.items():
            monkeypatch.setenv(f"GIT_CONFIG_{name}", value)


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_files_that_the_users_settings_ignore_stay_out(
    here: Here, way: str, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.git("init", "-q")
    ignore_envrc(here, way, monkeypatch)
    here.write("a", "sub/b")
    if committed:
        here.commit()
    here.write(".envrc", "sub/.envrc", "new")
    assert here.laid_out() == {"a", "sub/b", "new"}
    assert ".envrc" not in (here.tree.trigger(Event.PUSH, "").changed_files or ())


def test_what_gitignore_names_stays_out_before_the_first_commit(here: Here) -> None:
    here.git("init", "-q")
    here.write(".gitignore", content=".env\nnode_modules/\n")
    here.write("a", ".env", "node_modules/x/y", "sub/.env", "sub/b")
    assert here.laid_out() == {".gitignore", "a", "sub/b"}


def test_a_folder_without_git_is_copied_whole(here: Here) -> None:
    here.write(".gitignore", content=".env\n")
    here.write(".env")
    assert here.laid_out() == {".gitignore", ".env"}


@pytest.mark.parametrize("below", ["", "part"])
def test_ignored_files_of_repositories_inside_stay_out(here: Here, below: str) -> None:
    """A submodule of a folder below the root, and one that git does not know."""
    for name in ("part/lib", "part/lib/deep", "part/new"):
        here.write(f"{name}/.gitignore", content="*.key\n")
        here.write(f"{name}/code", f"{name}/my.key")
        here.git("init", "-q", at=here.folder / name)
    for name in ("part/lib/deep", "part/lib"):
        here.git("add", ".", at=here.folder / name)
        here.git("commit", "-qm", "m", at=here.folder / name)
    here.git("init", "-q")
    here.git("add", "part/lib")
    here.git("commit", "-qm", "m")
    found = here.laid_out(here.folder / below)
    assert not [name for name in found if name.endswith(".key") or "/.git/" in name]
    assert f"{'' if below else 'part/'}new/code" in found
    assert ("lib/deep/code" in found) is bool(below)


@pytest.mark.parametrize("repository", ["committed", "new file", "before the first commit", "below", "none"])
def test_a_script_is_executable_for_everyone(here: Here, repository: str) -> None:
    here.write("kept", "part/kept")
    if repository in {"new file", "below"}:
        here.commit()
    for name in ("run", "part/run"):
        here.write(name)
        (here.folder / name).chmod(0o700)
    if repository == "committed":
        here.commit()
    elif repository == "before the first commit":
        here.git("init", "-q")
    (here.folder / "part").chmod(0o700)
    before = os.umask(0o077)
    try:
        here.laid_out(here.folder / ("part" if repository == "below" else ""))
    finally:
        os.umask(before)
    target = here.place / "laid out"
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in target.iterdir() if path.name != ".git"}
    assert modes.pop("run") == "0o755"
    assert modes.pop("kept") == "0o644"
    assert set(modes.values()) <= {"0o755"}


def test_modes_that_mean_nothing_are_not_taken(here: Here) -> None:
    here.write("a")
    here.commit()
    here.git("config", "core.fileMode", "false")
    here.write("new")
    (here.folder / "new").chmod(0o777)
    here.laid_out()
    assert stat.S_IMODE((here.place / "laid out/new").stat().st_mode) == 0o644


def test_without_a_branch_the_run_is_not_one_of_the_default_branch(here: Here) -> None:
    here.write("a")
    here.commit()
    assert here.tree.trigger(Event.PUSH, "").branch == "main"
    assert list(here.tree.notes()) == []
    here.git("checkout", "-q", "--detach")
    assert here.tree.trigger(Event.PUSH, "").branch == "HEAD"
    assert here.tree.trigger(Event.PUSH, "main").branch == "main"
    assert list(here.tree.notes("main")) == []
    (note,) = here.tree.notes()
    assert note == "no branch is checked out: the run's branch is HEAD; --branch NAME names another"


def test_a_tag_of_the_same_name_does_not_change_the_branch(here: Here) -> None:
    here.write("a")
    here.commit()
    here.git("tag", "main")
    trigger = here.tree.trigger(Event.PUSH, "")
    assert (trigger.branch, trigger.ref) == ("main", "refs/heads/main")


def test_before_the_first_commit_the_branch_is_known(here: Here) -> None:
    here.git("init", "-q", "-b", "trunk")
    here.write("a")
    trigger = here.tree.trigger(Event.PUSH, "")
    assert (trigger.branch, trigger.ref) == ("trunk", "refs/heads/trunk")


@pytest.mark.parametrize("remote", ["origin", "upstream"])
@pytest.mark.parametrize("told", [True, False])
def test_a_clone_has_the_default_branch_of_its_remote(here: Here, remote: str, told: bool) -> None:
    here.write("a")
    here.commit()
    here.git("branch", "-m", "master")
    clone = here.place / "clone"
    here.git("clone", "-q", "-o", remote, str(here.folder), str(clone))
    here.git("checkout", "-qb", "topic", at=clone)
    if not told:
        here.git("remote", "set-head", remote, "--delete", at=clone)
    assert working_tree(clone).context().repo.default_branch == "master"


@pytest.mark.parametrize("repository", ["committed", "before the first commit", "none"])
def test_a_pipe_is_told_of(here: Here, repository: str) -> None:
    here.write("a", "sub/b")
    if repository == "committed":
        here.commit()
    elif repository != "none":
        here.git("init", "-q")
    os.mkfifo(here.folder / "pipe")
    os.mkfifo(here.folder / "sub/pipe")
    assert here.laid_out() == {"a", "sub/b"}
    assert list(here.tree.notes()) == [
        f"{name} is a pipe, a socket or a device: it is left out" for name in ("pipe", "sub/pipe")
    ]


# Clones that have not everything


CLONES = {
    "blobless": ("--filter=blob:none",),
    "treeless": ("--filter=tree:0",),
    "some blobs": ("--filter=blob:limit=5",),
    "sparse and blobless": ("--filter=blob:none", "--sparse"),
    "nothing checked out": ("--filter=blob:none", "--no-checkout"),
    "shallow": ("--depth=1",),
    "sparse": ("--sparse",),
    "shared": ("--shared",),
    "whole": (),
}


@pytest.mark.parametrize("how", [Checkout(), Checkout(depth=0, tags=True)], ids=["last commit", "history"])
@pytest.mark.parametrize("name", CLONES)
def test_a_clone_with_less_in_it_runs(here: Here, name: str, how: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"a", "deep/er/b", "deep/c"}
    for content in ("first version\n", "second version\n"):
        here.write(*names, content=content)
        here.commit()
    here.git("tag", "v1")
    here.git("config", "uploadpack.allowFilter", "true")
    here.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = here.place / "clone"
    here.git("clone", "-q", *CLONES[name], f"file://{here.folder}", str(clone))
    if name == "nothing checked out":
        here.git("reset", "-q", at=clone)
        here.git("update-index", "--skip-worktree", *names, at=clone)
    tree = working_tree(clone)
    assert set(tree.trigger(Event.PUSH, "").changed_files or ()) == names
    assert here.laid_out(clone, how) == names
    assert (here.place / "laid out/deep/er/b").read_text() == "second version\n"
    said = here.git("-c", "safe.directory=*", "status", "--porcelain", at=here.place / "laid out")
    assert said == ""


def test_what_cannot_be_fetched_is_said(here: Here) -> None:
    here.write("a", "b")
    here.commit()
    here.git("config", "uploadpack.allowFilter", "true")
    clone = here.place / "clone"
    here.git("clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{here.folder}", str(clone))
    here.folder.rename(here.place / "away")
    with pytest.raises(StepError, match=r"this clone is partial, and 1 objects of its commit could not be fetched"):
        here.laid_out(clone)


def test_a_submodule_without_an_address_is_the_commits_fault(here: Here) -> None:
    here.write("a")
    here.commit()
    inner = here.folder / "vend"
    here.git("init", "-q", str(inner))
    here.git("commit", "-q", "--allow-empty", "-m", "x", at=inner)
    here.git("add", "vend")
    here.git("commit", "-q", "-m", "y")
    with pytest.raises(StepError, match=r"the submodule vend has no address in \.gitmodules; add it there") as no:
        here.tree.check_out(here.place / "out", Checkout(submodules=True))
    assert no.value.reason is Reason.COMMIT_MISSING
