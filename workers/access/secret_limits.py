"""How much a repository's secrets may hold: every byte of every log is compared with all of them."""

from collections.abc import Mapping

SECRET_BYTES_MAX = 64 * 1024
"""The bytes of one value."""
SECRETS_MAX = 100
"""The number of secrets of a repository, for all events together."""
SECRETS_BYTES_MAX = 1024 * 1024
"""The bytes of all values of a repository together."""


def excess(sizes: Mapping[str, int]) -> str:
    """What is too much of a repository's secrets, and what to do, without a full stop; empty if nothing is.

    ``sizes`` are the bytes of the values by name.
    """
    large = next((name for name, size in sizes.items() if size > SECRET_BYTES_MAX), None)
    if large is not None:
        hint = "keep the file elsewhere, and only the key to it in a secret"
        return f"the secret {large!r} has {sizes[large]:,} bytes; the limit is {SECRET_BYTES_MAX:,}; {hint}"
    if len(sizes) > SECRETS_MAX:
        hint = "remove those that are not needed with `headway secret remove`"
        return f"the repository has {len(sizes)} secrets; the limit is {SECRETS_MAX}; {hint}"
    if (total := sum(sizes.values())) > SECRETS_BYTES_MAX:
        hint = "remove those that are not needed with `headway secret remove`"
        return f"the repository's secrets have {total:,} bytes together; the limit is {SECRETS_BYTES_MAX:,}; {hint}"
    return ""
