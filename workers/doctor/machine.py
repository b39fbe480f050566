"""Checks of this machine: engine, build client, git, data folder."""

import os
import stat
import subprocess
from contextlib import closing

from runner.builds.buildkit import find_builder
from runner.cli.version import engine_line
from runner.docker.client import Engine
from runner.docker.compatibility import missing_limits
from runner.errors import StepError
from workers.disk import disk_of
from workers.doctor.finding import Finding, ok, problem, warning
from workers.settings import Settings

_GIT_S = 5
_GIB = 1024**3


def engine(settings: Settings) -> list[Finding]:
    """Whether the Docker Engine answers, and whether it can limit containers."""
    try:
        with closing(Engine(settings.docker_host or None)) as client:
            info = client.info()
            line = engine_line(client.connection.version, info, str(client.connection.transport.endpoint))
    except StepError as error:
        return [problem("engine", f"{error}.")]
    limits = missing_limits(info)
    return [ok("engine", line), *([warning("engine", f"{limits}.")] if limits else [])]


def buildx() -> list[Finding]:
    """Whether there is a client that builds with BuildKit."""
    try:
        builder = find_builder(os.environ.get("PATH", os.defpath), os.environ.get("HOME", "/"))
    except StepError as error:
        return [problem("buildx", f"{error}.")]
    return [ok("buildx", f"builds are run by {builder.command[0]}")]


def git() -> list[Finding]:
    """Whether git is there."""
    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=_GIT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return [problem("git", f"git does not run ({error}). Install it: apt-get install git")]
    return [ok("git", done.stdout.strip())]


def data_folder(settings: Settings) -> list[Finding]:
    """Whether the data folder is there, this user's alone, writable, and has room."""
    folder = settings.data_dir
    try:
        found, disk = folder.stat(), disk_of(folder)
    except OSError as error:
        sentence = f"{folder} cannot be used: {error.strerror}. Look at HEADWAY_DATA_DIR; the server creates it."
        return [problem("data", sentence)]
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode) or not os.access(folder, os.W_OK | os.X_OK):
        sentence = (
            f"{folder} is not a folder that user {os.geteuid()} owns and can write to. Run this as the user that runs "
            f"Headway, or give the folder to user {os.geteuid()} (chown)."
        )
        return [problem("data", sentence)]
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [problem("data", f"{folder} is open to other users of this machine. Run chmod 700 {folder}.")]
    if full := settings.disk_reserve.problem():
        return [problem("data", full)]
    return [ok("data", f"{folder}, {disk.free_bytes / _GIB:,.1f} of {disk.total_bytes / _GIB:,.1f} GiB free")]
