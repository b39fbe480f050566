"""Fragments are read from the commit, alike on a server and on a laptop, and never from outside of the repository."""

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pipelines.context import PipelineFile
from pipelines.parser.fragments import FRAGMENTS_BYTES_MAX, FRAGMENTS_COUNT_MAX, Fragment, Fragments
from pipelines.state import Reason
from pipelines.syntax.yaml import TEXT_BYTES_MAX
from runner.cli.fragments import fragments_of
from runner.errors import StepError
from runner.source.fragments import read_fragments
from runner.source.git.foreign import ForeignServer
from runner.source.git.git import GitError, GitLogin
from runner.source.mirrors.mirror import Mirror
from runner.source.other_repositories import OtherRepositories
from tests.support.repos import Repo

MAIN = "steps:\n  - include: ci/test.yml\n"
STEPS = "steps: []\n"


def _none(url: str, _login: GitLogin | None, _foreign: ForeignServer) -> Mirror:
    raise AssertionError(f"{url} was asked")


NO_OTHERS = OtherRepositories("", _none, None, trusted=False)


@pytest.fixture(params=["server", "laptop"])
def side(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def found_on(side: str, repo: Repo, mirror: Mirror, files: dict[str, str], tmp_path: Path) -> dict[str, Fragment]:
    sha = repo.commit(files)
    main = [PipelineFile(".headway.yml", files[".headway.yml"].encode())]
    if side == "laptop":
        subprocess.run(["git", "clone", "-q", str(repo.path), str(tmp_path / "work")], check=True)
        return by_name(fragments_of(main, tmp_path / "work", lambda: ""))
    mirror.fetch(sha)
    return by_name(read_fragments(main, partial(mirror.read, sha), NO_OTHERS))


def by_name(found: Fragments) -> dict[str, Fragment]:
    return {address.name: fragment for address, fragment in found.items()}


def read(files: list[PipelineFile], reader: Callable[[str], bytes]) -> dict[str, Fragment]:
    return by_name(read_fragments(files, reader, NO_OTHERS))


def test_fragments_and_those_that_they_include(side: str, repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    files = {".headway.yml": MAIN, "ci/test.yml": "steps:\n  - include: ci/b.yml\n", "ci/b.yml": MAIN}
    found = found_on(side, repo, mirror, files, tmp_path)
    assert {path: each.text.decode() for path, each in found.items()} == {
        path: text for path, text in files.items() if path != ".headway.yml"
    }


def test_a_link_inside_the_repository_is_followed(side: str, repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    files = {".headway.yml": MAIN, "ci@": "deep/ci", "deep/ci/test.yml@": "../real", "deep/real": STEPS}
    assert found_on(side, repo, mirror, files, tmp_path) == {"ci/test.yml": Fragment(STEPS.encode())}


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"ci/test.yml@": "/etc/hostname"}, "ci/test.yml is a link that leads out of the repository, to /etc/hostname"),
        ({"ci/test.yml@": "../../outside.yml"}, "ci/test.yml is a link that leads out of the repository"),
        ({"ci@": "/etc"}, "ci/test.yml is a link that leads out of the repository"),
        ({"ci/test.yml@": "gone.yml"}, "ci/test.yml is a link to what is not there"),
        ({"ci/test.yml@": "test.yml"}, "ci/test.yml is a link that leads back to itself"),
        ({"ci/test.yml/x": "a folder"}, "ci/test.yml is not a file"),
        ({"README": "nothing else"}, "ci/test.yml is not a file"),
    ],
)
def test_what_cannot_be_read_is_a_problem_of_the_include(
    files: dict[str, str], part: str, side: str, repo: Repo, mirror: Mirror, tmp_path: Path
) -> None:
    (tmp_path / "outside.yml").write_text(STEPS)
    (fragment,) = found_on(side, repo, mirror, {".headway.yml": MAIN, **files}, tmp_path).values()
    assert part in fragment.trouble
    assert fragment.text == b""


def reading(files: dict[str, bytes]) -> Callable[[str], bytes]:
    return lambda path: files[path]


def main_of(count: int) -> list[PipelineFile]:
    text = "steps:\n" + "".join(f"  - include: f{number}.yml\n" for number in range(count))
    return [PipelineFile(".headway.yml", text.encode())]


