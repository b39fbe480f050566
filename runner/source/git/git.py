"""Runs git for a job: with settings that protect from hostile repositories, and without the machine's own settings.

A repository's files can contain configuration, hooks and URLs that would run code on the worker.
"""

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from pipelines.state import Reason
from runner.errors import MachineError
from runner.source.git.git_words import fit_for_logs, folders_in, last_word
from runner.source.git.limited_git import GitLimits, execute_limited

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
    # Git would send a login on to the host that it is redirected to: ``runner.source.git.server`` follows redirects.
    "http.followRedirects=false",
    # A worker must not wait inside git-lfs: what fails for a moment is tried again later.
    "lfs.transfer.maxRetries=1",
    "advice.detachedHead=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
IGNORED_ERRORS = (
    *("zeroPaddedFilemode", "badFilemode", "treeNotSorted", "duplicateEntries", "hasDotgit", "nullSha1"),
    *("badDate", "badDateOverflow", "zeroPaddedDate", "badTimezone", "missingSpaceBeforeDate"),
    *("badEmail", "missingEmail", "badName", "missingNameBeforeEmail", "missingSpaceBeforeEmail"),
    *("missingAuthor", "multipleAuthors", "missingCommitter", "nulInCommit", "badTagName", "missingTaggerEntry"),
    *("gitmodulesUrl", "gitmodulesParse", "gitmodulesBlob", "gitmodulesLarge"),
)
"""Names of git's checks: faults of old programs in the history of many repositories (rails, frr), which git clones.

Where an address in .gitmodules is asked, git checks it again; what could write outside of a checkout is not in here.
"""

# A server that goes away while a connection is open would else hold the worker for hours.
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
_PORTS = {"http": 80, "https": 443}
# The last is the message of a checkout.
_DISK_FULL = ("No space left on device", "Out of diskspace", "unable to write file")


@dataclass(frozen=True)
class GitLogin:
    """Credentials for cloning over HTTP."""

    username: str
    password: str = field(repr=False)


class GitError(MachineError):
    """Git failed. ``stderr`` is its error output in one line; ``detail`` has it as it is. Neither has passwords.

    ``sentence`` says what it means, where that is known.
    """

    def __init__(self, words: str, reason: Reason = Reason.CLONE_FAILED, sentence: str = "") -> None:
        self.stderr = " ".join(words.split())
        if any(sign in words for sign in _DISK_FULL):
            super().__init__(Reason.DISK_FULL, "the worker's disk is full: git cannot write; make room and re-run")
        else:
            super().__init__(reason, sentence or f"git failed: {last_word(words) or 'it gave no reason'}")
        self.detail = words


def run_git(
    command: Sequence[str],
    *,
    local: bool = False,
    login: GitLogin | None = None,
    url: str = "",
    stdin: BinaryIO | None = None,
    egress: Mapping[str, str] | None = None,
    settings: Sequence[tuple[str, str]] = (),
    limits: GitLimits | None = None,
) -> bytes:
    """Runs git with the settings above; ``local`` allows file:// URLs instead of network URLs. Raises GitError.

    ``egress`` are more variables, for proxies and CA certificates; ``settings`` are more settings. With ``limits`` it
    reads no input, and also raises TooMuchOutputError and NoAnswerError.
    """
    variables = dict(egress or {})
    environment = git_environment(local=local, login=login, url=url, more=settings) | variables
    try:
        if limits:
            status, output, errors = execute_limited(_alone(command, environment), environment, limits)
        elif url:
            status, output, errors = _ask_server(_alone(command, environment), environment)
        else:
            status, output, errors = _execute(command, environment, stdin)
    except FileNotFoundError as error:
        raise MachineError(Reason.INTERNAL, "git is not installed on this machine; install it") from error
    if status:
        hidden = [login.password, quote(login.password, safe=""), _basic_pair(login)] if login else []
        raise GitError(fit_for_logs(errors, folders_in(command, variables, urls=not url), hidden))
    return output


def _alone(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The command without git's variables of this process that ``environment`` does not set.

    If headway runs in a git hook, they point to the hook's repository.
    """
    foreign = [f"--unset={name}" for name in os.environ if name.startswith("GIT_") and name not in environment]
    return ["env", *foreign, *command] if foreign else list(command)


def _ask_server(command: list[str], environment: Mapping[str, str]) -> tuple[int, bytes, str]:
    # Without this, importing GitPython fails on a machine without git, where `headway run` works too.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # It loads slowly, and runs git to see its version: `headway run` asks no server before its first container.
    from git import Git  # noqa: PLC0415
    from git.exc import GitCommandNotFound  # noqa: PLC0415

    try:
        status, output, errors = Git(os.sep).execute(
            command,
            env=environment,
            kill_after_timeout=GIT_TIMEOUT_S,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            with_extended_output=True,
            with_exceptions=False,
        )
    except GitCommandNotFound as error:
        raise FileNotFoundError(str(error)) from error
    return status, output, str(errors)


def _execute(command: Sequence[str], environment: Mapping[str, str], stdin: BinaryIO | None) -> tuple[int, bytes, str]:
    """Runs a command of git for repositories on this machine. Exit status, output and errors."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    process = subprocess.Popen(
        command, cwd=os.sep, env={**own, **environment}, stdin=stdin or subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        try:
            output, errors = process.communicate(timeout=GIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return 1, b"", f"git had not ended after {GIT_TIMEOUT_S:,} seconds"
    return process.returncode, output, errors.decode(errors="replace")


def git_environment(
    *, local: bool, login: GitLogin | None, url: str, more: Sequence[tuple[str, str]] = ()
) -> dict[str, str]:
    """Git's whole configuration as environment variables: no settings of the machine, no password in a command line."""
    settings = [*(setting.partition("=")[::2] for setting in _SAFE_SETTINGS), *more]
    settings += [(f"{part}.fsck.{name}", "ignore") for part in ("fetch", "receive") for name in IGNORED_ERRORS]
    settings += [(f"fsck.{name}", "ignore") for name in IGNORED_ERRORS]
    if login:
        settings.append((f"http.{origin(url)}/.extraHeader", f"Authorization: Basic {_basic_pair(login)}"))
    environment = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(Path(__file__).with_name("gitconfig")),
        "GIT_ALLOW_PROTOCOL": "file" if local else "https:http:ssh",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "GIT_SSH_COMMAND": _SSH,
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_CONFIG_COUNT": str(len(settings)),
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
    }
    for number, (key, value) in enumerate(settings):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def origin(url: str) -> str:
    """Scheme, host and port of a URL: a login is for no other."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in {None, _PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _basic_pair(login: GitLogin) -> str:
    return base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def local_url(folder: Path) -> str:
    """The file:// URL of a repository on this machine, escaped as git expects it."""
    return f"file://{quote(str(folder.absolute()))}"
