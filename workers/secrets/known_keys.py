"""Which key this installation's secrets are sealed with: another one, or none, is refused before anything is sealed.

The database knows the id and a fingerprint of each key. One from before it knew them is recognised by what is sealed.
"""

import hmac

from sqlalchemy import Engine

from workers.db.models import SealingKey
from workers.db.session import reading, transaction
from workers.secrets import vault as places
from workers.secrets.vault import Vault, VaultError
from workers.store.processes.sealing import (
    FIRST,
    SealedValue,
    add_sealing_key,
    forget_sealing_keys,
    sealed_values,
    sealing_keys,
)

_HINT = (
    "Put the right key there, from a backup or from the machine where `headway serve` or `headway db upgrade` made it, "
    "or name it with HEADWAY_SECRET_KEY_FILE or HEADWAY_SECRET_KEYS. If it is lost for good: headway db new-key"
)


def fingerprint(key: bytes) -> str:
    """Tells two keys with the same id apart, and says nothing else about them."""
    return hmac.new(key, b"headway: which key is this", "sha256").hexdigest()[:32]


def wanted_key_ids(engine: Engine) -> list[str]:
    """The ids of the keys without which sealed values cannot be read, the most important first; empty where none is."""
    with reading(engine) as session:
        if known := sealing_keys(session):
            return [known[-1].key_id]
        return list(dict.fromkeys(_key_id(value) for value in sealed_values(session)))


def no_key_at(where: str, wanted: list[str]) -> VaultError:
    """The error where there is no key at all."""
    return VaultError(f"The key {_named(wanted)} that seals this installation's secrets is missing at {where}. {_HINT}")


def check_keys(engine: Engine, vault: Vault, where: str) -> None:
    """Checks that the vault has the key that sealed last, and notes its newest key. Raises VaultError.

    ``where`` is the place that the keys come from. Older keys may be missing: what they sealed cannot be read, and all
    else goes on.
    """
    with reading(engine) as session:
        known = sealing_keys(session)
        values = [] if known else sealed_values(session)
    if values:
        _recognise(values, vault, where)
    if known:
        _compare(known, vault, where)
        if known[-1].key_id == vault.newest:
            return
    number = known[-1].number + 1 if known else FIRST
    with transaction(engine) as session:
        add_sealing_key(session, number, vault.newest, fingerprint(vault.keys[vault.newest]))
    with reading(engine) as session:
        _compare(sealing_keys(session), vault, where)  # another process may have been first, with another key


def forget_keys(engine: Engine, vault: Vault) -> None:
    """Begins anew with this vault's newest key. What others have sealed must be set again."""
    with transaction(engine) as session:
        forget_sealing_keys(session)
        add_sealing_key(session, FIRST, vault.newest, fingerprint(vault.keys[vault.newest]))


def _compare(known: list[SealingKey], vault: Vault, where: str) -> None:
    for row in known:
        key = vault.keys.get(row.key_id)
        if key is not None and fingerprint(key) != row.fingerprint:
            raise VaultError(
                f"The key {row.key_id} in {where} is another key than the {row.key_id} that sealed this installation's "
                f"secrets. {_HINT}"
            )
    last = known[-1]
    if last.key_id not in vault.keys:
        raise _foreign([last.key_id], vault, where)


def _recognise(values: list[SealedValue], vault: Vault, where: str) -> None:
    """Raises VaultError unless at least one of the values can be read."""
    if not any(_can_read(value, vault) for value in values):
        raise _foreign(list(dict.fromkeys(map(_key_id, values))), vault, where)


def _can_read(value: SealedValue, vault: Vault) -> bool:
    try:
        vault.unseal(_place(value), value.sealed)
    except VaultError:
        return False
    return True


def _foreign(wanted: list[str], vault: Vault, where: str) -> VaultError:
    return VaultError(
        f"This installation's secrets are sealed with the key {_named(wanted)}, and {where} has only "
        f"{_named(list(vault.keys))}. {_HINT}"
    )


def _named(key_ids: list[str]) -> str:
    return " or ".join(key_ids)


def _key_id(value: SealedValue) -> str:
    return ([*value.sealed.split("|"), ""])[1]


def _place(value: SealedValue) -> str:
    repo_id = value.repo_id or 0
    match value.kind:
        case "hook":
            return places.hook_place(repo_id)
        case "clone":
            return places.clone_place(repo_id)
        case "forge":
            return places.forge_place(repo_id)
        case "secret":
            return places.secret_place(repo_id, value.name)
        case "shared secret":
            return places.shared_secret_place(value.owner, value.name)
        case "shared forge":
            return places.shared_forge_place(value.owner, value.name)
        case _:
            return places.registry_place(value.repo_id, value.name, value.owner)
