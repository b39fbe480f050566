"""YAML: values of the 1.2 core schema, merges, places, and limits."""

import math

import pytest

from pipelines.syntax.diagnostics import Diagnostics, Place
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode, core_value, kind_name
from pipelines.syntax.yaml import ALIASES_COUNT_MAX, DEPTH_LEVELS_MAX, parse_yaml
from tests.support.pipelines import of_kind, problems_of

SPLIT = "split the pipeline into several files, in the folder .headway/"
WRITE = "write 'steps:' and the steps below it"


def plain(node: Node | None) -> object:
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [plain(item) for item in node.items]
        case MapNode():
            return {key.text: plain(value) for key, value in node.entries}
        case None:
            return None


def read(text: str) -> tuple[object, list[str]]:
    diagnostics = Diagnostics("x.yml")
    root = parse_yaml(text, diagnostics)
    return plain(root), [str(problem).removeprefix("x.yml:") for problem in diagnostics.problems]


def value(text: str) -> object:
    found, problems = read(text)
    assert problems == []
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("22:22", "22:22"),
        ("1_000", "1_000"),
        ("2026-11-24", "2026-11-24"),
        ("0755", "0755"),
        ("00.5", "00.5"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0x1F", 31),
        ("0o17", 15),
        ("3.10", 3.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("9" * 401, "9" * 401),
    ],
)
def test_plain_text_means_what_yaml_1_2_says(text: str, expected: bool | float | str | None) -> None:
    assert core_value(text) == expected


def test_nan_is_a_number() -> None:
    assert math.isnan(of_kind(float, core_value(".nan")))


def test_quoted_text_is_text() -> None:
    assert value("""[ "12", 'true', "", !!str 5, ! no ]""") == ["12", "true", "", "5", "no"]


def test_a_tag_can_make_quoted_text_a_number() -> None:
    assert value('[!!int "12", !!bool "true", !!null ""]') == [12, True, None]


def test_another_tag_is_refused() -> None:
    assert read("a: !env x")[1] == ["1:4: error: the tag '!env' means nothing here; remove it"]


def test_keys_are_text_whatever_they_look_like() -> None:
    assert value("on: 1\nno: 2\n3.10: 3\n") == {"on": 1, "no": 2, "3.10": 3}


def test_maps_are_merged_and_what_is_written_wins() -> None:
    text = """
    a: &a {x: 1, y: 1}
    b: &b {y: 2, z: 2}
    one: {<<: *a, x: 9}
    both: {<<: [*a, *b], w: 0}
    tagged: {!!merge <<: *b}
    """
    found = of_kind(dict, value(text))
    assert found["one"] == {"x": 9, "y": 1}
    assert found["both"] == {"x": 1, "y": 1, "z": 2, "w": 0}
    assert found["tagged"] == {"y": 2, "z": 2}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert value('{"<<": {a: 1}}') == {"<<": {"a": 1}}


def test_lists_are_spliced_into_lists() -> None:
    text = """
    a: &a [1, 2]
    b: &b [3]
    c: [<<: *a, 9, <<: [*a, *b]]
    """
    assert of_kind(dict, value(text))["c"] == [1, 2, 9, 1, 2, 3]


def test_a_merged_map_stays_a_map_in_a_list() -> None:
    text = """
    a: &a {x: 1}
    b: &b {y: 2}
    c: [<<: *a, <<: [*a, *b]]
    d: {<<: [*a, *b]}
    """
    found = of_kind(dict, value(text))
    assert found["c"] == [{"x": 1}, {"x": 1, "y": 2}]
    assert found["d"] == {"x": 1, "y": 2}


def test_only_maps_can_be_merged() -> None:
    assert read("a: &a text\nb: {<<: *a}\n")[1] == [
        "2:5: error: '<<' merges a map or a list of maps, not a single value; put the anchor at a map"
    ]


def test_a_doubled_key_is_an_error_that_names_both_lines() -> None:
    assert read("a: 1\nb: 2\na: 3\n")[1] == ["3:1: error: the key 'a' is here twice; the first is on line 1"]


def test_a_key_that_is_no_single_value_is_an_error() -> None:
    assert read("? [a]\n: 1\n")[1] == ["1:3: error: a key must be a single value; write a text in front of the ':'"]


def test_an_alias_without_an_anchor_is_an_error() -> None:
    assert "the alias '*x' has no anchor '&x' before it" in read("a: *x")[1][0]


def test_an_alias_inside_its_own_anchor_is_an_error() -> None:
    assert "has no anchor" in read("a: &a [*a]")[1][0]


def test_a_second_document_is_ignored_with_a_warning() -> None:
    found, problems = read("a: 1\n---\nb: 2\n")
    assert found == {"a": 1}
    assert problems[0].startswith("2:1: warning: only the first YAML document of a file counts")


def test_an_empty_text_has_no_node() -> None:
    assert read("") == (None, [])
    assert read("# nothing but words\n") == (None, [])


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("a: b: c", "1:5", "quote the text if a ': ' belongs to it"),
        ("a:\n\t- b", "2:1", "indent with spaces, not tabs"),
        ('a: "b\nc: d', "1:4", "the quote that opens here is not closed"),
        ("a: [b, c\n", "2:1", ""),
        ("steps:\n  - a\n b: c\n", "3:2", "look at the indentation"),
    ],
)
def test_invalid_yaml_is_reported_with_its_place(text: str, place: str, hint: str) -> None:
    (problem,) = read(text)[1]
    assert problem.startswith(f"{place}: error: this is not YAML: ")
    assert hint in problem


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused_without_recursion(opening: str) -> None:
    (problem,) = read(opening * 100_000)[1]
    assert f"nested deeper than {DEPTH_LEVELS_MAX} levels" in problem


