"""gitlab-ci-local, another program that runs a pipeline on a laptop."""

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import measure
from bench.measure import NotMeasurableError, clean_environment
from bench.rows.folders import repository

VERSION = "4.56"
ONE_AFTER_ANOTHER = ("--concurrency", "1")
UTIL_IMAGE = "firecow/gitlab-ci-local-util"
_INSTALL_S = 240
_DEBS = ("rsync", "libpopt0", "libxxhash0")


class Peer:
    """The program, installed into the cache folder; and the image that it wants, tagged for as long as this is open."""

    def __init__(self, cache: Path) -> None:
        self._program = _install(cache / f"gitlab-ci-local-{VERSION}")
        self._environment = clean_environment()
        self._environment |= _rsync(cache / "rsync")
        self._tagged = False

    def __enter__(self) -> Self:
        """Itself, ready to run."""
        if not _has_image(UTIL_IMAGE):
            measure.run(["docker", "tag", "busybox", UTIL_IMAGE])
            self._tagged = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes the image's second name away."""
        if self._tagged:
            measure.run(["docker", "image", "rm", UTIL_IMAGE])

    def project(self, folder: Path, count: int, command: str) -> Path:
        """A repository with so many jobs of one command.

        They are all of one stage: with 20 stages the program computes for more than a minute what waits for what
        (10 stages take nothing), which is a fault of its own and not the price of a job.
        """
        jobs = [f"job-{number}:\n  image: busybox\n  script: [{command!r}]\n" for number in range(1, count + 1)]
        return repository(folder, {".gitlab-ci.yml": "".join(jobs)})

    def run(self, project: Path, *options: str) -> float:
        """Seconds of a whole run."""
        return measure.run([self._program, *options], folder=project, environment=self._environment)


def _has_image(name: str) -> bool:
    command = ["docker", "image", "inspect", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _install(folder: Path) -> Path:
    program = folder / "node_modules" / ".bin" / "gitlab-ci-local"
    if program.exists():
        return program
    if shutil.which("npm") is None:
        raise NotMeasurableError("npm is not installed, from which gitlab-ci-local would come")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--ignore-scripts", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)]
    try:
        measure.run([*command, f"gitlab-ci-local@~{VERSION}.0"], timeout_s=_INSTALL_S)
    except (NotMeasurableError, subprocess.TimeoutExpired) as error:
        raise NotMeasurableError(f"npm could not install gitlab-ci-local {VERSION}: {error}") from None
    _spare_re2(folder)
    return program


def _spare_re2(folder: Path) -> None:
    """Its own engine for regular expressions takes minutes to compile. No job here has any: Node's own will do."""
    package = folder / "node_modules" / "re2"
    if package.exists():
        (package / "re2.js").write_text("module.exports = RegExp;\n")


def _rsync(folder: Path) -> dict[str, str]:
    """The environment in which rsync is found: the machine's own, or Debian's unpacked into the cache folder."""
    if shutil.which("rsync") is not None:
        return {}
    program = folder / "usr" / "bin" / "rsync"
    if not program.exists():
        _unpack(folder)
    libraries = [str(path.parent) for path in folder.glob("usr/lib/*/libpopt.so.0")]
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "LD_LIBRARY_PATH": ":".join(libraries)}


def _unpack(folder: Path) -> None:
    if shutil.which("apt-get") is None:
        raise NotMeasurableError("gitlab-ci-local needs rsync, which is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # Beside the machine's packages, not among them: a benchmark changes nothing of the machine.
        measure.run(["apt-get", "download", *_DEBS], folder=folder)
        for package in folder.glob("*.deb"):
            measure.run(["dpkg-deb", "-x", package, folder])
    except NotMeasurableError as error:
        raise NotMeasurableError(f"gitlab-ci-local needs rsync, which cannot be had here: {error}") from None
