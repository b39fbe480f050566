"""A server's checkout and the copy of ``headway run`` are the same: awkward repositories, laid out both ways."""

import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import StepError
from runner.source.mirrors.mirror import Mirror
from runner.source.working_tree import working_tree
from tests.support.git_server import git_server
from tests.support.repos import WHO

pytestmark = pytest.mark.slow

LARGE = b"large\n" * 1000
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (
    hashlib.sha256(LARGE).hexdigest().encode(),
    len(LARGE),
)


class Work:
    """A repository with a person's changes, and a bare one that a server serves."""

    def __init__(self, place: Path, url: str, name: str) -> None:
        self.folder = place / "work" / name
        self.bare = place / "served" / f"{name}.git"
        self.url = f"{url}/{name}.git"
        self.more: tuple[str, ...] = ()

    def git(self, *arguments: str, data: bytes = b"") -> str:
        command = ["git", "-c", "protocol.file.allow=always", "-C", str(self.folder), *arguments]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **WHO}
        done = subprocess.run(command, input=data, env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode(errors="surrogateescape")

    def create(self, *arguments: str) -> "Work":
        self.folder.mkdir(parents=True)
        self.git("init", "-q", "--initial-branch=main", *arguments)
        self.git("remote", "add", "origin", self.url)
        return self

    def write(self, name: str | bytes, content: bytes = b"x\n", mode: int = 0o644) -> "Work":
        path = self.folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        return self

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "-qm", "m", "--allow-empty")
        return self.serve()

    def serve(self) -> str:
        shutil.rmtree(self.bare, ignore_errors=True)
        self.bare.parent.mkdir(exist_ok=True)
        self.git("clone", "-q", "--bare", "--no-hardlinks", str(self.folder), str(self.bare))
        return self.git("rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("both")
    (folder / "served").mkdir()
    return folder


@pytest.fixture(scope="module")
def url(place: Path) -> Iterator[str]:
    with git_server(place / "served", login=False) as server:
        yield server.url


class Case(NamedTuple):
    """How a repository is made awkward, and what its pipeline asks of the checkout."""

    make: Callable[[Work], object]
    how: Checkout = Checkout()


def names(work: Work) -> None:
    strange = [
        b"\xff\xfe",
        b"caf\xe9/\xe9",
        "ü".encode(),
        b"-n",
        b"a b",
        b"a\nb",
        b"\nfirst",
        b"tab\t",
        b"quote\"'",
        b"*",
    ]
    strange += [b"back\\slash", b".hidden/.x", b"dots...", b"~", b"x" * 255, b"/".join([b"d" * 100] * 8) + b"/f"]
    for name in strange:
        work.write(name)


def modes(work: Work) -> None:
    for mode in (0o600, 0o644, 0o666, 0o700, 0o755, 0o777, 0o4755, 0o640, 0o655):
        work.write(f"f{mode:o}", mode=mode)
    work.folder.joinpath("closed").mkdir(mode=0o700)
    work.write("closed/f")


def links(work: Work) -> None:
    work.write("folder/target")
    targets = {"file": "folder/target", "dir": "folder", "gone": "nowhere", "out": "/etc/passwd", "loop": "loop"}
    for name, target in {**targets, "folder/up": ".."}.items():
        (work.folder / name).symlink_to(target)


def attributes(work: Work) -> None:
    lines = b"*.bat eol=crlf\n*.id ident\n*.u16 working-tree-encoding=UTF-16LE\nno export-ignore\n*.bin -text\n"
    work.write(".gitattributes", lines).write("a.bat", b"one\r\ntwo\r\n").write("a.id", b"$Id$\n").write("no")
    work.write("a.u16", "hü\n".encode("utf-16-le")).write("a.bin", b"\0\r\n\n")
    work.commit()
    for name in ("a.id", "a.bat"):
        (work.folder / name).unlink()
    work.git("checkout", "--", ".")


def crlf(work: Work) -> None:
    work.git("config", "core.autocrlf", "true")
    work.write("text.txt", b"one\r\ntwo\r\n").commit()


def no_modes(work: Work) -> None:
    work.write("tool", mode=0o755).write("text").commit()
    work.git("config", "core.fileMode", "false")
    (work.folder / "tool").chmod(0o644)
    (work.folder / "text").chmod(0o777)


def sparse(work: Work) -> None:
    work.write("in/a").write("out/b").write("top").commit()
    work.git("sparse-checkout", "set", "in")
    assert not (work.folder / "out").exists()


def ignored(work: Work) -> None:
    work.write(".gitignore", b"*.log\n/build\n").write("a").write("kept.log")
    work.git("add", "-f", "kept.log")
    work.commit()
    work.write("other.log").write("build/x")


def large_files(work: Work) -> None:
    """As git-lfs leaves it: HEAD has the pointer, the folder has the file."""
    work.write(".gitattributes", b"*.bin filter=lfs diff=lfs merge=lfs -text\n").write("a.bin", POINTER).commit()
    work.write("a.bin", LARGE)


def with_submodule(work: Work, *, initialised: bool = True) -> None:
    inner = Work(work.folder.parent.parent, work.url.rpartition("/")[0], f"{work.folder.name}-inner").create()
    deepest = Work(work.folder.parent.parent, work.url.rpartition("/")[0], f"{work.folder.name}-deepest").create()
    deepest.write("deep", mode=0o755).commit()
    inner.git("submodule", "--quiet", "add", "--name", "the deepest", f"../{deepest.bare.name}", "deep")
    inner.write("inner").commit()
    work.write("a")
    work.git("submodule", "--quiet", "add", f"../{inner.bare.name}", "lib")
    work.git("submodule", "--quiet", "update", "--init", "--recursive")
    work.commit()
    if not initialised:
        work.git("submodule", "--quiet", "deinit", "--all", "--force")


def bare_submodule(work: Work) -> None:
    with_submodule(work, initialised=False)


def stray_gitlink(work: Work) -> None:
    work.write("a").commit()
    work.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},stray")
    work.git("commit", "-qm", "m")
    work.serve()