def test_nesting_through_aliases_is_refused() -> None:
    text = "a: &a " + "[" * 30 + "]" * 30 + "\nb: " + "[" * 20 + "*a" + "]" * 20
    assert "with this alias in place" in read(text)[1][0]


def test_too_many_aliases_are_refused() -> None:
    text = "a: &a 1\nb: [" + "*a, " * (ALIASES_COUNT_MAX + 1) + "]"
    assert f"more than {ALIASES_COUNT_MAX} aliases" in read(text)[1][0]


def test_a_bomb_of_aliases_is_refused() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    assert "its aliases counted in full" in read(text)[1][0]


@pytest.mark.stress
def test_too_many_values_are_refused() -> None:
    assert "more than 50000 values" in read("[" + "1," * 60_000 + "]")[1][0]


def test_places_are_lines_and_columns_of_characters() -> None:
    diagnostics = Diagnostics("x.yml")
    root = of_kind(MapNode, parse_yaml("ä: ü\r\n😀: {b: c}\r\n", diagnostics))
    key, inner = root.entries[1]
    assert key.place == Place(2, 1)
    assert of_kind(MapNode, inner).by_key["b"].place == Place(2, 8)
    assert root.key_place("😀") == Place(2, 1)
    assert root.key_place("missing") == root.place


def test_names_of_kinds_of_nodes() -> None:
    assert [kind_name(node) for node in (ScalarNode(Place(1, 1), "x"), ScalarNode(Place(1, 1), "", plain=True))] == [
        "a single value",
        "nothing",
    ]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            b"a: \xff",
            "1:4: error: this is not text in UTF-8: the byte 0xff cannot stand here; save the file as text in UTF-8",
        ),
        (b"a: b\nc: \x00", "2:4: error: the character U+0000 cannot stand in a pipeline file; remove it"),
        (b"a" * 600_000, f"0:0: error: this file has more than the 524,288 bytes of a pipeline file; {SPLIT}"),
        (b"", f"0:0: error: a pipeline file is a map with 'steps', but this is empty; {WRITE}"),
        (b"- a", f"1:1: error: a pipeline file is a map with 'steps', but this is a list; {WRITE}"),
        (b"text", f"1:1: error: a pipeline file is a map with 'steps', but this is a single value; {WRITE}"),
        (b"a: [", None),
    ],
)
def test_a_file_that_is_not_a_pipeline_gets_an_error_message(data: bytes, problem: str | None) -> None:
    found = problems_of(data)
    assert len(found) == 1
    assert problem is None or found == [problem]


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    assert problems_of(b"\xef\xbb\xbfsteps: [{name: a, image: b, commands: c}]") == []


def test_the_yaml_parser_itself_refuses_what_is_not_text() -> None:
    assert read("a: \x00")[1][0].startswith("0:0: error: this is not YAML: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("steps: text", "1:8: error: 'steps': a list or a map of steps is wanted here, not a single value"),
        ("steps: []", "1:8: error: there are no steps; add 'steps' with at least one step"),
        ("when: {}", "1:1: error: there are no steps; add 'steps' with at least one step"),
        ("steps: [text]", "1:9: error: 'steps': a map is wanted here, not a single value"),
        ("steps: [{name: [a], image: i}]", "1:16: error: 'name': a text is wanted here, not a list"),
        (
            "steps: [{image: i, commands: [a, {b: c}]}]",
            "1:34: error: 'commands': a text is wanted here, not a map; put it",
        ),
        ("steps: [{image: i, commands: []}]", "1:30: error: 'commands' is missing or empty in step 1; add a command"),
        (
            "steps: [{image: i, commands: x, detach: perhaps}]",
            "1:41: error: 'detach': true or false is wanted here, not 'per",
        ),
        (
            "steps: [{image: i, commands: x, detach: [yes]}]",
            "1:41: error: 'detach': true or false is wanted here, not a list",
        ),
        (
            "steps: [{image: i, commands: x, failure: retry}]",
            "1:42: error: 'failure': 'retry' is not a valid value",
        ),
        ("steps: [{image: i, settings: text}]", "1:30: error: 'settings': a map is wanted here, not a single value"),
        ("services: {a: {image: i, ready: {port: x}}}", "1:40: error: 'port': a whole number is wanted here, not 'x'"),
        ("services: {a: {image: i, ready: {port: }}}", "1:33: error: 'ready' of service 'a' is not one check"),
        ("services: {a: text}", "1:15: error: 'services': a map is wanted here, not a single value"),
        ("services: {a: {image: i, imge: x}}", "1:26: error: unknown key 'imge' in service 'a'; did you mean 'image'?"),
        ("workspace: {bse: x}", "1:13: error: unknown key 'bse'; did you mean 'base'?"),
        ("concurrency: x", "1:14: error: 'concurrency': a whole number is wanted here, not 'x'"),
        ("when: {branch: [[a]]}", "1:17: error: 'branch': a text is wanted here, not a list"),
        ("clone: {git: {imge: x}}", "1:15: error: unknown key 'imge' in clone step 'git'; did you mean 'image'?"),
    ],
)
def test_a_value_of_the_wrong_kind_is_reported_with_its_place(text: str, problem: str) -> None:
    whole = text if "steps:" in text or text == "when: {}" else f"{text}\nsteps: [{{image: i, commands: x}}]"
    assert problems_of(whole)[0].startswith(problem)


def test_an_image_named_by_an_empty_settings_map_is_a_plugin() -> None:
    assert problems_of("steps: [{image: i, settings: }]") == []


def test_a_matrix_in_a_text_that_is_not_yaml() -> None:
    assert problems_of("matrix: {A: [1]}\nsteps: [") != []
