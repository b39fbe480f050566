"""What is written is read again as it was meant, by YAML and by the references of pipeline files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.importers.yaml_text import Commented, Raw, literal, yaml_text
from pipelines.interpolation.parser import Source, parse_template
from pipelines.interpolation.renderer import Variables, render
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode
from pipelines.syntax.yaml import parse_yaml


def _read(text: str) -> object:
    diagnostics = Diagnostics("f")
    source = Source(text)
    rendered = render(source, parse_template(source, diagnostics), Variables({}, {}, {}, frozenset()), diagnostics)
    node = parse_yaml(rendered.text, diagnostics, rendered.locate, rendered.finish)
    assert diagnostics.problems == [], text
    assert node is not None
    return _value(node)


def _value(node: Node) -> object:
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [_value(item) for item in node.items]
        case MapNode():
            return {key.text: _value(value) for key, value in node.entries}


_TEXTS = st.text(
    st.one_of(st.sampled_from("${}\\/'\"\n\t #:-?*&!|>%@`,[]~0123xyYnN"), st.characters(exclude_categories=["Cs"]))
).filter(lambda text: "\0" not in text and "\ue000" not in text)


@given(_TEXTS)
def test_a_text_means_exactly_itself(text: str) -> None:
    if any("\ue000" <= character <= "\uf8ff" for character in text):  # marks of the renderer
        return
    assert _read(yaml_text({"a": text, "b": {"c": [text, {"d": text}]}, "e": [text]})) == {
        "a": text,
        "b": {"c": [text, {"d": text}]},
        "e": [text],
    }


@pytest.mark.parametrize("text", ["on", "3.10", "null", "a: b", "a #b", "-", "- a", "", " a", "a ", "a:", "<<", "it's"])
def test_texts_that_yaml_would_take_for_something_else_are_quoted(text: str) -> None:
    assert _read(yaml_text({"a": text})) == {"a": text}
    assert "'" in yaml_text({"a": text})


def test_values_of_all_kinds() -> None:
    value = {
        "a": True,
        "b": False,
        "c": 7,
        "d": [],
        "e": {},
        "f": [[], {}, [1, 2]],
        "g": {"h": {"i": "j"}},
        "k\nl": "m",
    }
    assert _read(yaml_text(value)) == value  # type: ignore[arg-type]


def test_a_list_of_few_words_stands_on_one_line() -> None:
    assert yaml_text({"event": ["push", "tag"]}) == "event: [push, tag]\n"
    assert yaml_text({"a": ["x" * 60]}) == f"a:\n  - {'x' * 60}\n"
    assert yaml_text({"a": ["3.10"]}) == "a:\n  - '3.10'\n"


def test_references_stay_and_comments_have_none() -> None:
    text = yaml_text({"a": Commented(("say ${NAME}\nnow",), [{"b": Commented(("c",), Raw("${CI}$$"))}])}, ("head",))
    assert text == "# head\n\n# say $${NAME} now\na:\n  # c\n  - b: ${CI}$$\n"


def test_control_characters_are_written_as_escapes() -> None:
    assert _read(yaml_text({"a": '\x1b[1m"\\/ \\\\ \u2028\ufeff'})) == {"a": '\x1b[1m"\\/ \\\\ \u2028\ufeff'}
    assert literal("$${X} \\/") == "$$$${X} \\\\/"
