"""A pipeline file that is a link: read alike on a server and on a laptop."""

import os
import subprocess
from pathlib import Path

import pytest

from pipelines.parser.discovery import choose_files
from pipelines.state import Reason
from runner.errors import StepError
from runner.source.mirrors.mirror import Mirror
from runner.source.working_tree import working_tree
from tests.support.repos import Repo

STEPS = "steps: []\n"
WITHIN = {
    "file": ({".headway.yml@": "ci/real.yml", "ci/real.yml": STEPS}, [".headway.yml"]),
    "link to a link": ({".headway.yml@": "a", "a@": "ci/../ci/b", "ci/b@": "real", "ci/real": STEPS}, [".headway.yml"]),
    "file in the folder": ({".headway/a.yml@": "../ci/real", "ci/real": STEPS}, [".headway/a.yml"]),
    "folder": ({".headway@": "ci", "ci/a.yml": STEPS, "ci/b.yml@": "a.yml"}, [".headway/a.yml", ".headway/b.yml"]),
    "folder of Woodpecker": ({".woodpecker@": "x/y", "x/y/a.yaml": STEPS}, [".woodpecker/a.yaml"]),
    "through a linked folder": (
        {".headway.yml@": "ci/real", "ci@": "deep/ci", "deep/ci/real": STEPS},
        [".headway.yml"],
    ),
    "beside a folder that leads nowhere": ({".headway.yml": STEPS, ".woodpecker@": "gone"}, [".headway.yml"]),
    "out and in again": ({".headway/a.yml@": "../.headway/../real", "real": STEPS}, [".headway/a.yml"]),
}
WRONG = {
    "to an absolute path": ({".headway.yml@": "/etc/hostname"}, "leads out of the repository, to /etc/hostname"),
    "out of it": ({".headway.yml@": "../" * 40 + "etc/hostname"}, "leads out of the repository, to "),
    "to nothing": ({".headway.yml@": "gone.yml"}, "to what is not there"),
    "to itself": ({".headway.yml@": ".headway.yml"}, "leads back to itself"),
    "in a circle": ({".headway.yml@": "b", "b@": ".headway.yml"}, "leads back to itself"),
}  # fmt: skip


@pytest.fixture(params=["server", "laptop"])
def side(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(side: str, repo: Repo, mirror: Mirror, files: dict[str, str], tmp_path: Path) -> dict[str, bytes]:
    sha = repo.commit(files)
    if side == "laptop":
        subprocess.run(["git", "clone", "-q", str(repo.path), str(tmp_path / "work")], check=True)
        return {file.path: bytes(file.text) for file in working_tree(tmp_path / "work").pipeline()}
    mirror.fetch(sha)
    return {name: mirror.read(sha, name) for name in choose_files(mirror.files(sha))}


@pytest.mark.parametrize("name", WITHIN)
def test_a_link_inside_the_repository(name: str, side: str, repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    files, paths = WITHIN[name]
    assert read(side, repo, mirror, files, tmp_path) == dict.fromkeys(paths, STEPS.encode())


@pytest.mark.parametrize("name", WRONG)
def test_a_link_to_no_file_of_it(name: str, side: str, repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    files, problem = WRONG[name]
    with pytest.raises(StepError, match=r"^\.headway\.yml is a link .*; let it lead to a file of the repo") as wrong:
        read(side, repo, mirror, files, tmp_path)
    assert problem in str(wrong.value)
    assert wrong.value.reason is Reason.INVALID_PIPELINE


def test_a_link_to_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".headway.yml").symlink_to("pipe")
    with pytest.raises(StepError, match=r"^\.headway\.yml is not a file$"):
        working_tree(tmp_path).pipeline()


def test_a_folder_that_leads_nowhere_is_named_where_it_is_all_there_is(repo: Repo, mirror: Mirror) -> None:
    sha = repo.commit({".headway@": "../elsewhere", "a": "1"})
    mirror.fetch(sha)
    with pytest.raises(StepError, match=r"^\.headway is a link that leads out of the repository, to \.\./elsewhere; "):
        mirror.files(sha)
