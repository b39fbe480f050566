"""Encryption of secrets at rest: AES-256-GCM with a named key; the place of a secret is the associated data."""

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runner.private import private_file
from workers.settings import Settings

_VERSION = "v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_ID_BYTES = 4
_TAG_BYTES = 16
_PARTS = 4  # version, key id, nonce, text


class VaultError(Exception):
    """A secret cannot be unsealed, or the keys cannot be used. The message says which, and what to do."""


@dataclass(frozen=True)
class Vault:
    """Seals with the newest key, unseals with any. A sealed value is text; it can be unsealed only at its own place."""

    keys: Mapping[str, bytes] = field(repr=False)
    newest: str

    def seal(self, place: str, value: str) -> str:
        """Encrypts ``value``. It can be unsealed only with the same key and at the same place."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self.keys[self.newest]).encrypt(nonce, value.encode(), place.encode())
        return "|".join((_VERSION, self.newest, _text(nonce), _text(sealed)))

    def name_for(self, what: str) -> str:
        """A name for ``what`` that only who has the keys can know. It stays when a newer key is added."""
        oldest = list(self.keys.values())[-1]
        return hmac.new(oldest, what.encode(), "sha256").hexdigest()

    def unseal(self, place: str, sealed: str) -> str:
        """The value that was sealed at ``place``. Raises VaultError."""
        key_id, nonce, data = _parts(place, sealed)
        key = self.keys.get(key_id)
        if key is None:
            raise VaultError(
                f"The secret at {place} was sealed with key {key_id}, which is not among the keys of this server. "
                "Add that key to HEADWAY_SECRET_KEYS or to the key file, or set the secret again."
            )
        try:
            return AESGCM(key).decrypt(nonce, data, place.encode()).decode()
        except InvalidTag:
            raise VaultError(
                f"The secret at {place} was changed or moved since it was sealed, or key {key_id} is another key "
                "than it was. Set the secret again."
            ) from None


def sealed_bytes(sealed: str) -> int:
    """How many bytes the sealed value has; 0 for a damaged one. It needs no key."""
    parts = sealed.split("|")
    data = _bytes(parts[-1]) if len(parts) == _PARTS else None
    return max(0, len(data) - _TAG_BYTES) if data is not None else 0


def hook_place(repo_id: int) -> str:
    """Where a repository's webhook secret is kept."""
    return f"repo/{repo_id}/hook"


def clone_place(repo_id: int) -> str:
    """Where the password for cloning a repository is kept."""
    return f"repo/{repo_id}/clone"


def forge_place(repo_id: int) -> str:
    """Where a repository's token for commit statuses is kept."""
    return f"repo/{repo_id}/forge"


def shared_forge_place(owner: str, host: str) -> str:
    """Where a token for the forge at ``host``, of an owner or with an empty one of all repositories, is kept."""
    return f"owner/{owner}/forge/{host}"


def secret_place(repo_id: int, name: str) -> str:
    """Where a repository's secret is kept; its name is in lower case."""
    return f"repo/{repo_id}/secret/{name.lower()}"


def shared_secret_place(owner: str, name: str) -> str:
    """Where a secret of an owner, or with an empty one of all repositories, is kept."""
    return f"owner/{owner}/secret/{name.lower()}"


def registry_place(repo_id: int | None, host: str, owner: str = "") -> str:
    """Where the password for a registry is kept; ``repo_id`` None is the login for all repositories, of an owner."""
    if repo_id is None and owner:
        return f"owner/{owner}/registry/{host}"
    return f"registry/{host}" if repo_id is None else f"repo/{repo_id}/registry/{host}"


def browser_place(user_name: str) -> str:
    """Of the id of a browser in which a user has logged in; the browser keeps it."""
    return f"user/{user_name}/browser"


def open_vault(settings: Settings) -> Vault:
    """The vault of this installation. Creates the key file if there is none.

    Raises VaultError if a key is wrong, and NotPrivateError if other users can read the key file or replace it.
    """
    given = settings.secret_keys.get_secret_value()
    if given:
        return parse_keys(given.split(","), "HEADWAY_SECRET_KEYS")
    path = settings.key_file
    if not path.exists():
        _make_key_file(path)
    private_file(path, of_root=True)
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError:
        raise VaultError(f"{path} is no text in UTF-8, so it holds no key. Put the right file there.") from None
    return parse_keys(lines, str(path))


def new_key() -> str:
    """A new key as a line of the key file. Put it first to seal with it from then on, and keep the older ones."""
    return f"{secrets.token_hex(_KEY_ID_BYTES)}:{_text(os.urandom(_KEY_BYTES))}"


def parse_keys(lines: list[str], where: str) -> Vault:
    """A vault from ``id:key`` lines, newest first; empty lines and comments are skipped. Raises VaultError."""
    keys: dict[str, bytes] = {}
    for number, line in enumerate((line.strip() for line in lines), start=1):
        if not line or line.startswith("#"):
            continue
        key_id, _, encoded = line.partition(":")
        key = _bytes(encoded)
        if not key_id or "|" in key_id or key is None or len(key) != _KEY_BYTES or key_id in keys:
            raise VaultError(
                f"{where}: key number {number} is not usable. Each key is an id of its own, a colon and the base64 "
                f'of {_KEY_BYTES} bytes, such as `echo "k1:$(head -c {_KEY_BYTES} /dev/urandom | base64)"` makes.'
            )
        keys[key_id] = key
    if not keys:
        raise VaultError(
            f"{where} holds no key. Put the right one there, from a backup or from the machine where it was made."
        )
    return Vault(keys, next(iter(keys)))


def _make_key_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written to a temporary file and linked: of two processes that start at the same time one wins, and both read a
    # complete file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"# Keys that seal secrets, newest first. Without them no secret can be read.\n{new_key()}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink()


def _parts(place: str, sealed: str) -> tuple[str, bytes, bytes]:
    parts = sealed.split("|")
    if len(parts) == _PARTS and parts[0] == _VERSION:
        nonce, data = _bytes(parts[2]), _bytes(parts[3])
        if nonce is not None and data is not None and len(nonce) == _NONCE_BYTES:
            return parts[1], nonce, data
    raise VaultError(f"The secret at {place} is damaged: it does not have the form of a sealed secret. Set it again.")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