def worktree(work: Work) -> None:
    """The folder is a worktree of a repository elsewhere, of another branch."""
    work.write("a").write("b/c").commit()
    main = work.folder.with_name(f"{work.folder.name}-elsewhere")
    work.folder.rename(main)
    work.folder = main
    work.git("worktree", "add", "-q", "-b", "side", str(main.with_name(f"{main.name}-linked")))
    work.folder = main.with_name(f"{main.name}-linked")


def history(work: Work) -> None:
    for name in ("a", "b", "c"):
        work.write(name).commit()
    work.git("tag", "v1")
    work.git("tag", "-am", "t", "v2")
    work.serve()


def shallow(work: Work) -> None:
    history(work)
    again = work.folder.with_name(f"{work.folder.name}-clone")
    work.git("clone", "-q", "--depth=1", f"file://{work.bare}", str(again))
    work.folder = again
    work.git("remote", "set-url", "origin", work.url)


def hashed_by_sha256(work: Work) -> None:
    shutil.rmtree(work.folder)
    work.create("--object-format=sha256").write("a").write("b/c", mode=0o755).commit()


def empty(work: Work) -> None:
    work.commit()


def detached(work: Work) -> None:
    history(work)
    work.git("checkout", "-q", "--detach", "HEAD~1")


def conflicting_case(work: Work) -> None:
    work.write("README").write("readme").write("Dir/a").write("dir/b")


