"""Where a fragment is: a path of the same repository, or a path of another one at a commit. What may stand there."""

from typing import NamedTuple
from urllib.parse import urlsplit

from pipelines.clone_address import SCP
from pipelines.commit_id import SHA1_DIGITS, is_full_id
from pipelines.parser.discovery import choose_files
from pipelines.syntax.nodes import MapNode, Node, ScalarNode

PATH_CHARACTERS_MAX = 200
REPO_CHARACTERS_MAX = 500
ADDRESS_KEYS = ("path", "repo", "sha")
OTHER_REPOSITORY_KEYS = (*ADDRESS_KEYS, "with")

_SUFFIXES = (".yml", ".yaml")
_SCHEMES = frozenset({"https", "http", "ssh"})
_FROM_ROOT = "write it from the root of the repository, such as ci/test.yml"
_FOLDER = "put it in a folder such as .headway/fragments/"
_REPO_HINT = "write it as git clones it, for example https://git.example.com/team/ci.git"
_SHA_HINT = "write the id of the commit in full, as `git rev-parse HEAD` prints it"


class Address(NamedTuple):
    """Where a fragment is. Without ``repo`` it is in the repository of the pipeline file, at the same commit."""

    path: str
    repo: str = ""
    sha: str = ""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.repo}@{self.sha}:{self.path}" if self.repo else self.path


class Wrong(NamedTuple):
    """Why a fragment cannot have an address, as the rest of a sentence, and what to do. ``key`` is what is wrong."""

    why: str
    hint: str
    key: str = "path"


def address_of(included: Node, inside: Address | None) -> Address | None:
    """The address behind ``include`` in the fragment ``inside``, or in the pipeline file; None if there is none."""
    other = inside or Address("")
    match included:
        case ScalarNode() if not included.is_null:
            return Address(included.text, other.repo, other.sha)
        case MapNode():
            parts = (included.by_key.get(key) for key in ADDRESS_KEYS)
            texts = [part.text for part in parts if isinstance(part, ScalarNode) and part.text]
            return Address(*texts) if len(texts) == len(ADDRESS_KEYS) else None
        case _:
            return None


def is_written_out(included: Node) -> bool:
    """False where a variable is in the address: files are read before variables have values."""
    nodes = [included.by_key.get(key) for key in ADDRESS_KEYS] if isinstance(included, MapNode) else [included]
    return not any(isinstance(node, ScalarNode) and node.shell is not None for node in nodes)


def wrong_address(address: Address) -> Wrong | None:
    """Why a fragment cannot have this address; None if it can."""
    if address.repo and (wrong := _wrong_repo(address.repo)):
        return wrong
    if address.repo and not is_full_id(address.sha):
        return Wrong(f"names no commit: its 'sha' is not {SHA1_DIGITS} digits of 0-9 and a-f", _SHA_HINT, "sha")
    return wrong_file(address.path) or _wrong_name(address.path)


def _wrong_repo(repo: str) -> Wrong | None:
    if len(repo) > REPO_CHARACTERS_MAX:
        return Wrong(f"has a 'repo' of more than {REPO_CHARACTERS_MAX} characters", _REPO_HINT, "repo")
    if SCP.fullmatch(repo) and repo.isprintable():
        return None
    try:
        parts = urlsplit(repo)
        has_login = parts.password is not None or (parts.username is not None and parts.scheme != "ssh")
    except ValueError:
        return Wrong("has a 'repo' that is no address", _REPO_HINT, "repo")
    if parts.scheme not in _SCHEMES or not parts.hostname or not repo.isprintable():
        return Wrong("has a 'repo' that is no address of https://, http:// or ssh", _REPO_HINT, "repo")
    if has_login:
        return Wrong("has a 'repo' with a login in it, which everyone who reads this file has", _REPO_HINT, "repo")
    return None


def wrong_file(path: str) -> Wrong | None:
    """Why no file of a commit can have this path; None if one can."""
    if len(path) > PATH_CHARACTERS_MAX:
        return Wrong(f"has more than {PATH_CHARACTERS_MAX} characters", "give the file a shorter name")
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or not path.isprintable():
        return Wrong("is not a path of the repository", _FROM_ROOT)
    if any(part in {"", ".", ".."} for part in parts):
        return Wrong("has a part that is empty, '.' or '..'", _FROM_ROOT)
    if any(part.rstrip(". ").lower() == ".git" for part in parts):
        return Wrong("is in a folder of git itself", "a fragment is a file of the commit")
    return None


def _wrong_name(path: str) -> Wrong | None:
    if not path.endswith(_SUFFIXES):
        return Wrong("does not end in .yml or .yaml", "give the file such a name")
    if choose_files([path]):
        return Wrong("is that of a pipeline file, which runs by itself", _FOLDER)
    return None
