"""Values of settings that are checked: the token of a scraper."""

METRICS_TOKEN_CHARS_MIN = 16


def check_metrics_token(token: str) -> None:
    """Raises ValueError with a sentence if it is too short, or cannot be sent in a header. Empty is right."""
    printable = token.isascii() and token.isprintable() and " " not in token
    if token and (len(token) < METRICS_TOKEN_CHARS_MIN or not printable):
        raise ValueError(
            f"use {METRICS_TOKEN_CHARS_MIN} letters and digits or more; openssl rand -hex 24 makes such a token"
        )
