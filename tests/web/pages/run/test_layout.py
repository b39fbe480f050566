"""Where the nodes of a graph stand, and which lines are drawn."""

from hypothesis import given
from hypothesis import strategies as st

from web.pages.run.layout import Layout, Place, layout_of


def columns(layout: Layout) -> dict[str, int]:
    return {node: place.column for node, place in layout.places.items()}


def test_a_node_stands_behind_all_that_it_needs() -> None:
    layout = layout_of({"deploy": ["unit", "lint"], "unit": ["build"], "lint": [], "build": []})
    assert columns(layout) == {"lint": 0, "build": 0, "unit": 1, "deploy": 2}


def test_lines_that_others_imply_are_left_out() -> None:
    layout = layout_of({"a": [], "b": ["a"], "c": ["a", "b"]})
    assert layout.edges == [("a", "b"), ("b", "c")]


def test_needs_that_are_not_there_are_left_out() -> None:
    layout = layout_of({"a": ["gone"], "b": ["a", "a"]})
    assert layout.edges == [("a", "b")]


def test_a_node_stands_beside_what_it_needs() -> None:
    layout = layout_of({"a": [], "b": [], "c": [], "of-c": ["c"], "of-a": ["a"]})
    assert layout.places["of-a"] == Place(1, 0)
    assert layout.places["of-c"] == Place(1, 2)


def test_no_nodes_have_no_layout() -> None:
    assert layout_of({}) == Layout({}, [])


@given(st.integers(1, 25).flatmap(lambda n: st.lists(st.sets(st.integers(0, n - 1)), min_size=n, max_size=n)))
def test_no_two_nodes_share_a_place(wanted: list[set[int]]) -> None:
    needs = {str(node): [str(each) for each in of_node if each < node] for node, of_node in enumerate(wanted)}
    layout = layout_of(needs)
    assert len(set(layout.places.values())) == len(needs)
    assert all(layout.places[source].column < layout.places[target].column for source, target in layout.edges)
