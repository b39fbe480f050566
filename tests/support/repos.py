"""Git repositories for tests."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

WHO = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_AUTHOR_DATE": "1700000000 +0100",
    "GIT_COMMITTER_DATE": "1700000001 +0100",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


class Repo:
    """A bare repository, filled with git's plumbing commands, so that it can contain any names and content."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.url = f"file://{folder}"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(folder), at=False)

    def git(self, *arguments: str, data: bytes = b"", at: bool = True, **environment: str) -> str:
        """Runs git in the repository."""
        where = ["--git-dir", str(self.path)] if at else []
        env = {"PATH": os.environ["PATH"], **WHO, **environment}
        done = subprocess.run(["git", *where, *arguments], input=data, capture_output=True, env=env, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode(errors="replace").strip()

    def tree(self, files: Mapping[str, str | bytes]) -> str:
        """Creates a tree object. Names ending in ``@`` are symbolic links, in ``!`` executables, in ``+`` submodules"""
        entries, folders = b"", dict[str, dict[str, str | bytes]]()
        for name, content in files.items():
            folder, slash, rest = name.partition("/")
            if slash:
                folders.setdefault(folder, {})[rest] = content
                continue
            data = content.encode() if isinstance(content, str) else content
            mode = {"@": "120000", "!": "100755", "+": "160000"}.get(name[-1], "100644")
            known = data.decode() if mode == "160000" else self.git("hash-object", "-w", "--stdin", data=data)
            kind = "commit" if mode == "160000" else "blob"
            entries += f"{mode} {kind} {known}\t{name.rstrip('@!+')}\0".encode()
        for folder, inner in folders.items():
            entries += f"040000 tree {self.tree(inner)}\t{folder}\0".encode()
        return self.git("mktree", "-z", "--missing", data=entries)

    def commit(
        self,
        files: Mapping[str, str | bytes],
        *parents: str,
        message: bytes = b"a message\n",
        ref: str = "refs/heads/main",
    ) -> str:
        """Creates a commit with exactly these files and, unless ``ref`` is empty, points ``ref`` to it."""
        over = [word for parent in parents for word in ("-p", parent)]
        sha = self.git("commit-tree", self.tree(files), *over, data=message)
        if ref:
            self.git("update-ref", ref, sha)
        return sha
