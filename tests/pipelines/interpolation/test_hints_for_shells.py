"""What a hint advises to write for the shell reaches the shell as the author wrote it first."""

import pytest

from tests.pipelines.interpolation.test_renderer import substitute

ADVICE = "is not a variable here and becomes empty; write "


@pytest.mark.parametrize(
    "written",
    [
        "${x}",
        "${#x}",
        "${x%.*}",
        "${x##*/}",
        "${x//a/b}",
        r"${x//\//-}",
        r"${x/\\/-}",
        "${x:1:2}",
        "${x^^}",
        "${x%${y}}",
    ],
)
def test_a_reference_is_advised_with_its_operator_and_silent_then(written: str) -> None:
    message = substitute(written)[1][0]
    advised = message.partition(ADVICE)[2].removesuffix(" if the shell is to fill it in")
    assert substitute(advised) == (written, [])


@pytest.mark.parametrize("written", ["${x:+y}", r"${x:?a\/b}", "${x:+${y}}"])
def test_an_operator_that_is_not_the_shells_is_advised_likewise(written: str) -> None:
    message = next(each for each in substitute(written)[1] if "is not what it is in a shell" in each)
    assert substitute(message.partition("; write ")[2].removesuffix(" for the shell, or use ':-'")) == (written, [])


def test_a_reference_of_80_characters_is_advised_whole_and_a_longer_one_by_its_name() -> None:
    for count, whole in ((75, True), (76, False)):
        written = "${x%" + "a" * count + "}"
        advised = f"write ${written} if" if whole else "write $${x} if"
        assert advised in substitute(written)[1][0]
