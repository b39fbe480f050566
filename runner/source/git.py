"""Runs git for a job: with settings that protect from hostile repositories, and without the machine's own settings.

A repository's files can contain configuration, hooks and URLs that would run code on the worker.
"""

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlsplit

# Without this, importing GitPython fails on a machine without git, where `headway run` works too.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
from git import Git
from git.exc import GitCommandError, GitCommandNotFound

from pipelines.state import Reason
from runner.errors import MachineError

GIT_TIMEOUT_S = 1800
# Each setting blocks one way in which a repository or its URL could run code or hang the worker.
_SAFE_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "protocol.ext.allow=never",
    "protocol.fd.allow=never",
    "transfer.fsckObjects=true",
    "fetch.fsckObjects=true",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "advice.detachedHead=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
# Old, harmless format errors in the history of many repositories.
_IGNORED_ERRORS = ("zeroPaddedFilemode", "missingSpaceBeforeDate", "badTimezone", "hasDotgit")

# The last is the message of a checkout.
_DISK_FULL = ("No space left on device", "Out of diskspace", "unable to write file")


@dataclass(frozen=True)
class GitLogin:
    """Credentials for cloning over HTTP."""

    username: str
    password: str = field(repr=False)


class GitError(MachineError):
    """Git failed. ``stderr`` is its error output, without passwords."""

    def __init__(self, stderr: str, reason: Reason = Reason.CLONE_FAILED, before: str = "git failed") -> None:
        self.stderr = stderr
        if any(sign in stderr for sign in _DISK_FULL):
            super().__init__(Reason.DISK_FULL, f"the disk is full: {stderr}; make room and re-run")
        else:
            super().__init__(reason, f"{before}: {stderr}")


def run_git(
    command: Sequence[str],
    *,
    local: bool = False,
    login: GitLogin | None = None,
    url: str = "",
    stdin: BinaryIO | None = None,
    egress: Mapping[str, str] | None = None,
) -> bytes:
    """Runs git with the settings above; ``local`` allows file:// URLs instead of network URLs. Raises GitError.

    ``egress`` are variables for proxies and CA certificates.
    """
    environment = git_environment(local=local, login=login, url=url) | dict(egress or {})
    # If headway runs in a git hook, git's variables point to the hook's repository: they must not affect our commands.
    foreign = [f"--unset={name}" for name in os.environ if name.startswith("GIT_") and name not in environment]
    try:
        return Git(os.sep).execute(
            ["env", *foreign, *command] if foreign else list(command),
            env=environment,
            istream=stdin,
            kill_after_timeout=GIT_TIMEOUT_S,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
        )
    except GitCommandNotFound as error:
        raise MachineError(Reason.INTERNAL, "git is not installed on this machine; install it") from error
    except GitCommandError as error:
        text = " ".join(str(error.stderr).replace("stderr:", "").strip(" '\n").split())
        raise GitError(without_login(text)) from None


def git_environment(*, local: bool, login: GitLogin | None, url: str) -> dict[str, str]:
    """Git's whole configuration as environment variables: no settings of the machine, no password in a command line."""
    settings = [setting.partition("=")[::2] for setting in _SAFE_SETTINGS]
    settings += [(f"{part}.fsck.{name}", "ignore") for part in ("fetch", "receive") for name in _IGNORED_ERRORS]
    settings += [(f"fsck.{name}", "ignore") for name in _IGNORED_ERRORS]
    if login:
        settings.append((f"http.{_origin(url)}.extraHeader", _basic(login)))
    environment = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(Path(__file__).with_name("gitconfig")),
        "GIT_ALLOW_PROTOCOL": "file" if local else "https:http:ssh",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_CONFIG_COUNT": str(len(settings)),
        "LC_ALL": "C.UTF-8",
    }
    for number, (key, value) in enumerate(settings):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "") + "/"


def _basic(login: GitLogin) -> str:
    pair = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    return f"Authorization: Basic {pair}"


def local_url(folder: Path) -> str:
    """The file:// URL of a repository on this machine, escaped as git expects it."""
    return f"file://{quote(str(folder.absolute()))}"


def without_login(text: str) -> str:
    """The text with user and password removed from all URLs in it."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)
