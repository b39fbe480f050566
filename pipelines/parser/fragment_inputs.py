"""The inputs of a fragment: what it declares, what ``with`` gives, and whether the two fit."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, assert_never

from pydantic import ValidationError

from pipelines import inputs
from pipelines.inputs import DeclaredInput
from pipelines.model.fragment import FragmentHead
from pipelines.parser.input_declarations import declared_input, why_not_declared
from pipelines.parser.validation import report_invalid
from pipelines.syntax.diagnostics import Diagnostics, did_you_mean
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode, kind_name

NAME_CHARACTERS_MAX = 100

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = ("CI_", "HEADWAY_", "PLUGIN_", "DRONE_")
_GIVEN_HINT = "write NAME: VALUE pairs below it, indented"


class Given(NamedTuple):
    """The values of a fragment's inputs: texts, and words (numbers and flags) that may stand in YAML as they are."""

    texts: Mapping[str, str]
    words: Mapping[str, str]
    names: frozenset[str]


def declared_by(root: MapNode, diagnostics: Diagnostics) -> tuple[DeclaredInput, ...] | None:
    """The inputs that a fragment declares, in which every reference is still as it was written. None after an error."""
    head = root.with_entries([entry for entry in root.entries if entry[0].text == "inputs"])
    try:
        model = FragmentHead.model_validate(head)
    except ValidationError as error:
        report_invalid(error, head, diagnostics)
        return None
    node = head.by_key.get("inputs")
    if not isinstance(node, MapNode):
        return ()
    declared = tuple(declared_input(name, asked) for name, asked in model.inputs.items())
    wrong = [(node.key_place(each.name), *why) for each in declared for why in _wrong(each, model)]
    wrong += [(scalar.place, "has a variable in its declaration", "write the value out") for scalar in _rendered(node)]
    if len(declared) > inputs.INPUTS_COUNT_MAX:
        message = f"is one of {len(declared)}; a fragment has at most {inputs.INPUTS_COUNT_MAX}"
        wrong = [(node.key_place(declared[inputs.INPUTS_COUNT_MAX].name), message, "remove some")]
    for place, message, hint in wrong:
        diagnostics.error(place, f"an input of this fragment {message}", hint)
    return None if wrong else declared


def _wrong(each: DeclaredInput, model: FragmentHead) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(each.name) or len(each.name) > NAME_CHARACTERS_MAX:
        message = f"has a name that is not made of letters, digits and '_' (at most {NAME_CHARACTERS_MAX})"
        yield message, "give it another name, such as VERSION"
    if each.name.upper().startswith(_OURS):
        yield "has a name that begins like those of Headway's own variables", "give it another name, such as VERSION"
    yield from why_not_declared(each, model.inputs[each.name])


def _rendered(node: Node) -> Iterator[ScalarNode]:
    match node:
        case ScalarNode():
            yield from [node] if node.shell is not None else []
        case ListNode():
            for item in node.items:
                yield from _rendered(item)
        case MapNode():
            for _, value in node.entries:
                yield from _rendered(value)
        case _:
            assert_never(node)


def given_by(item: MapNode, path: str, declared: tuple[DeclaredInput, ...], diagnostics: Diagnostics) -> Given | None:
    """The values of the inputs of the fragment ``path``, which ``item`` includes. None after an error."""
    wrong = False

    def error(node: Node, message: str, hint: str) -> None:
        nonlocal wrong
        wrong = True
        diagnostics.error(node.place, message, hint)

    asked = item.by_key["include"]
    node = (asked if isinstance(asked, MapNode) and "with" in asked.by_key else item).by_key.get("with")
    known = {each.name: each for each in declared}
    values = {each.name: each.default for each in declared}
    if isinstance(node, ListNode) or (isinstance(node, ScalarNode) and not node.is_null):
        error(node, f"'with' is a map of values, not {kind_name(node)}", _GIVEN_HINT)
        return None
    for key, value in node.entries if isinstance(node, MapNode) else ():
        if key.text not in known:
            error(key, f"the fragment '{path}' has no input '{key.text[:80]}'", _unknown_hint(key.text, known))
        elif not isinstance(value, ScalarNode) or value.is_null:
            message = f"the input {key.text} is a single text, not {kind_name(value)}"
            error(value, message, "write one value; of a secret give the name, for from_secret in the fragment")
        else:
            values[key.text] = text = _text(value, known[key.text])
            if why := inputs.why_not_a_value(known[key.text], text):
                error(value, f"the input {key.text} of '{path}' cannot be {text[:80]!r}: {why}", "give another value")
    written = node.by_key if isinstance(node, MapNode) else {}
    for name in (name for name, text in values.items() if text is None and name not in written):
        error(asked, f"the fragment '{path}' needs the input {name}", f"write with: {{{name}: VALUE}}")
    return None if wrong else _given(values, known)


def _given(values: Mapping[str, str | None], known: Mapping[str, DeclaredInput]) -> Given:
    set_ = {name: text for name, text in values.items() if text is not None}
    words = {name: text for name, text in set_.items() if known[name].type in {"boolean", "number"}}
    return Given({name: text for name, text in set_.items() if name not in words}, words, frozenset(known))


def _text(value: ScalarNode, declared: DeclaredInput) -> str:
    lower = value.text.lower()
    return lower if declared.type == "boolean" and lower in {"true", "false"} else value.text


def _unknown_hint(name: str, known: Mapping[str, DeclaredInput]) -> str:
    return did_you_mean(name, known) or (f"it has {', '.join(known)}" if known else "it has none: remove 'with'")
