"""Opens what the settings name: data directory, database, keys. Common errors at the start become sentences."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from runner.network.proxies import proxies_of
from runner.private import NotPrivateError, private_file, private_folder, private_umask
from workers.db.session import make_engine, upgrade
from workers.errors import StartError
from workers.secrets.vault import Vault, VaultError, open_vault
from workers.settings import Settings, load_settings


def read_settings(**overrides: object) -> Settings:
    """The settings from the environment. Raises StartError naming each that cannot be used."""
    try:
        proxies_of(os.environ)
    except ValueError as error:
        raise StartError(f"{error}.") from None
    try:
        return load_settings(**overrides)
    except ValidationError as error:
        wrong = [f"HEADWAY_{'_'.join(map(str, part['loc'])).upper()}: {part['msg']}" for part in error.errors()]
        raise StartError("These settings cannot be used: " + "; ".join(wrong) + ".") from None


@contextmanager
def sentences(settings: Settings) -> Iterator[None]:
    """Turns common errors at the start into StartError."""
    try:
        yield
    except VaultError as error:
        raise StartError(str(error)) from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise StartError(
            f"The database cannot be used: {reason}. Look at HEADWAY_DATABASE_URL, and if tables are missing run: "
            "headway db upgrade"
        ) from None
    except NotPrivateError as error:
        raise StartError(str(error)) from None
    except PermissionError as error:
        raise StartError(
            f"{error.filename} cannot be used by user {os.geteuid()}. Give it to this user, or choose another "
            f"directory than {settings.data_dir} with HEADWAY_DATA_DIR."
        ) from None


def prepare_data_dir(settings: Settings) -> None:
    """Creates the data directory for this user alone, and checks that it can be written. Raises StartError.

    Closes it, and what older versions left in it, where other users could enter.
    """
    try:
        if private_folder(settings.data_dir):
            _note(f"{settings.data_dir} was open to other users of this machine, and is closed now.")
        for folder in settings.private_dirs:
            # The data directory closes what lies in it, also a network disk of another owner. It does not close the
            # place to which a link leads.
            if folder.is_symlink() or (folder.exists() and folder.stat().st_uid == os.geteuid()):
                private_folder(folder)
        probe = settings.data_dir / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except NotPrivateError as error:
        raise StartError(f"{error} HEADWAY_DATA_DIR names the data directory.") from None
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise StartError(
            f"{settings.data_dir} cannot be used as the data directory for user {os.geteuid()}: {reason}. Give it to "
            "this user, or choose another with HEADWAY_DATA_DIR."
        ) from None


def _note(sentence: str) -> None:
    """To standard error: the output of a command may be read by a program."""
    sys.stderr.write(f"headway: {sentence}\n")


@contextmanager
def database(settings: Settings, *, migrate: bool = False) -> Iterator[Engine]:
    """Opens the database. With ``migrate`` it runs the migrations first. Raises StartError.

    On SQLite it always runs them: the file is used by one machine only.
    """
    prepare_data_dir(settings)
    with sentences(settings):
        engine = make_engine(settings.database)
    try:
        with private_umask(), sentences(settings):
            if migrate or engine.dialect.name == "sqlite":
                upgrade(engine)
            yield engine
    finally:
        engine.dispose()


def open_keys(settings: Settings) -> Vault:
    """Opens the vault. Raises StartError."""
    with sentences(settings):
        used = settings.key_file.exists() and not settings.secret_keys.get_secret_value()
        if used and private_file(settings.key_file, of_root=True):
            _note(
                f"{settings.key_file} was open to other users of this machine, and is closed now. If there are others, "
                "add a new key and set the secrets again."
            )
        return open_vault(settings)
