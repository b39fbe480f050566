"""Settings as environment variables, byte for byte as Woodpecker 3.x encodes them."""

import json

import pytest

from pipelines.compiler.plugins.encoding import encode, plugin_environment
from pipelines.model.fields import FromSecret, setting_of
from pipelines.plan import resolve
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.go_text import scalar_text
from pipelines.syntax.nodes import MapNode
from pipelines.syntax.yaml import parse_yaml
from tests.support.pipelines import container_of, of_kind, problems_of, step_of, value_of

SECRETS = {"n": 'se"cret\nüber', "m": "second"}


def encoded(text: str) -> dict[str, str]:
    root = of_kind(MapNode, parse_yaml(text, Diagnostics("x")))
    settings = {key: setting_of(node) for key, node in root.by_key.items()}
    return {name: resolve(value, SECRETS) for name, value in plugin_environment(settings).items()}


@pytest.mark.parametrize("key", ["dry-run", "dry_run", "dry.run", "dry_Run"])
def test_keys_are_in_upper_case_with_underscores(key: str) -> None:
    assert encoded(f"{key}: x") == {"PLUGIN_DRY_RUN": "x"}


def test_camel_case_is_not_split() -> None:
    assert encoded("anInt: 1") == {"PLUGIN_ANINT": "1"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("'12'", "12"),
        ("true", "true"),
        ("True", "true"),
        ("no", "no"),
        ("12", "12"),
        ("-3", "-3"),
        ("0x10", "16"),
        ("1.2", "1.2"),
        ("3.10", "3.1"),
        ("2.0", "2"),
        ("1e6", "1e+06"),
        ("100000.0", "100000"),
        ("123456789.0", "1.23456789e+08"),
        ("1e21", "1e+21"),
        ("1e-7", "1e-07"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("0.0", "0"),
        (".inf", "+Inf"),
        ("-.inf", "-Inf"),
        (".nan", "NaN"),
        ("[a, b]", "a,b"),
        ("[a, null]", "a,"),
        ("[1, true, 1.5]", "1,true,1.5"),
        ("[]", ""),
        ("['a,b', c]", "a,b,c"),
        ("[a, [b]]", '["a",["b"]]'),
        ("[{b: 1, a: x}, 2]", '[{"a":"x","b":1},2]'),
        (
            "{entry2: [a, b, 3], entry1: {z: true, y: null, x: 1.5, w: 2.0}}",
            '{"entry1":{"w":2,"x":1.5,"y":null,"z":true},"entry2":["a","b",3]}',
        ),
        ("{}", "{}"),
        ("{a: .inf}", '{"a":"+Inf"}'),
        ("{from_secret: n}", SECRETS["n"]),
        ("{from_secret: N}", SECRETS["n"]),
        ("[x, {from_secret: n}]", '["x","se\\"cret\\nüber"]'),
        ("{a: [{from_secret: n}], b: {c: {from_secret: m}}}", '{"a":["se\\"cret\\nüber"],"b":{"c":"second"}}'),
    ],
)
def test_values_are_encoded_as_go_does(value: str, expected: str) -> None:
    assert encoded(f"key: {value}") == {"PLUGIN_KEY": expected}


def test_null_values_and_empty_keys_make_no_variable() -> None:
    assert encoded("a: null\nb:\n'': x\nc: ''") == {"PLUGIN_C": ""}


def test_json_with_a_secret_is_json() -> None:
    assert json.loads(encoded("a: [{x: {from_secret: n}}]")["PLUGIN_A"]) == [{"x": SECRETS["n"]}]


def test_adjacent_texts_are_one_part() -> None:
    assert len(encode([{"a": 1}, FromSecret("n"), 2])) == 3


def test_an_unknown_secret_has_its_name_in_the_error() -> None:
    with pytest.raises(KeyError, match="gone"):
        resolve(encode(FromSecret("gone")), {})


def test_scalars_are_formatted_as_go_does() -> None:
    assert [scalar_text(value) for value in (None, True, False, 7, "x")] == ["", "true", "false", "7", "x"]


def test_a_number_whose_format_changes_gets_a_warning() -> None:
    text = "steps: [{image: i, settings: {version: 3.10, list: [1.0], map: {a: 0x10}, ok: [1.5, 'x', true]}}]"
    assert [problem.split(";")[0] for problem in problems_of(text)] == [
        "1:40: warning: 3.10 is a number here and reaches the plugin as 3.1",
        "1:53: warning: 1.0 is a number here and reaches the plugin as 1",
        "1:68: warning: 0x10 is a number here and reaches the plugin as 16",
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{from_secret: [a]}", "'from_secret' names a secret, as a text"),
        ("{from_secret: null}", "'from_secret' names a secret, as a text"),
        ("{from_secret: a, b: c}", "beside 'from_secret' nothing else can be given, but here is 'b'"),
    ],
)
def test_a_secret_is_named_by_a_text_alone(value: str, message: str) -> None:
    (problem,) = problems_of(f"steps: [{{image: i, settings: {{a: [{value}]}}}}]")
    assert message in problem


def test_a_text_of_many_lines_stays_as_it_is() -> None:
    step = step_of("steps:\n  - image: i\n    settings:\n      script: |\n        a\n        b\n")
    assert value_of(container_of(step), "PLUGIN_SCRIPT") == "a\nb\n"
