"""Passwords of the database and of Redis that are in files, and not in their addresses."""

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit


def password_in(file: Path) -> str:
    """The password in this file. Raises OSError."""
    return file.read_text().strip()


def checked_password_file(path: Path | str) -> Path:
    """The path, if a password can be read from it. Raises ValueError, with a sentence."""
    try:
        if not password_in(Path(path)):
            raise ValueError(f"the file {path} is empty; write the password into it")
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read: {error.strerror}") from None
    return Path(path)


def with_password(url: str, password: str) -> str:
    """The URL with this password in place of the one that it has."""
    parts = urlsplit(url)
    user = parts.username or ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))
