"""Repositories that mean harm, and surroundings that do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from pipelines.plan import Checkout
from pipelines.state import Reason, State
from runner.errors import MachineError, StepError
from runner.source.git.git import GitLogin
from runner.source.mirrors.mirror import Mirror
from tests.support.registry import free_port
from tests.support.repos import Repo

pytestmark = pytest.mark.slow


def lay_out(mirror: Mirror, sha: str, target: Path) -> None:
    mirror.fetch(sha)
    mirror.checkout(sha, target, Checkout())


@pytest.mark.parametrize("url", ["http://ada:s3cr3tpw@127.0.0.1:{port}/a.git", "http://127.0.0.1:{port}/a.git"])
def test_a_server_that_does_not_answer_is_named_without_the_password(tmp_path: Path, url: str) -> None:
    mirror = Mirror(tmp_path / "mirrors", url.format(port=free_port()), GitLogin("ada", "s3cr3tpw"))
    with pytest.raises(MachineError) as failed:
        mirror.fetch("1" * 40)
    assert failed.value.reason is Reason.CLONE_FAILED
    assert "127.0.0.1" in str(failed.value)
    for error in (failed.value, failed.value.__cause__, failed.value.__context__):
        assert "s3cr3tpw" not in repr(error)
    assert not any(b"s3cr3tpw" in path.read_bytes() for path in (tmp_path / "mirrors").rglob("*") if path.is_file())


def test_a_password_is_sent_and_is_in_no_command_line(tmp_path: Path, httpserver: HTTPServer) -> None:
    seen: list[str] = []

    def answer(request: Request) -> Response:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(path.read_bytes().decode(errors="replace"))
            except OSError:
                continue
        seen_login.append(request.authorization.password or "" if request.authorization else "")
        return Response("no", status=403)

    seen_login: list[str] = []
    httpserver.expect_request("/a.git/info/refs").respond_with_handler(answer)
    url = httpserver.url_for("/a.git").replace("http://", "http://ada:s3cr3t%2Fpw@")
    with pytest.raises(MachineError) as failed:
        Mirror(tmp_path / "mirrors", url).fetch("1" * 40)
    assert "403" in str(failed.value)
    assert seen_login[0] == "s3cr3t/pw"
    assert any("fetch" in line for line in seen)
    assert not any("s3cr3t" in line for line in seen)


def test_hooks_filters_and_settings_of_a_repository_run_nothing(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    sha = repo.commit(
        {
            ".gitattributes": "* filter=evil diff=evil merge=evil\n",
            ".gitconfig": f'[filter "evil"]\nsmudge = touch {mark}\n',
            "hooks/post-checkout!": f"#!/bin/sh\ntouch {mark}\n",
            ".githooks/post-checkout!": f"#!/bin/sh\ntouch {mark}\n",
            "a": "1",
        }
    )
    for name in ("upload-pack", "post-checkout", "reference-transaction", "pre-receive"):
        hook = repo.path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    repo.git("config", "uploadpack.packObjectsHook", f"touch {mark};")
    repo.git("config", "core.fsmonitor", f"touch {mark}")
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout())
    assert (tmp_path / "checkout/a").read_text() == "1"
    assert not mark.exists()


@pytest.mark.parametrize(
    "url", ["ext::sh -c touch% {mark}", "file:///etc", "--upload-pack=touch {mark}", "/etc", "-u./payload"]
)
def test_a_submodule_that_would_run_a_program_or_read_this_machine_is_refused(
    repo: Repo, mirror: Mirror, tmp_path: Path, url: str
) -> None:
    mark = tmp_path / "mark"
    modules = f'[submodule "sub"]\n\tpath = sub\n\turl = "{url.format(mark=mark)}"\n'
    sha = repo.commit({".gitmodules": modules, "sub+": "1" * 40})
    try:
        mirror.fetch(sha)
        mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True))
    except StepError as refused:
        # Git may also leave the submodule out.
        assert refused.reason in {Reason.CLONE_FAILED, Reason.COMMIT_MISSING}  # noqa: PT017
    assert not mark.exists()
    assert not list((tmp_path / "checkout/sub").glob("*"))


@pytest.mark.parametrize(
    "name", [".git/config", ".GIT/hooks/post-checkout!", "git~1/config", ".git/hooks/post-checkout!"]
)
def test_a_tree_that_writes_into_the_git_folder_is_refused(
    repo: Repo, mirror: Mirror, tmp_path: Path, name: str
) -> None:
    mark = tmp_path / "mark"
    sha = repo.commit({name: f"#!/bin/sh\ntouch {mark}\n", "a": "1"})
    with pytest.raises(MachineError) as refused:
        lay_out(mirror, sha, tmp_path / "checkout")
    assert refused.value.state is State.BROKEN
    assert refused.value.reason is Reason.CLONE_FAILED
    assert not mark.exists()


def test_a_tree_that_leads_out_is_refused(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    raw = bytes.fromhex(repo.git("hash-object", "-w", "--stdin", data=b"evil"))
    tree = repo.git("hash-object", "-w", "-t", "tree", "--stdin", "--literally", data=b"100644 ../evil\0" + raw)
    sha = repo.git("commit-tree", tree, data=b"m\n")
    repo.git("update-ref", "refs/heads/main", sha)
    with pytest.raises(MachineError):
        lay_out(mirror, sha, tmp_path / "inner" / "checkout")
    assert not (tmp_path / "inner" / "evil").exists()


def deep_tree(repo: Repo, name: str) -> str:
    """A commit with 1,500 folders inside each other, and a file beside the first of them."""
    file = "100644 blob " + repo.git("hash-object", "-w", "--stdin", data=b"x")
    tree = repo.git("mktree", data=f"{file}\tx\n".encode())
    for _ in range(1500):
        tree = repo.git("mktree", data=f"040000 tree {tree}\td\n".encode())
    top = repo.git("mktree", data=f"040000 tree {tree}\ta\n{file}\t{name}\n".encode())
    sha = repo.git("commit-tree", top, data=b"deep\n")
    repo.git("update-ref", "refs/heads/main", sha)
    return sha


def test_folders_inside_each_other_by_the_thousand_are_laid_out(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    lay_out(mirror, deep_tree(repo, "x"), tmp_path / "source")
    assert (tmp_path / "source" / "a" / "d" / "d" / "d").is_dir()
    subprocess.run(["rm", "-rf", str(tmp_path / "source")], check=True)  # pytest cannot remove it


def test_a_deep_tree_that_cannot_be_laid_out_whole_is_an_error_of_git(
    repo: Repo, mirror: Mirror, tmp_path: Path
) -> None:
    with pytest.raises(StepError, match="File name too long"):
        lay_out(mirror, deep_tree(repo, "x" * 300), tmp_path / "source")
    assert not (tmp_path / "source").exists()


def test_links_are_laid_out_as_links(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    sha = repo.commit({"out@": "/etc/passwd", "up@": "../../..", "loop@": "loop"})
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout())
    assert (tmp_path / "checkout/out").readlink() == Path("/etc/passwd")
    assert (tmp_path / "checkout/loop").is_symlink()


STRANGE = [
    "-rf",
    "--help",
    'quo"te',
    "it's",
    "new\nline",
    "$(reboot)",
    "ü",
    "<script>",
    "tab\t",
    " space ",
    "#c",
    "a:b",
]


def test_names_of_files_stay_text(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    sha = repo.commit({**{name: name for name in STRANGE}, ".headway/-x\n.yml": "steps"})
    mirror.fetch(sha)
    assert {*STRANGE, ".headway", ".headway/-x\n.yml"} == set(mirror.files(sha))
    assert mirror.read(sha, ".headway/-x\n.yml") == b"steps"
    assert set(mirror.changed_files(sha, "") or ()) == {*STRANGE, ".headway/-x\n.yml"}
    mirror.checkout(sha, tmp_path / "checkout", Checkout())
    assert {path.name for path in (tmp_path / "checkout").iterdir()} == {*STRANGE, ".headway", ".git"}


def test_gits_own_variables_do_not_lead_it_astray(repo: Repo, tmp_path: Path) -> None:
    """In a git hook, GIT_DIR and GIT_INDEX_FILE speak of the repository whose hook it is."""
    sha = repo.commit({"a": "1"})
    other = Repo(tmp_path / "other.git")
    before = sorted(path.relative_to(other.path) for path in other.path.rglob("*"))
    strange = {
        "GIT_DIR": str(other.path),
        "GIT_INDEX_FILE": str(other.path / "index"),
        "GIT_WORK_TREE": str(tmp_path / "tree"),
        "GIT_OBJECT_DIRECTORY": str(other.path / "objects"),
        "GIT_NAMESPACE": "x",
        "GIT_PREFIX": "x/",
    }
    code = (
        "import sys; from pathlib import Path; from pipelines.plan import Checkout\n"
        "from runner.source.mirrors.mirror import Mirror\n"
        "mirror = Mirror(Path(sys.argv[1]), sys.argv[2]); mirror.fetch(sys.argv[3])\n"
        "mirror.checkout(sys.argv[3], Path(sys.argv[4]), Checkout())\n"
    )
    run_python(code, str(tmp_path / "m"), repo.url, sha, str(tmp_path / "checkout"), **strange)
    assert (tmp_path / "checkout/a").read_text() == "1"
    assert sorted(path.relative_to(other.path) for path in other.path.rglob("*")) == before


def test_without_git_the_sentence_says_so(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from runner.errors import MachineError\n"
        "from runner.source.mirrors.mirror import Mirror\n"
        "try: Mirror(Path(sys.argv[1]), 'file:///x').fetch('1' * 40)\n"
        "except MachineError as error: print(error)\n"
    )
    assert run_python(code, str(tmp_path), PATH="/nonexistent") == "git is not installed on this machine; install it\n"


def run_python(code: str, *arguments: str, **environment: str) -> str:
    env = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
