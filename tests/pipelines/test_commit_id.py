"""The ids of commits, in full and abbreviated."""

import pytest

from pipelines.commit_id import is_full_id, is_id, object_format


@pytest.mark.parametrize("digits", [40, 64])
def test_an_id_in_full_has_40_or_64_digits(digits: int) -> None:
    assert is_full_id("a" * digits)
    assert is_id("a" * digits)
    assert not is_full_id("a" * (digits - 1))
    assert not is_full_id("a" * (digits + 1))


def test_an_abbreviated_id_has_at_least_7_digits() -> None:
    assert is_id("a" * 7)
    assert not is_id("a" * 6)
    assert not is_id("a" * 65)


@pytest.mark.parametrize("wrong", ["", "main", "A" * 40, "g" * 40, "1" * 40 + "\n"])
def test_an_id_is_hex_digits_in_lower_case_and_nothing_else(wrong: str) -> None:
    assert not is_full_id(wrong)
    assert not is_id(wrong)


def test_the_length_of_an_id_tells_the_hash_of_its_repository() -> None:
    assert object_format("a" * 40) == "sha1"
    assert object_format("a" * 64) == "sha256"
