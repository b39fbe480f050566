"""The pack of a working tree: what is in it, what it costs the user's repository, and how a server reads it."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import StepError
from runner.source.mirrors.mirror import Mirror
from runner.source.mirrors.sent_tree import NAMES_BYTES_MAX, SentCommit, unpack
from runner.source.sent_tree import PackedTree, pack_tree
from runner.source.stored_files import stored_files
from runner.source.working_tree import working_tree
from runner.source.working_tree_files import Source
from tests.support.repos import WHO

ENVIRONMENT = {"PATH": os.environ["PATH"], **WHO}
BYTES_MAX = 1024**2


def git(folder: Path, *arguments: str, data: bytes = b"") -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, input=data, env=ENVIRONMENT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(errors="surrogateescape").strip()


class Laptop:
    """A clone with one commit, and the server's mirror of that."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work, self.mirror = folder, folder / "work", folder / "mirror.git"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.mirror))
        git(folder, "clone", "--quiet", str(self.mirror), str(self.work))
        git(self.work, "checkout", "--quiet", "-B", "main")
        for name in ("kept", "gone", "changed", "to_folder"):
            (self.work / name).write_text(f"{name} " * 100)
        (self.work / ".gitignore").write_text("ignored\n")
        self.commit("first")
        git(self.work, "push", "--quiet", "origin", "main")
        git(self.work, "fetch", "--quiet")
        self.packs = 0

    def commit(self, message: str) -> str:
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--allow-empty", "-m", message)
        return git(self.work, "rev-parse", "HEAD")

    def pack(self, bytes_max: int = BYTES_MAX) -> PackedTree:
        self.packs += 1
        folder = self.folder / f"packs{self.packs}"
        folder.mkdir()
        return pack_tree(working_tree(self.work), folder, bytes_max)

    def unpacked(
        self, packed: PackedTree, bytes_max: int = BYTES_MAX, commit: str = "", base: str = "",
        names_bytes_max: int = NAMES_BYTES_MAX,
    ) -> Path:  # fmt: skip
        target = self.folder / f"own{self.packs}.git"
        shutil.rmtree(target, ignore_errors=True)
        sent = SentCommit(commit or packed.commit, base or packed.base)
        unpack(sent, iter([packed.path.read_bytes()]), bytes_max, target, self.mirror, names_bytes_max)
        return target

    def listed(self, packed: PackedTree) -> dict[str, str]:
        """The modes of the files that the server has."""
        entries = git(self.unpacked(packed), "ls-tree", "-r", "-z", packed.commit).split("\0")
        return {name: known.split()[0] for known, name in (entry.split("\t") for entry in entries if entry)}


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path)


