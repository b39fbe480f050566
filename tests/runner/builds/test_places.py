"""Where the Dockerfile and its ``.dockerignore`` are looked for: what Compose and docker do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.plan import BuildStep
from runner.builds.command import BuildRequest, dockerfile_of
from runner.errors import StepError

IGNORED = {"Dockerfile.dockerignore": "root", "docker/Prod.dockerignore": "target", ".dockerignore": "all"}


def read(folder: Path, files: Mapping[str, str], **keys: Any) -> tuple[str, str, str]:
    """The name of the Dockerfile that is built, its text, and what it ignores. A text ``-> TARGET`` is a link."""
    workspace = folder / "workspace"
    for name, content in files.items():
        path = workspace / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("-> "):
            path.symlink_to(content.removeprefix("-> "))
        else:
            path.write_text(content)
    scratch = folder / "scratch"
    scratch.mkdir()
    step = BuildStep(number=1, name="build", **keys)
    copy = dockerfile_of(BuildRequest(step, workspace, workspace / "src", scratch, folder, {}, {}, "app:1"))
    return copy.name, copy.read_text(), copy.with_name(f"{copy.name}.dockerignore").read_text()


@pytest.mark.parametrize(
    ("files", "keys", "found"),
    [
        ({"Dockerfile": "root", "server/Dockerfile": "own"}, {"context": "server"}, ("Dockerfile", "own")),
        ({"Dockerfile": "root", "server/x": ""}, {"context": "server", "dockerfile": "Dockerfile"},
         ("Dockerfile", "root")),
        ({"docker/Prod": "prod", "server/x": ""}, {"context": "server", "dockerfile": "docker/Prod"}, ("Prod", "prod")),
        ({"server/Dockerfile": "own"}, {"context": "server", "dockerfile": "Dockerfile",
                                        "dockerfile_else": "server/Dockerfile"}, ("Dockerfile", "own")),
        ({"dockerfile": "small"}, {}, ("dockerfile", "small")),
        ({"Dockerfile": "-> docker/Prod", "docker/Prod": "prod"}, {}, ("Dockerfile", "prod")),
        ({"Dockerfile": "-> a", "a": "-> b", "b": "end"}, {}, ("Dockerfile", "end")),
        ({"server/Dockerfile": "-> ../docker/Prod", "docker/Prod": "prod"}, {"context": "server"},
         ("Dockerfile", "prod")),
        ({"server": "-> apps/one", "apps/one/Dockerfile": "one"}, {"context": "server"}, ("Dockerfile", "one")),
        ({"docker": "-> build/docker", "build/docker/Prod": "prod"}, {"dockerfile": "docker/Prod"}, ("Prod", "prod")),
    ],
)  # fmt: skip
def test_which_dockerfile_is_built(
    tmp_path: Path, files: dict[str, str], keys: dict[str, str], found: tuple[str, str]
) -> None:
    assert read(tmp_path, files, **keys)[:2] == found


@pytest.mark.parametrize(
    ("files", "keys", "ignored"),
    [
        ({"Dockerfile": "-> docker/Prod", "docker/Prod": "x", **IGNORED}, {}, "root"),
        ({"Dockerfile": "-> docker/Prod", "docker/Prod": "x", "docker/Prod.dockerignore": "target"}, {}, "# nothing\n"),
        ({"docker/Prod": "x", **IGNORED}, {"dockerfile": "docker/Prod"}, "target"),
        ({"docker/Prod": "-> ../Dockerfile", "Dockerfile": "x", **IGNORED}, {"dockerfile": "docker/Prod"}, "target"),
        ({"docker": "-> build", "build/P": "x", "build/P.dockerignore": "inner"}, {"dockerfile": "docker/P"}, "inner"),
        ({"Dockerfile": "x", "Dockerfile.dockerignore": "-> lists/all", "lists/all": "linked"}, {}, "linked"),
        ({"server/Dockerfile": "x", "server/.dockerignore": "-> ../.dockerignore", ".dockerignore": "above"},
         {"context": "server"}, "above"),
        ({"server/Dockerfile": "x", ".dockerignore": "not of this context"}, {"context": "server"}, "# nothing\n"),
        ({"dockerfile": "x", "dockerfile.dockerignore": "small"}, {}, "small"),
        ({"Dockerfile": "x", "Dockerfile.dockerignore": "", ".dockerignore": "all"}, {}, "# nothing\n"),
        ({".dockerignore": "all"}, {"dockerfile_inline": "FROM busybox"}, "all"),
    ],
)  # fmt: skip
def test_a_dockerfile_has_the_list_beside_its_own_name(
    tmp_path: Path, files: dict[str, str], keys: dict[str, str], ignored: str
) -> None:
    assert read(tmp_path, files, **keys)[2] == ignored


@pytest.mark.parametrize(
    ("files", "keys", "why"),
    [
        ({"docker/Prod": "x", "server/x": ""}, {"context": "server", "dockerfile": "server/docker/Prod"},
         ("there is no file server/docker/Prod in the repository; `dockerfile` is looked for from the context: for "
          "docker/Prod of the repository write `dockerfile: ../docker/Prod`")),
        ({"Dockerfile": "x", "server/x": ""}, {"context": "server"}, "write `dockerfile: ../Dockerfile`"),
        ({"Dockerfile": "-> docker/Prod"}, {}, "the Dockerfile Dockerfile is a link to 'docker/Prod', and no file is"),
        ({"Dockerfile": "-> Dockerfile"}, {}, "is a link to 'Dockerfile', and no file is there"),
        ({"Dockerfile": "-> a", "a": "-> Dockerfile"}, {}, "is a link to 'a', and no file is there"),
        ({"Dockerfile/x": ""}, {}, "there is no file"),
        ({"Dockerfile": "-> ../../outside"}, {}, "the Dockerfile 'Dockerfile' leads out of the repository"),
        ({"Dockerfile": "-> ../other"}, {}, "leads out of the repository"),
        ({"x": ""}, {"dockerfile": "../Dockerfile"}, "leads out of the repository"),
        ({"Dockerfile": "x", ".dockerignore": "-> /etc/passwd"}, {}, "'.dockerignore' leads out of the repository"),
        ({"Dockerfile": "-> d/P", "d/P": "x", "Dockerfile.dockerignore": "-> /etc/passwd"}, {}, "leads out of the"),
        ({"server": "-> .."}, {"context": "server"}, "the build context 'server' leads out of the repository"),
        ({"Dockerfile": ""}, {"context": "server"}, "the build context 'server' is not a folder of the repository"),
    ],
)  # fmt: skip
def test_why_a_dockerfile_is_not_built(tmp_path: Path, files: dict[str, str], keys: dict[str, str], why: str) -> None:
    with pytest.raises(StepError) as refused:
        read(tmp_path, files, **keys)
    assert why in str(refused.value)
