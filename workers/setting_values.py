"""Values of settings that are checked or put together: passwords from files, the token of a scraper."""

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

METRICS_TOKEN_CHARS_MIN = 16


def password_in(file: Path) -> str:
    """The password that the file has."""
    return file.read_text().strip()


def with_password(url: str, password: str) -> str:
    """The URL with this password in place of the one that it has."""
    parts = urlsplit(url)
    user = parts.username or ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def check_metrics_token(token: str) -> None:
    """Raises ValueError with a sentence if it is too short, or cannot be sent in a header. Empty is right."""
    printable = token.isascii() and token.isprintable() and " " not in token
    if token and (len(token) < METRICS_TOKEN_CHARS_MIN or not printable):
        raise ValueError(
            f"use {METRICS_TOKEN_CHARS_MIN} letters and digits or more; openssl rand -hex 24 makes such a token"
        )
