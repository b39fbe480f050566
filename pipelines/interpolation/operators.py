"""The operators of ``${NAME<operator>...}``, the same as in Woodpecker 3.x."""

import re
from collections.abc import Callable, Sequence
from hashlib import sha256

from pipelines.matching.glob import prefix_lengths

RESULT_CHARACTERS_MAX = 1024 * 1024
MADE_TAG_CHARACTERS_MAX = 100  # an image's tag has at most 128: this leaves some for what the file writes around it
_DIGEST_CHARACTERS = 8

Operator = Callable[[str, Sequence[str]], str]


class TooLongError(Exception):
    """The result would be longer than RESULT_CHARACTERS_MAX."""


def default(value: str, args: Sequence[str]) -> str:
    """The value, or the joined arguments if it is empty."""
    return value or "".join(args)


def substring(value: str, args: Sequence[str]) -> str:
    """From a position, for a length. The whole value if either is not a number."""
    try:
        position, *length = (int(arg) for arg in args)
    except ValueError:
        return value
    start = max(len(value) + position, 0) if position < 0 else position
    rest = value[start:]
    return rest[: max(length[0], 0)] if length else rest


def replace_first(value: str, args: Sequence[str]) -> str:
    """The first occurrence of the first argument becomes the second."""
    return value.replace(args[0], args[1], 1)


def replace_all(value: str, args: Sequence[str]) -> str:
    """Every occurrence of the first argument becomes the second."""
    new = args[1]
    if len(value) + value.count(args[0]) * len(new) > RESULT_CHARACTERS_MAX:
        raise TooLongError
    return value.replace(args[0], new)


def replace_prefix(value: str, args: Sequence[str]) -> str:
    """The first argument at the start becomes the second."""
    return args[1] + value[len(args[0]) :] if value.startswith(args[0]) else value


def replace_suffix(value: str, args: Sequence[str]) -> str:
    """The first argument at the end becomes the second."""
    return value.removesuffix(args[0]) + args[1] if value.endswith(args[0]) else value


def trim_prefix(value: str, args: Sequence[str]) -> str:
    """Without the shortest prefix that matches the pattern."""
    return value[min(prefix_lengths(args[0], value), default=0) :]


def trim_longest_prefix(value: str, args: Sequence[str]) -> str:
    """Without the longest prefix that matches the pattern."""
    return value[max(prefix_lengths(args[0], value), default=0) :]


def trim_suffix(value: str, args: Sequence[str]) -> str:
    """Without the shortest suffix that matches the pattern."""
    return value[: len(value) - min(prefix_lengths(args[0], value, backwards=True), default=0)]


def trim_longest_suffix(value: str, args: Sequence[str]) -> str:
    """Without the longest suffix that matches the pattern."""
    return value[: len(value) - max(prefix_lengths(args[0], value, backwards=True), default=0)]


def _lower_first(value: str, _: Sequence[str]) -> str:
    return value[:1].lower() + value[1:]


def _upper_first(value: str, _: Sequence[str]) -> str:
    return value[:1].upper() + value[1:]


def _lower(value: str, _: Sequence[str]) -> str:
    return value.lower()


def _upper(value: str, _: Sequence[str]) -> str:
    return value.upper()


def length(value: str, _: Sequence[str]) -> str:
    """The number of characters."""
    return str(len(value))


def image_tag(value: str, _: Sequence[str]) -> str:
    """A valid tag of an image, for any text: what a tag cannot have becomes ``-``.

    Where letters get lost, because they are not ASCII or too many, a part of the text's SHA-256 keeps apart what would
    have the same tag.
    """
    tag = re.sub(r"[^A-Za-z0-9_.-]+", "-", value).lstrip(".-")
    if not value or (tag and value.isascii() and len(tag) <= MADE_TAG_CHARACTERS_MAX):
        return tag
    digest = sha256(value.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    kept = tag[: MADE_TAG_CHARACTERS_MAX - _DIGEST_CHARACTERS - 1].rstrip("-")
    return f"{kept}-{digest}" if kept else digest


CASING: dict[str, Operator] = {",": _lower_first, ",,": _lower, "^": _upper_first, "^^": _upper}
REPLACING: dict[str, Operator] = {"/": replace_first, "//": replace_all, "/#": replace_prefix, "/%": replace_suffix}
TRIMMING: dict[str, Operator] = {
    "#": trim_prefix,
    "##": trim_longest_prefix,
    "%": trim_suffix,
    "%%": trim_longest_suffix,
}
