"""The keys' part of an archive: the lines of the key file, or of HEADWAY_SECRET_KEYS."""

import os

from runner.private import check_way_to
from workers.errors import StartError
from workers.secrets.vault import Vault, VaultError, parse_keys
from workers.settings import Settings

_WHERE = "the archive"


def current_keys(settings: Settings) -> str:
    """The keys of this installation, one on each line; nothing if it has none yet. It makes none."""
    given = settings.secret_keys.get_secret_value()
    if given:
        return "\n".join(given.split(",")) + "\n"
    return settings.key_file.read_text() if settings.key_file.exists() else ""


def vault_of(keys: str, where: str = _WHERE) -> Vault | None:
    """The keys, read; None if there are none. Raises StartError."""
    try:
        return parse_keys(keys.splitlines(), where) if keys else None
    except VaultError as error:
        raise StartError(str(error)) from None


def needs_key_file(settings: Settings, keys: str) -> bool:
    """Whether the archive's keys must be written. Raises StartError if this installation has others."""
    wanted, present = vault_of(keys), vault_of(current_keys(settings), str(settings.key_file))
    if wanted is None or present is None:
        return wanted is not None
    if any(present.keys.get(key_id) != key for key_id, key in wanted.keys.items()):
        where = "HEADWAY_SECRET_KEYS" if settings.secret_keys.get_secret_value() else str(settings.key_file)
        raise StartError(
            f"The archive's key {wanted.newest} is not in {where}, which has others. Move it away and restore again; "
            "nothing was restored."
        )
    return False


def write_key_file(settings: Settings, keys: str) -> None:
    """Writes the key file, which must not be there. Raises NotPrivateError, OSError."""
    settings.key_file.parent.mkdir(parents=True, exist_ok=True)
    check_way_to(settings.key_file)
    with os.fdopen(os.open(settings.key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(keys)
        file.flush()
        os.fsync(file.fileno())


def missing_key_ids(settings: Settings, key_ids: list[str]) -> list[str]:
    """Which of these keys this installation does not have."""
    present = vault_of(current_keys(settings), str(settings.key_file))
    return sorted(set(key_ids) - set(present.keys if present else ()))
