"""Where the cursor is in a file that is being written, and what the schema says there."""

import pytest

from runner.cli.language_server import cursor
from runner.cli.language_server.cursor import ITEM, Cursor, cursor_at
from runner.cli.language_server.schema import description, keys_at, values_at


def at(text: str) -> Cursor | None:
    """The cursor at the '|' of a text."""
    before = text[: text.index("|")]
    lines = text.replace("|", "", 1).split("\n")
    return cursor_at(lines, before.count("\n"), len(before.split("\n")[-1]))


def found(text: str) -> Cursor:
    place = at(text)
    assert place is not None
    return place


@pytest.mark.parametrize(
    ("text", "path", "word", "present"),
    [
        ("|", (), "", set()),
        ("st|", (), "st", set()),
        ("when: x\n|\nsteps:\n  a: x", (), "", {"when", "steps"}),
        ("steps:\n  a:\n    |\n    image: x\n  b:\n    push: x", ("steps", "a"), "", {"image"}),
        ("steps:\n  a:\n    push: x\n  b:\n    im|", ("steps", "b"), "im", set()),
        ("steps:\n- name: a\n  |\n  image: x\n- name: b", ("steps", ITEM), "", {"name", "image"}),
        ("steps:\n  - a: x\n  - |", ("steps", ITEM), "", set()),
        ("a:\n  - - b:\n        |", ("a", ITEM, ITEM, "b"), "", set()),
        ("steps:\n- commands:\n  - x\n  - y|", ("steps", ITEM, "commands", ITEM), "y", set()),
        ("'a b': &x\n  # note\n\n  |", ("a b",), "", set()),
        ("a:\n  b: 1\n---\nc: 1\n|", (), "", {"c"}),
        ("a: 1\n%TAG\n---\n|\n---\nd: 1", (), "", set()),
        ("a: {b: {c: 1, |", ("a", "b"), "", {"c"}),
        ("a: [{b: 1}, {c|", ("a", ITEM), "c", set()),
        ("[{a|", (ITEM,), "a", set()),
    ],
)
def test_keys(text: str, path: tuple[str, ...], word: str, present: set[str]) -> None:
    assert at(text) == Cursor(path, word, frozenset(present))


@pytest.mark.parametrize(
    ("text", "path", "word"),
    [
        ("a: |", ("a",), ""),
        ("a:\n  b: x y|", ("a", "b"), "x y"),
        ("- a: |", (ITEM, "a"), ""),
        ("a: {b: x, c: |", ("a", "c"), ""),
        ("a: {b: http://x|", ("a", "b"), "http://x"),
        ("a: {b: 'x, y', c: d|", ("a", "c"), "d"),
        ("a: {b: [1, 2], c: |", ("a", "c"), ""),
        ("a: {b: c}|", ("a",), ""),
    ],
)
def test_values(text: str, path: tuple[str, ...], word: str) -> None:
    place = found(text)
    assert (place.path, place.word, place.is_value) == (path, word, True)
    assert path[-1] in place.present or path == ("a",)


@pytest.mark.parametrize(
    "text",
    ["# a|", "a: x # b|", "a: |b\n  x: |".replace("|b", ">"), "a: b\n  c|", "a:\n  text\n    c: |", "a: [b,\n  c|"],
)
def test_nothing_is_said_of_comments_and_texts(text: str) -> None:
    assert at(text) is None


def test_a_long_line_and_a_long_file_have_limits() -> None:
    assert found(" " * cursor.LINE_CHARACTERS_MAX + "|").word == ""
    assert at(" " * cursor.LINE_CHARACTERS_MAX + " |") is None
    near = "a:\n" + "  b: 1\n" * (cursor.LINES_COUNT_MAX - 1) + "  |"
    assert found(near).path == ("a",)
    far = "a:\n" + "  b: 1\n" * cursor.LINES_COUNT_MAX + "  |"
    assert found(far).path == ()


def test_the_keys_that_are_there_tell_the_kind_of_step() -> None:
    assert "tags_file" in keys_at(found("steps:\n  a:\n    push:\n      |"))
    assert {"commands", "build", "push", "settings", "compose", "include"} <= keys_at(found("steps:\n  - |")).keys()
    assert {"build", "push", "compose"}.isdisjoint(keys_at(found("steps:\n  - commands: x\n    |")))
    unknown = keys_at(found("steps:\n  - comands: x\n    |"))
    assert {"commands", "push"} <= unknown.keys(), "a wrong key must not hide all others"


def test_values_are_written_as_yaml() -> None:
    assert values_at(found("steps:\n  - evaluate: |")) == {}
    assert list(values_at(found("when:\n  evaluate: |"))) == [r'"CI_COMMIT_BRANCH == \"main\""']
    assert values_at(found("skip_clone: |")) == {"true": "value", "false": "value"}
    assert values_at(found("timeout: |")) == {"1h30m": "example", "10m": "example"}
    assert '"**/*.md"' in values_at(found("when:\n  path:\n    exclude: |"))
    assert values_at(found("services:\n  db:\n    privileged: t|")) == {"true": "value", "false": "value"}


def test_a_description_has_default_and_examples() -> None:
    text = description(keys_at(found("steps:\n  - push:\n      |"))["tags"])
    assert text.startswith("The tags;")
    assert "Default: `[auto]`" in text
    assert "- `[1.2, latest]`" in text
    assert description(()) == ""
