"""Repositories to measure with."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PIPELINE_FILE = ".headway.yml"
_IDENTITY = ("-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "init.defaultBranch=main")


def git(folder: Path, *arguments: str) -> str:
    """Runs git without any configuration; what it printed."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *_IDENTITY, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def repository(folder: Path, files: Mapping[str, str]) -> Path:
    """A git repository with one commit of these files."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "what is measured")
    return folder


def steps_file(count: int, command: str) -> str:
    """A pipeline of so many steps of one command in busybox."""
    lines = ["steps:"]
    for number in range(1, count + 1):
        lines += [f"  - name: step-{number}", "    image: busybox", f"    commands: [{command}]"]
    return "\n".join(lines) + "\n"


def pipeline(folder: Path, count: int, command: str) -> Path:
    """A repository with such a pipeline."""
    return repository(folder, {PIPELINE_FILE: steps_file(count, command)})