def test_the_commit_has_the_files_as_they_are_now(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    work = laptop.work
    (work / "gone").unlink()
    (work / "changed").chmod(0o755)
    (work / "changed").write_text("new")
    (work / "to_folder").unlink()
    (work / "to_folder").mkdir()
    (work / "to_folder" / 'odd "näme"\n\\').write_text("x")
    (work / "link").symlink_to("nowhere/at all")
    (work / "ignored").write_text("secret")
    (work / "staged").write_text("")
    git(work, "add", "staged")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(work)  # the path of a socket is short
        listening.bind("pipe.sock")
        packed = laptop.pack()
    assert laptop.listed(packed) == {
        ".gitignore": "100644", "changed": "100755", "kept": "100644", "link": "120000", "staged": "100644",
        'to_folder/odd "näme"\n\\': "100644",
    }  # fmt: skip
    own = laptop.unpacked(packed)
    assert git(own, "show", f"{packed.commit}:changed") == "new"
    assert git(own, "show", f"{packed.commit}:link") == "nowhere/at all"
    assert git(own, "rev-list", "--parents", "-1", packed.commit).split()[1:] == [packed.base]
    git(own, "fsck", "--strict")


def test_what_the_server_has_is_not_sent(laptop: Laptop) -> None:
    (laptop.work / "kept").write_bytes(os.urandom(100_000))
    base = laptop.commit("large")
    git(laptop.work, "push", "--quiet", "origin", "main")
    (laptop.work / "changed").write_text("new")
    packed = laptop.pack()
    assert packed.base == base
    assert packed.path.stat().st_size < 1_000


def test_an_older_version_of_a_file_is_sent_again(laptop: Laptop) -> None:
    """The server may have the base alone, whatever an older commit has."""
    old = (laptop.work / "changed").read_text()
    (laptop.work / "changed").write_text("other")
    base = laptop.commit("second")
    git(laptop.work, "push", "--quiet", "origin", "main")
    (laptop.work / "changed").write_text(old)
    packed = laptop.pack()
    shutil.rmtree(laptop.mirror)
    git(laptop.folder, "init", "--quiet", "--bare", str(laptop.mirror))
    git(laptop.mirror, "fetch", "--quiet", "--depth=1", f"file://{laptop.work}", base)
    assert "changed" in laptop.listed(packed)


def test_commits_without_a_remote_branch_are_a_part_of_it(laptop: Laptop) -> None:
    base = git(laptop.work, "rev-parse", "HEAD")
    (laptop.work / "own").write_text("")
    laptop.commit("mine")
    packed = laptop.pack()
    assert packed.base == base
    assert "own" in laptop.listed(packed)


def test_an_unchanged_and_an_empty_tree_can_be_sent(laptop: Laptop) -> None:
    assert len(laptop.listed(laptop.pack())) == 5
    for path in laptop.work.iterdir():
        if path.is_file():
            path.unlink()
    assert laptop.listed(laptop.pack()) == {}


def without_remote(laptop: Laptop) -> None:
    git(laptop.work, "remote", "remove", "origin")


def unborn(laptop: Laptop) -> None:
    shutil.rmtree(laptop.work / ".git")
    git(laptop.work, "init", "--quiet")
    git(laptop.work, "add", "kept")


@pytest.mark.parametrize("change", [without_remote, unborn])
def test_without_a_known_commit_the_whole_tree_is_sent(laptop: Laptop, change: Callable[[Laptop], None]) -> None:
    change(laptop)
    packed = laptop.pack()
    assert packed.base == ""
    assert sorted(laptop.listed(packed)) == [".gitignore", "changed", "gone", "kept", "to_folder"]


def test_a_shallow_clone_sends_its_tree(laptop: Laptop) -> None:
    laptop.commit("second")
    git(laptop.work, "push", "--quiet", "origin", "main")
    shallow = laptop.folder / "shallow"
    git(laptop.folder, "clone", "--quiet", "--depth=1", f"file://{laptop.mirror}", str(shallow))
    laptop.work = shallow
    (shallow / "new").write_text("")
    assert "new" in laptop.listed(laptop.pack())


def everything(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted((folder / ".git").rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()


def test_the_users_repository_stays_as_it_is(laptop: Laptop) -> None:
    (laptop.work / "changed").write_text("new")
    (laptop.work / "own").write_text("")
    before = dict(everything(laptop.work))
    laptop.pack()
    assert dict(everything(laptop.work)) == before


def test_a_file_that_a_filter_would_change_is_not_sent(laptop: Laptop) -> None:
    (laptop.work / ".gitattributes").write_text("kept filter=crypt\nnew filter=crypt\ngone filter=lfs\n")
    git(laptop.work, "config", "filter.crypt.clean", "sed s/PLAIN/CIPHER/")
    laptop.commit("attributes")
    (laptop.work / "gone").unlink()
    laptop.pack()
    (laptop.work / "new").write_text("PLAIN")
    with pytest.raises(StepError, match=r"new has the filter 'crypt' in .gitattributes"):
        laptop.pack()
    (laptop.work / "new").unlink()
    (laptop.work / "kept").write_text("PLAIN")
    with pytest.raises(StepError, match="kept has the filter 'crypt'"):
        laptop.pack()


CRLF = b"one\r\ntwo\r\n"
UTF16 = "hello\n".encode("utf-16")


def added(laptop: Laptop) -> dict[str, str]:
    """Mode and blob of each file that a push would send."""
    git(laptop.work, "add", "--all")
    entries = git(laptop.work, "ls-files", "-s", "-z").split("\0")
    return {name: known for known, name in (entry.split("\t") for entry in entries if entry)}


def sent(laptop: Laptop) -> dict[str, str]:
    packed = laptop.pack()
    entries = git(laptop.unpacked(packed), "ls-tree", "-r", "-z", packed.commit).split("\0")
    listed = (entry.split("\t") for entry in entries if entry)
    return {name: "{} {} 0".format(*known.split()[::2]) for known, name in listed}


@pytest.mark.parametrize("setting", ["core.autocrlf=false", "core.autocrlf=true", "core.autocrlf=input"])
def test_files_are_sent_as_a_push_would_send_them(laptop: Laptop, setting: str) -> None:
    work = laptop.work
    (work / "crlf-in-git").write_bytes(CRLF)
    laptop.commit("as it is")
    git(work, "config", *setting.split("="))
    attributes = "*.txt working-tree-encoding=UTF-16\n*.crlf text eol=crlf\n*.auto text=auto\n*.id ident\n*.bin -text\n"
    (work / ".gitattributes").write_text(attributes)
    (work / ".git" / "info").mkdir(exist_ok=True)
    (work / ".git" / "info" / "attributes").write_text("*.own text\n")
    (work / "encoded.txt").write_bytes(UTF16)
    (work / "expanded.id").write_bytes(b"$Id: 123 $\n")
    for name in ("a.crlf", "a.auto", "a.bin", "a.own", "plain", "crlf-in-git", "changed", 'odd "name"\n\\.crlf'):
        (work / name).write_bytes(CRLF + b"more\r\n")
    (work / "changed").chmod(0o755)
    packed = sent(laptop)
    own = laptop.folder / "own1.git"
    assert git(own, "cat-file", "blob", packed["encoded.txt"].split()[1]) == "hello"
    assert git(own, "cat-file", "blob", packed["a.crlf"].split()[1]) == "one\ntwo\nmore"
    assert git(own, "cat-file", "blob", packed["expanded.id"].split()[1]) == "$Id$"
    assert packed == added(laptop)


def test_a_repository_inside_is_sent_with_its_files(laptop: Laptop) -> None:
    inner = laptop.work / "vendor" / "lib"
    git(laptop.folder, "init", "--quiet", str(inner))
    (inner / "a.txt").write_bytes(CRLF)
    (inner / ".gitattributes").write_text("*.txt text\n")
    packed = laptop.pack()
    assert {"vendor/lib/a.txt", "vendor/lib/.gitattributes"} <= set(laptop.listed(packed))
    assert git(laptop.unpacked(packed), "show", f"{packed.commit}:vendor/lib/a.txt") == "one\ntwo"


def test_what_git_cannot_convert_is_not_sent(laptop: Laptop) -> None:
    (laptop.work / ".gitattributes").write_text("*.txt working-tree-encoding=UTF-16\n")
    (laptop.work / "a.txt").write_bytes(b"x")
    with pytest.raises(StepError, match=r"git cannot store what has changed: .*a\.txt.*; `git add --all` shows more"):
        laptop.pack()


def test_a_name_that_git_does_not_take_is_said(laptop: Laptop) -> None:
    (laptop.work / "git~1").write_text("")
    with pytest.raises(StepError, match=r"git takes no file with the name 'git~1'; rename it, or let git ignore it"):
        laptop.pack()


def test_no_program_of_the_users_settings_runs(laptop: Laptop, tmp_path: Path) -> None:
    """Also where a file has no filter when it is looked at, and one when git reads it: the filter has no program."""
    ran = tmp_path / "ran"
    for key in ("filter.lfs.clean", "filter.crypt.clean", "core.fsmonitor", "diff.x.textconv"):
        git(laptop.work, "config", key, f"touch {ran}; cat")
    (laptop.work / ".gitattributes").write_text("*.lfs filter=lfs diff=x\n*.key filter=crypt\n")
    (laptop.work / "a.lfs").write_text("large")
    packed = laptop.pack()
    assert git(laptop.unpacked(packed), "show", f"{packed.commit}:a.lfs") == "large"
    (laptop.work / "a.key").write_text("plain")
    own = tmp_path / "bare.git"
    git(tmp_path, "init", "--quiet", "--bare", str(own))
    stored = stored_files(Source(laptop.work), ["a.key"], own, tmp_path / "none")
    assert git(own, "cat-file", "blob", stored["a.key"].blob) == "plain"
    assert not ran.exists()


def test_changed_files_have_a_limit(laptop: Laptop) -> None:
    (laptop.work / "new").write_bytes(b"x" * 1000)
    laptop.pack(1000)
    with pytest.raises(StepError, match=r"more than 999 bytes, the limit of --remote; let git ignore"):
        laptop.pack(999)


def test_only_a_whole_repository_is_sent(laptop: Laptop, tmp_path: Path) -> None:
    (laptop.work / "folder").mkdir()
    (laptop.work / "folder" / "new").write_text("")
    with pytest.raises(StepError, match=r"sends a whole repository: name its folder, .*/work"):
        pack_tree(working_tree(laptop.work / "folder"), tmp_path)
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(StepError, match="is in no repository of git"):
        pack_tree(working_tree(plain), tmp_path)


def test_a_pack_has_a_limit(laptop: Laptop) -> None:
    (laptop.work / "new").write_text("")
    packed = laptop.pack()
    size = packed.path.stat().st_size
    laptop.unpacked(packed, size)
    with pytest.raises(StepError, match=rf"has more than {size - 1} bytes, the limit; send the tree again"):
        laptop.unpacked(packed, size - 1)


def refused(laptop: Laptop, packed: PackedTree, match: str, commit: str = "", base: str = "") -> None:
    with pytest.raises(StepError, match=match) as caught:
        laptop.unpacked(packed, commit=commit, base=base)
    assert caught.value.reason is Reason.CLONE_FAILED


def test_a_pack_that_is_damaged_is_refused(laptop: Laptop) -> None:
    (laptop.work / "new").write_text("")
    packed = laptop.pack()
    data = bytearray(packed.path.read_bytes())
    data[-1] ^= 1
    packed.path.chmod(0o644)
    packed.path.write_bytes(data)
    refused(laptop, packed, "git refuses what was sent")


def test_a_pack_in_which_something_is_missing_is_refused(laptop: Laptop) -> None:
    """What the base of another repository has is not in the mirror."""
    (laptop.work / "new").write_text("")
    laptop.commit("not pushed")
    git(laptop.work, "update-ref", "refs/remotes/origin/main", "HEAD")
    (laptop.work / "newer").write_text("")
    refused(laptop, laptop.pack(), "git refuses what was sent")


def test_the_commit_of_the_run_is_one_that_was_sent(laptop: Laptop) -> None:
    base = git(laptop.work, "rev-parse", "HEAD")
    (laptop.work / "new").write_text("")
    packed = laptop.pack()
    tree = git(laptop.unpacked(packed), "rev-parse", f"{packed.commit}^{{tree}}")
    refused(laptop, packed, "the commit of the run is not in what was sent", commit=base)
    refused(laptop, packed, "what was sent as the commit of the run is no commit", commit=tree)
    refused(laptop, packed, "has other parents than the run", base="1" * 40)
    refused(laptop, packed, "names no commit", commit="main")


def test_a_tree_with_more_names_than_can_be_read_is_refused(laptop: Laptop) -> None:
    """Each folder has the one below it ten times: a pack of a few hundred bytes with a million files."""
    (laptop.work / "new").write_text("")
    packed = laptop.pack()
    own = laptop.unpacked(packed)
    names_bytes = len(git(own, "ls-tree", "-r", "-z", "--name-only", packed.commit))
    laptop.unpacked(packed, names_bytes_max=names_bytes)
    with pytest.raises(StepError, match="the names of the files that were sent are more than can be read"):
        laptop.unpacked(packed, names_bytes_max=names_bytes - 1)
    own = laptop.unpacked(packed)
    tree = git(own, "rev-parse", f"{packed.commit}^{{tree}}")
    for _ in range(7):
        entries = "".join(f"040000 tree {tree}\tfolder-{number}\n" for number in range(10))
        tree = git(own, "mktree", data=entries.encode())
    commit = git(own, "commit-tree", tree, "-m", "many")
    name = git(own, "pack-objects", "--revs", str(laptop.folder / "many"), data=f"{commit}\n".encode())
    refused(laptop, PackedTree(laptop.folder / f"many-{name}.pack", commit, ""), "more than can be read")


def test_what_would_run_code_is_refused(laptop: Laptop) -> None:
    """Git's checks are those of a fetch: a submodule whose address is an option."""
    (laptop.work / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = -u./evil\n')
    (laptop.work / "a").mkdir()
    own = laptop.unpacked(laptop.pack())
    blob = git(own, "hash-object", "-w", "--stdin", data=b"x")
    tree = git(own, "mktree", "--missing", data=f"100644 blob {blob}\t..\n".encode())
    commit = git(own, "commit-tree", tree, "-m", "evil")
    name = git(own, "pack-objects", "--revs", str(laptop.folder / "evil"), data=f"{commit}\n".encode())
    packed = PackedTree(laptop.folder / f"evil-{name}.pack", commit, "")
    refused(laptop, packed, "git refuses what was sent")


@pytest.mark.parametrize(("depth", "commits"), [(0, 4), (1, 1), (2, 2)])
def test_a_server_checks_it_out_with_its_history(laptop: Laptop, depth: int, commits: int) -> None:
    for number in range(2):
        (laptop.work / "changed").write_text(str(number))
        base = laptop.commit("more")
    git(laptop.work, "push", "--quiet", "origin", "main")
    (laptop.work / "changed").write_text("new")
    packed = laptop.pack()
    url, folder = f"file://{laptop.mirror}", laptop.folder / "mirrors"
    mirror, own = Mirror(folder, url), Mirror(folder, url, key="own")
    mirror.fetch(base, "refs/heads/main")
    unpack(SentCommit(packed.commit, base), [packed.path.read_bytes()], BYTES_MAX, own.path, mirror.path)
    own.history_from = base
    own.fetch(packed.commit, "refs/sent/1", base)
    assert own.changed_files(packed.commit, base) == ("changed",)
    target = laptop.folder / "checkout"
    own.checkout(packed.commit, target, Checkout(depth=depth))
    assert (target / "changed").read_text() == "new"
    assert git(target, "rev-list", "--count", "HEAD") == str(commits)
    assert not mirror.has(packed.commit)