CASES = {
    "names": Case(names), "modes": Case(modes), "links": Case(links), "attributes": Case(attributes),
    "crlf": Case(crlf), "no modes": Case(no_modes), "sparse": Case(sparse), "ignored": Case(ignored),
    "pointers": Case(large_files),
    "submodules": Case(with_submodule, Checkout(submodules=True)), "no submodules": Case(with_submodule),
    "bare submodules": Case(bare_submodule), "stray gitlink": Case(stray_gitlink), "worktree": Case(worktree),
    "history": Case(history, Checkout(depth=0, tags=True)), "depth": Case(history, Checkout(depth=2)),
    "shallow": Case(shallow), "sha256": Case(hashed_by_sha256), "empty": Case(empty), "detached": Case(detached),
    "case": Case(conflicting_case),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_both_lay_out_the_same(place: Path, url: str, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    work = Work(place, url, name.replace(" ", "-")).create()
    case.make(work)
    if work.git("status", "--porcelain", "--ignore-submodules=all") and name != "pointers":
        work.commit()
    sha = work.git("rev-parse", "HEAD").strip()
    mirror = Mirror(tmp_path / "mirrors", work.url)
    mirror.fetch(sha)
    for builds in (False, True):
        server, laptop = tmp_path / f"server-{builds}", tmp_path / f"laptop-{builds}"
        mirror.checkout(sha, server, case.how, for_builds=builds)
        working_tree(work.folder).check_out(laptop, case.how, for_builds=builds)
        assert tree_of(laptop) == tree_of(server)
        assert said_by_git(laptop) == said_by_git(server)


def tree_of(folder: Path) -> dict[bytes, tuple[str, bytes]]:
    """All files, links and folders with modes and contents, but for what is in ``.git``."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if name.parts[0] == ".git":
            assert path.is_symlink() or not path.stat().st_mode & 0o022
            continue
        status = path.lstat()
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[os.fsencode(name)] = (stat.filemode(status.st_mode), content)
    return found


def said_by_git(folder: Path) -> list[str]:
    looks = (("status", "--porcelain", "-z", "--ignored"), ("submodule", "status", "--recursive"), ("remote", "-v"),
             ("rev-list", "--all", "HEAD"), ("tag", "--list"), ("symbolic-ref", "-q", "HEAD"))  # fmt: skip
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **WHO}
    command = ["git", "-c", "safe.directory=*", "-C", str(folder)]
    said = [subprocess.run([*command, *look], env=env, capture_output=True, check=False).stdout for look in looks]
    # In parentheses `git submodule` names branches, which a server's clone of a submodule has, and a laptop's has not.
    return [re.sub(r" \([^)]*\)\n", "\n", text.decode(errors="replace")) for text in said]


# What is changed in the folder


def test_changes_of_every_kind_are_laid_on_top(place: Path, url: str, tmp_path: Path) -> None:
    work = Work(place, url, "changes").create()
    for name in ("kept", "edited", "deleted", "staged", "mode", "to-link", "folder/gone", "to-folder", "to-file/inner"):
        work.write(name)
    work.write("hidden").write("skipped").commit()
    work.write("edited", b"new\n").write("staged", b"staged\n").write(b"new\xff/\xfe", b"new\n").write(
        "mode", mode=0o755
    )
    for name in ("deleted", "folder/gone", "to-link", "to-folder", "to-file/inner"):
        (work.folder / name).unlink()
    (work.folder / "to-file").rmdir()
    (work.folder / "to-link").symlink_to("kept")
    work.write("to-folder/now").write("to-file", b"file\n")
    work.git("add", "staged", "mode")
    work.git("update-index", "--assume-unchanged", "hidden")
    work.git("update-index", "--skip-worktree", "skipped")
    work.write("hidden", b"mine\n").write("skipped", b"mine\n")
    working_tree(work.folder).check_out(tmp_path / "laptop", Checkout())
    found = {
        name: content for name, (mode, content) in tree_of(tmp_path / "laptop").items() if not mode.startswith("d")
    }
    assert found == {
        b"kept": b"x\n", b"edited": b"new\n", b"staged": b"staged\n", b"mode": b"x\n", b"to-link": b"kept",
        b"to-folder/now": b"x\n", b"to-file": b"file\n", b"new\xff/\xfe": b"new\n", b"hidden": b"mine\n",
        b"skipped": b"mine\n",
    }  # fmt: skip
    assert tree_of(tmp_path / "laptop")[b"mode"][0] == "-rwxr-xr-x"
    assert not (tmp_path / "laptop/folder").exists()


def test_a_folder_that_became_a_link_leads_nowhere_else(place: Path, url: str, tmp_path: Path) -> None:
    work = Work(place, url, "linked-folder").create().write("folder/inner")
    work.commit()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "inner").write_text("not of the repository")
    shutil.rmtree(work.folder / "folder")
    (work.folder / "folder").symlink_to(outside)
    working_tree(work.folder).check_out(tmp_path / "laptop", Checkout())
    assert tree_of(tmp_path / "laptop") == {b"folder": ("lrwxrwxrwx", os.fsencode(outside))}


def test_large_files_are_copied_where_the_pipeline_asks_for_them(place: Path, url: str, tmp_path: Path) -> None:
    work = Work(place, url, "lfs").create()
    large_files(work)
    working_tree(work.folder).check_out(tmp_path / "laptop", Checkout(lfs=True))
    assert (tmp_path / "laptop/a.bin").read_bytes() == LARGE
    work.write("a.bin", POINTER)
    with pytest.raises(StepError, match=r"the LFS file a\.bin is not here.*run `git lfs pull`") as missing:
        working_tree(work.folder).check_out(tmp_path / "missing", Checkout(lfs=True))
    assert missing.value.reason is Reason.CLONE_FAILED
    work.write("a.bin", b"edited")
    working_tree(work.folder).check_out(tmp_path / "edited", Checkout())
    assert (tmp_path / "edited/a.bin").read_bytes() == b"edited"


def test_a_submodule_that_is_asked_for_and_not_here_is_named(place: Path, url: str, tmp_path: Path) -> None:
    work = Work(place, url, "needs-submodule").create()
    bare_submodule(work)
    with pytest.raises(
        StepError, match=r"the submodule lib is not here.*run `git submodule update --init --recursive`"
    ):
        working_tree(work.folder).check_out(tmp_path / "laptop", Checkout(submodules=True))


def test_a_submodule_has_what_is_changed_in_it(place: Path, url: str, tmp_path: Path) -> None:
    work = Work(place, url, "changed-submodule").create()
    with_submodule(work)
    (work.folder / "lib/deep/deep").write_text("changed")
    working_tree(work.folder).check_out(tmp_path / "laptop", Checkout(submodules=True))
    assert (tmp_path / "laptop/lib/deep/deep").read_text() == "changed"
    assert said_by_git(tmp_path / "laptop/lib/deep")[0] == " M deep\0"


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        ("https://git.example.org/team/app.git", "team/app"),
        ("https://me:token@git.example.org/team/app", "team/app"),
        ("git@github.com:team/app.git", "team/app"),
        ("ssh://git@git.example.org:2222/team/app.git", "team/app"),
        ("https://gitlab.com/group/sub/app.git", "sub/app"),
        ("/srv/git/app.git", "app"),
        ("../app.git", "app"),
        ("", "folder"),
    ],
)
def test_the_repository_is_named_after_its_remote(tmp_path: Path, remote: str, name: str) -> None:
    work = Work(tmp_path, "", "folder").create().write("a")
    work.git("add", ".")
    work.git("commit", "-qm", "m")
    work.git("remote", "remove", "origin")
    if remote:
        work.git("remote", "add", "upstream", remote)
    context = working_tree(work.folder).context()
    assert context.repo.name == name
    assert "token" not in context.repo.clone_url


def test_the_default_branch_is_that_of_the_remote(tmp_path: Path) -> None:
    work = Work(tmp_path, "https://x", "folder").create().write("a")
    work.git("add", ".")
    work.git("commit", "-qm", "m")
    assert working_tree(work.folder).context().repo.default_branch == "main"
    work.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    assert working_tree(work.folder).context().repo.default_branch == "trunk"
