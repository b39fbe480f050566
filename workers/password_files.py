"""Passwords of the database and of Redis that are in files, and not in their addresses."""

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit


def password_in(file: Path) -> str:
    """The password in this file. Raises OSError."""
    return file.read_text().strip()


def with_password(url: str, password: str) -> str:
    """The URL with this password in place of the one that it has."""
    parts = urlsplit(url)
    user = parts.username or ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))
