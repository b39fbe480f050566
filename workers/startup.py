"""Opens what the settings name: data directory, database, keys. Common errors at the start become sentences."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from runner.network.proxies import proxies_of
from runner.private import NotPrivateError, check_way_to, private_file, private_folder, private_umask
from workers.db.full_disk import means_full_disk
from workers.db.schema import Schema, SchemaState, known_versions, schema_of
from workers.db.session import make_engine, upgrade
from workers.disk import FULL
from workers.errors import NotYetError, StartError
from workers.secrets.known_keys import check_keys, no_key_at, wanted_key_ids
from workers.secrets.vault import Vault, VaultError, open_vault
from workers.setting_errors import said_of
from workers.setting_names import not_text, wrong_names
from workers.settings import Settings, load_settings

_SQLITE_HEADER = b"SQLite format 3\0"
# What an installation keeps in its data directory: by one of the first, it is known as such.
_MARKS = frozenset({"headway.db", "secret.key", "serve.lock", "ballast", "mirrors", "workspaces", "blobs"})
_MORE = frozenset(
    {"logs", "spool", "running", "redis", "ca", "images", "caches", "kept", "housekeeping.lock", "lost+found"}
)
_NAMES_SHOWN = 3
_FOR_OTHERS = 0o077
MAKE_ONE = "`headway serve` makes a new installation, and so does `headway db upgrade`"


def read_settings(**overrides: object) -> Settings:
    """The settings from the environment. Raises StartError naming each that cannot be used."""
    try:
        proxies_of(os.environ)
    except ValueError as error:
        raise StartError(f"{error}.") from None
    wrong = not_text(os.environ) or wrong_names(os.environ, Settings.model_fields)
    if wrong:
        raise _unusable(wrong)
    try:
        return load_settings(**overrides)
    except ValidationError as error:
        raise _unusable([said_of(part, overrides) for part in error.errors()]) from None


def _unusable(wrong: list[str]) -> StartError:
    sentence = "These settings cannot be used: " + "; ".join(wrong)
    return StartError(sentence if sentence.endswith("?") else f"{sentence}.")


@contextmanager
def sentences(settings: Settings) -> Iterator[None]:
    """Turns common errors at the start into StartError."""
    try:
        yield
    except (VaultError, NotPrivateError) as error:
        raise StartError(str(error)) from None
    except SQLAlchemyError as error:
        raise NotYetError(_database_sentence(settings, error)) from None
    except OSError as error:
        raise StartError(_system_sentence(settings, error)) from None


def _database_sentence(settings: Settings, error: SQLAlchemyError) -> str:
    reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    place = make_url(settings.database).set(password=None)
    if means_full_disk(error):
        return f"The disk of the database {place} is full: make room on it."
    passwords = "" if place.drivername.startswith("sqlite") else ", and at HEADWAY_DATABASE_PASSWORD_FILE"
    return f"The database cannot be used: {reason}. It is {place}: look at HEADWAY_DATABASE_URL{passwords}."


def _system_sentence(settings: Settings, error: OSError) -> str:
    if error.errno in FULL:
        return f"The disk of {error.filename or settings.data_dir} is full: make room on it."
    if isinstance(error, PermissionError):
        return (
            f"{error.filename} cannot be used by user {os.geteuid()}. Give it to this user, or choose another "
            f"directory than {settings.data_dir} with HEADWAY_DATA_DIR."
        )
    if error.filename is None or isinstance(error, ConnectionError):
        raise error
    hint = "HEADWAY_DATA_DIR, HEADWAY_DATABASE_URL and HEADWAY_SECRET_KEY_FILE name what Headway reads and writes"
    return f"{error.filename} cannot be used: {error.strerror}. {hint}."


def prepare_data_dir(settings: Settings) -> None:
    """Creates the data directory for this user alone, and checks that it can be written. Raises StartError.

    Closes it, and what older versions left in it, where other users could enter.
    """
    folder = settings.data_dir
    try:
        _check_is_ours(folder)
        if private_folder(folder):
            _note(f"{folder} was open to other users of this machine, and is closed now.")
        for inside in settings.private_dirs:
            # The data directory closes what lies in it, also a network disk of another owner. It does not close the
            # place to which a link leads.
            if inside.is_symlink() or (inside.exists() and inside.stat().st_uid == os.geteuid()):
                private_folder(inside)
        probe = folder / f".probe-{os.getpid()}-{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except NotPrivateError as error:
        raise StartError(f"{error} HEADWAY_DATA_DIR names the data directory.") from None
    except OSError as error:
        if error.errno in FULL:
            raise StartError(f"The disk of {folder} (HEADWAY_DATA_DIR) is full: make room on it.") from None
        reason = "it is a file" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror
        raise StartError(
            f"{folder} cannot be used as the data directory for user {os.geteuid()}: {reason}. Give it to "
            "this user, or choose another with HEADWAY_DATA_DIR."
        ) from None


def _check_is_ours(folder: Path) -> None:
    """Raises StartError for an open folder that holds something else: it is about to be closed to other users."""
    try:
        if not folder.stat().st_mode & _FOR_OTHERS:
            return
        names = {entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")}
    except OSError:
        return  # it is made, or what follows says what is wrong with it
    foreign = sorted(names - _MARKS - _MORE)
    if foreign and names.isdisjoint(_MARKS):
        shown = ", ".join(foreign[:_NAMES_SHOWN]) + (", ..." if len(foreign) > _NAMES_SHOWN else "")
        raise StartError(
            f"{folder} is no data directory of Headway: it holds {shown}. Name a folder of its own with "
            "HEADWAY_DATA_DIR; one that does not exist is made."
        )


def _note(sentence: str) -> None:
    """To standard error: the output of a command may be read by a program."""
    sys.stderr.write(f"headway: {sentence}\n")


@contextmanager
def database(settings: Settings, *, migrate: bool = False) -> Iterator[Engine]:
    """Opens the database, for those who answer people: what they acknowledge survives a power cut.

    With ``migrate`` it makes one, or brings an older one up to date. Raises StartError.
    """
    file = _sqlite_file(settings)
    if not migrate:
        _check_is_there(settings, file)
    prepare_data_dir(settings)
    with sentences(settings):
        if file is not None:
            _check_is_sqlite(file)
        # An answer to a person or a forge promises that it is stored. A worker's job whose verdict is lost runs again.
        engine = make_engine(settings.database, durable=True)
    try:
        with private_umask(), sentences(settings):
            _check_schema(settings, schema_of(engine), migrate=migrate)
            if migrate:
                upgrade(engine)
            yield engine
    finally:
        engine.dispose()


def _sqlite_file(settings: Settings) -> Path | None:
    url = make_url(settings.database)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _check_is_there(settings: Settings, file: Path | None) -> None:
    """Raises StartError where there is no installation: a command in the wrong folder must not make one."""
    if file is None or os.path.lexists(file) or (file.parent.exists() and not _is_own_folder(file.parent)):
        return
    try:
        with suppress(FileNotFoundError):
            check_way_to(settings.data_dir)
    except NotPrivateError as error:
        raise StartError(f"{error} HEADWAY_DATA_DIR names the data directory.") from None
    setting = "HEADWAY_DATABASE_URL" if settings.database_url else "HEADWAY_DATA_DIR"
    raise NotYetError(f"There is no installation here: {file} does not exist. Is {setting} right? {MAKE_ONE}.")


def _is_own_folder(path: Path) -> bool:
    """False where ``path`` is refused for another reason."""
    return path.is_dir() and path.stat().st_uid == os.geteuid()


def _check_is_sqlite(file: Path) -> None:
    """Raises StartError for another kind of file: it is about to be closed to all other users."""
    try:
        with file.open("rb") as opened:
            start = opened.read(len(_SQLITE_HEADER))
    except FileNotFoundError:
        return
    except IsADirectoryError:
        start = b"-"
    if start and start != _SQLITE_HEADER:
        raise StartError(f"{file} is no SQLite database. Look at HEADWAY_DATABASE_URL.")


def _check_schema(settings: Settings, schema: Schema, *, migrate: bool) -> None:
    place = make_url(settings.database).set(password=None)
    newest = known_versions()[-1]
    match schema.state:
        case SchemaState.FOREIGN:
            raise StartError(
                f"The database {place} holds tables of another program. Give Headway one of its own with "
                "HEADWAY_DATABASE_URL."
            )
        case SchemaState.NEWER:
            raise StartError(
                f"The database {place} has tables of version {schema.version}, and this Headway knows {newest}: a "
                "newer one has upgraded it. Run that one, or restore the backup from before the upgrade."
            )
        case SchemaState.EMPTY if not migrate:
            raise NotYetError(f"The database {place} is empty. Is HEADWAY_DATABASE_URL right? {MAKE_ONE}.")
        case SchemaState.OLDER if not migrate:
            raise NotYetError(
                f"The database {place} has tables of version {schema.version}, and this Headway needs {newest}. Run: "
                "headway db upgrade"
            )
        case _:
            pass


def open_keys(settings: Settings, engine: Engine) -> Vault:
    """Opens the vault, which must have the key that sealed this database's secrets. Raises StartError.

    Makes the key file of a new installation, where nothing is sealed yet.
    """
    with sentences(settings):
        given = bool(settings.secret_keys.get_secret_value())
        where = "HEADWAY_SECRET_KEYS" if given else str(settings.key_file)
        if not given and not settings.key_file.exists() and (wanted := wanted_key_ids(engine)):
            raise no_key_at(where, wanted)
        vault = open_vault_of(settings)
        check_keys(engine, vault, where)
        return vault


def open_vault_of(settings: Settings) -> Vault:
    """The vault as the settings name it, whatever the database says. Closes a key file that others could read."""
    used = settings.key_file.exists() and not settings.secret_keys.get_secret_value()
    if used and private_file(settings.key_file, of_root=True):
        _note(
            f"{settings.key_file} was open to other users of this machine, and is closed now. If there are others, "
            "add a new key and set the secrets again."
        )
    return open_vault(settings)


def check_installation(settings: Settings) -> Vault:
    """Checks database and keys before a process starts its work; returns the vault. Raises StartError."""
    with database(settings) as engine:
        return open_keys(settings, engine)
