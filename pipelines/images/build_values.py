"""What the values of a build may contain: the build client reads some of them as lists, as lines or as names of files.

The compiler reports what is wrong with its place in the file. The runner refuses the same in plans that are older.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from pipelines.environment.environment_size import WORD_BYTES_MAX, WORDS_BYTES_MAX, byte_count
from pipelines.images import platforms

BUILD_ID_CHARS_MAX = 64
_BUILD_ID = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{BUILD_ID_CHARS_MAX - 1}}}")
_ID_HINT = f"use up to {BUILD_ID_CHARS_MAX} letters, digits, '_', '.' and '-', with no '.' or '-' at the front"
_OWN_LABELS = "headway."
_BREAKS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories: control characters, halves of characters, and separators of lines and paragraphs."""
_SHOWN_CHARS = 80
EACH_BYTES = 32
"""What each argument and label counts beside its own bytes."""
_VALUE_BYTES_MAX = WORD_BYTES_MAX - EACH_BYTES
"""Of one value with its name: the name of the client's option stands before it."""
_LIMIT = f"with its name; the build client gets at most {_VALUE_BYTES_MAX:,}"
_SHORTER = "put it into a file of the repository, which the Dockerfile copies"


class BuildValues(Protocol):
    """The values of a build that reach the command line of its client."""

    @property
    def context(self) -> str: ...
    @property
    def dockerfile(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def network(self) -> str: ...
    @property
    def args(self) -> Mapping[str, str]: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def secrets(self) -> Mapping[str, str]: ...
    @property
    def ssh(self) -> Sequence[str]: ...
    @property
    def platforms(self) -> Sequence[str]: ...
    @property
    def cache_from(self) -> Sequence[str]: ...
    @property
    def cache_to(self) -> Sequence[str]: ...


class WrongValue(NamedTuple):
    """What is wrong with a value, and what to do. ``part`` is its name or number below ``key``, if it has one."""

    key: str
    part: str | int | None
    message: str
    hint: str


def wrong_values(build: BuildValues) -> Iterator[WrongValue]:
    """What the build client would read as something else than it is."""
    for key in ("context", "dockerfile", "target", "network"):
        if not is_one_line(value := str(getattr(build, key))):
            message = f"{_shown(value)} under '{key}' has a line break or a control character"
            yield WrongValue(key, None, message, "write it in one line")
    for name in build.secrets:
        if not is_build_id(name):
            yield WrongValue("secrets", name, f"{_shown(name)} cannot be the id of a build secret", _ID_HINT)
    yield from _wrong_agents(build.ssh)
    for number, platform in enumerate(build.platforms):
        if platform != platform.strip() or not platforms.canonical(platform):
            message = f"{_shown(platform)} is no platform that Docker knows"
            yield WrongValue("platforms", number, message, platforms.hint_for(platform))
    yield from (*_wrong_pairs("args", build.args), *_wrong_pairs("labels", build.labels))
    yield from (*_wrong_caches("cache_from", build.cache_from), *_wrong_caches("cache_to", build.cache_to))
    yield from _too_large(build)


def _too_large(build: BuildValues) -> Iterator[WrongValue]:
    """What the client's command line, or a RUN of the Dockerfile, has no room for."""
    for key in ("context", "dockerfile", "target", "network"):
        yield from _too_long(key, None, str(getattr(build, key)))
    for key, values in (("ssh", build.ssh), ("cache_from", build.cache_from), ("cache_to", build.cache_to)):
        for number, value in enumerate(values):
            yield from _too_long(key, number, value)
    yield from _too_long("platforms", None, ",".join(build.platforms))
    pairs = [("args", name, value) for name, value in build.args.items()]
    pairs += [("labels", name, value) for name, value in build.labels.items()]
    sizes = [(byte_count(f"{name}={value}"), key, name) for key, name, value in pairs]
    for size, key, name in sizes:
        if size > _VALUE_BYTES_MAX:
            yield WrongValue(key, name, f"{_shown(name)} under '{key}' has {size:,} bytes {_LIMIT}", _SHORTER)
    if (total := sum(size + EACH_BYTES for size, _, _ in sizes)) > WORDS_BYTES_MAX:
        size, key, name = max(sizes)
        largest = f"the largest is {_shown(name)} with {size:,}"
        message = f"'args' and 'labels' have {total:,} bytes together; the limit is {WORDS_BYTES_MAX:,}; {largest}"
        yield WrongValue(key, name, message, _SHORTER)


def _too_long(key: str, part: int | None, value: str) -> Iterator[WrongValue]:
    if (size := byte_count(value)) > _VALUE_BYTES_MAX:
        yield WrongValue(key, part, f"'{key}' has {size:,} bytes {_LIMIT}", "write less")


def is_build_id(name: str) -> bool:
    """May this be the id of a build secret or of an SSH agent? The client would take others as paths or options."""
    return _BUILD_ID.fullmatch(name) is not None


def is_one_line(text: str) -> bool:
    """False for a text with a control character or a line break of any kind."""
    return not any(unicodedata.category(char) in _BREAKS for char in text)


def _shown(value: str) -> str:
    # repr() shows control characters as escapes: a message has one line.
    return repr(value if len(value) <= _SHOWN_CHARS else f"{value[:_SHOWN_CHARS]}...")


def _wrong_agents(entries: Sequence[str]) -> Iterator[WrongValue]:
    for number, entry in enumerate(entries):
        if "=" in entry:
            yield _path_of_worker("ssh", number, entry, "name an agent only, such as `default`")
        elif not is_build_id(entry):
            yield WrongValue("ssh", number, f"{_shown(entry)} cannot be the id of an SSH agent", _ID_HINT)


def _path_of_worker(key: str, number: int, entry: str, hint: str) -> WrongValue:
    return WrongValue(key, number, f"{key} {_shown(entry)} uses a path on the worker's own disk", hint)


def _wrong_pairs(key: str, pairs: Mapping[str, str]) -> Iterator[WrongValue]:
    for name, value in pairs.items():
        if not name or "=" in name or not is_one_line(name):
            yield WrongValue(key, name, f"{_shown(name)} under '{key}' is no name", "write NAME: value")
        elif key == "labels" and name.lower().startswith(_OWN_LABELS):
            yield WrongValue(key, name, f"labels that begin with '{_OWN_LABELS}' are Headway's own", "rename it")
        # The value is a word of its own, so it may have several lines. No system takes these in a word.
        elif "\0" in value or any(unicodedata.category(char) == "Cs" for char in value):
            yield WrongValue(key, name, f"the value of {name} under '{key}' is no text", "leave out the NUL character")


def _wrong_caches(key: str, entries: Sequence[str]) -> Iterator[WrongValue]:
    for number, entry in enumerate(entries):
        yield from _wrong_cache(key, number, entry)


def _wrong_cache(key: str, number: int, entry: str) -> Iterator[WrongValue]:
    pairs = cache_pairs(entry)
    names = [name for name, _ in pairs]
    if not pairs:
        yield WrongValue(key, number, f"{_shown(entry)} under '{key}' cannot be read", "write type=registry,ref=IMAGE")
    elif ("type", "local") in [(name, value.lower()) for name, value in pairs]:
        yield _path_of_worker("cache", number, entry, "use type=registry or type=inline")._replace(key=key)
    elif len(set(names)) != len(names):
        yield WrongValue(key, number, f"{_shown(entry)} under '{key}' says something twice", "make it two entries")


def cache_pairs(entry: str) -> list[tuple[str, str]]:
    """The fields of a cache entry, with names in lower case; none if it is malformed. Images alone are ``ref`` fields.

    Reads more generously than the client does, which takes no space around a name.
    """
    try:
        (fields,) = csv.reader([entry], strict=True) if is_one_line(entry) else [[]]
    except (csv.Error, ValueError):
        return []
    pairs = [field.partition("=") for field in fields]
    if pairs and all(name and not equals for name, equals, _ in pairs):
        return [("type", "registry"), *(("ref", name.strip()) for name, _, _ in pairs)]
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def cache_images(entry: str) -> tuple[str, ...]:
    """The images that a cache entry names."""
    pairs = cache_pairs(entry)
    kinds = {value.lower() for name, value in pairs if name == "type"} or {"registry"}
    return tuple(value for name, value in pairs if name == "ref") if "registry" in kinds else ()
