"""What counts as Headway's own among what the engine lists."""

import pytest

from runner.cleanup.leftovers import whole_number
from runner.docker.containers.specs import container_name, is_named_by_headway, job_labels

LABELS = job_labels("0b1e1402-7", 2)


def test_the_name_of_a_container_belongs_to_its_labels() -> None:
    first, second = container_name(LABELS), container_name(LABELS)
    assert first.startswith("headway-0b1e1402-7-2-")
    assert first != second
    for name in (first, container_name({"headway.job": "é/ x"}), container_name({"headway.job": "a"})):
        assert name.isascii()
        assert " " not in name
    assert is_named_by_headway({"Labels": LABELS, "Names": ["/other/alias", f"/{first}"]})
    assert is_named_by_headway({"Labels": {"headway.job": "é"}, "Names": [container_name({"headway.job": "é"})]})
    assert container_name({}) == container_name({"headway.attempt": "1"}) == ""


@pytest.mark.parametrize("names", [None, [], ["/happy_euler"], ["/headway-0b1e1402-7-2"], ["/headway-0b1e1402-7-3-aa"]])
def test_labels_alone_do_not_make_a_container_ours(names: list[str] | None) -> None:
    assert not is_named_by_headway({"Labels": LABELS, "Names": names})


@pytest.mark.parametrize("labels", [None, {}, {"headway.attempt": "1"}, {"headway.job": ""}])
def test_a_name_alone_does_not_either(labels: dict[str, str] | None) -> None:
    assert not is_named_by_headway({"Labels": labels, "Names": ["/headway--1-aa", "/headway-1-aa"]})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0), ("7", 7), ("9" * 18, 10**18 - 1), ("9" * 19, None), ("9" * 5000, None), ("", None), ("²", None),
        ("٣", None), ("-1", None), ("+1", None), ("1\n", None), (" 1", None), ("1_0", None), ("1.0", None),
    ],
)  # fmt: skip
def test_only_what_a_database_can_hold_is_a_number(text: str, number: int | None) -> None:
    assert whole_number(text) == number