def test_the_number_of_fragments_is_limited() -> None:
    files = {f"f{number}.yml": STEPS.encode() for number in range(FRAGMENTS_COUNT_MAX)}
    assert {each.trouble for each in read(main_of(FRAGMENTS_COUNT_MAX), reading(files)).values()} == {""}
    found = read(main_of(FRAGMENTS_COUNT_MAX + 1), reading(files))
    assert found[f"f{FRAGMENTS_COUNT_MAX}.yml"].trouble.endswith(
        f"one more than the {FRAGMENTS_COUNT_MAX} fragments of one pipeline"
    )


def test_the_bytes_of_all_fragments_are_limited() -> None:
    quarter = FRAGMENTS_BYTES_MAX // 4
    files = {f"f{number}.yml": b" " * quarter for number in range(4)}
    assert {each.trouble for each in read(main_of(4), reading(files)).values()} == {""}
    found = read(main_of(5), reading({**files, "f4.yml": b" "}))
    assert found["f4.yml"].trouble == "with f4.yml the fragments of this pipeline have more than 2,097,152 bytes"


def test_of_a_fragment_that_is_too_long_only_as_much_is_kept_as_says_so() -> None:
    found = read(main_of(1), reading({"f0.yml": b" " * (TEXT_BYTES_MAX + 2)}))
    assert len(found["f0.yml"].text) == TEXT_BYTES_MAX + 1


def test_a_fault_of_git_is_not_a_problem_of_the_file() -> None:
    def broken(_path: str) -> bytes:
        raise GitError("the disk is gone")

    with pytest.raises(GitError):
        read(main_of(1), broken)


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").write_text(MAIN)
    found = by_name(fragments_of([PipelineFile(".headway.yml", MAIN.encode())], tmp_path, lambda: ""))
    assert found["ci/test.yml"].trouble == "ci/test.yml is not a file"


def test_other_errors_of_a_file_are_its_own() -> None:
    def refused(path: str) -> bytes:
        raise StepError(Reason.INVALID_PIPELINE, f"{path} has 3,000,000 bytes; the limit is 1,048,576")

    assert "3,000,000 bytes" in read(main_of(1), refused)["f0.yml"].trouble


COMPOSE_FILES = {".headway.yml": "steps:\n  - compose: ci/compose.yml\n", "ci/compose.yml": "services: {}\n"}


def test_the_env_file_beside_a_compose_file_is_read(side: str, repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    found = found_on(side, repo, mirror, {**COMPOSE_FILES, "ci/.env": "TAG=1\n"}, tmp_path)
    assert found["ci/.env"] == Fragment(b"TAG=1\n")


def test_a_commit_without_an_env_file_is_none_with_an_error(
    side: str, repo: Repo, mirror: Mirror, tmp_path: Path
) -> None:  # fmt: skip
    found = found_on(side, repo, mirror, COMPOSE_FILES, tmp_path)
    assert found["ci/.env"].absent


@pytest.mark.parametrize(
    ("ignored", "tracked", "there"), [(True, False, False), (False, False, True), (True, True, True)]
)
def test_an_env_file_that_git_ignores_is_not_read(
    repo: Repo, tmp_path: Path, ignored: bool, tracked: bool, there: bool
) -> None:  # fmt: skip
    repo.commit(COMPOSE_FILES)
    work = tmp_path / "work"
    subprocess.run(["git", "clone", "-q", str(repo.path), str(work)], check=True)
    (work / "ci" / ".env").write_text("TAG=1\n")
    if tracked:
        subprocess.run(["git", "-C", str(work), "add", "ci/.env"], check=True)
    if ignored:
        (work / ".gitignore").write_text(".env\n")
    main = [PipelineFile(".headway.yml", COMPOSE_FILES[".headway.yml"].encode())]
    found = by_name(fragments_of(main, work, lambda: ""))["ci/.env"]
    assert found.absent is not there
    assert found.text == (b"TAG=1\n" if there else b"")
    assert there or found.trouble == "ci/.env is ignored by git, and so is not in the commit"


def test_without_a_repository_the_env_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("services: {}\n")
    (tmp_path / ".env").write_text("TAG=1\n")
    main = [PipelineFile(".headway.yml", b"steps:\n  - compose: compose.yml\n")]
    assert by_name(fragments_of(main, tmp_path, lambda: ""))[".env"].text == b"TAG=1\n"
