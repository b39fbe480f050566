"""Values that only a shell knows, where no shell puts them in."""

import pytest

from pipelines.importers.github.expressions.quoting import expressions_as_they_are
from tests.pipelines.importers.github.test_github import of_steps

AS_IT_IS = "nothing puts in the value of 'env.A' "
HINT = " here; give it as a variable in 'env', and read that"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a '${{ x }}'", [" x "]),
        ("a '' ${{ x }}", []),
        ("a \"'${{ x }}'\"", []),
        ("a 'b\n${{ x }}'\n${{ y }}", [" x "]),
        ("a \\'${{ x }}", []),
        ("a '\\' ${{ x }}", []),
        ("a '\"' ${{ x }} '#' ${{ y }}", []),
        ("# don't\na ${{ x }}", []),
        ("a # don't\na ${{ x }}", []),
        ("a#'${{ x }}'", [" x "]),
        ("cat <<'E'\n${{ x }}\nE\n${{ y }}", [" x "]),
        ("cat <<-\\E\n\t${{ x }}\n\tE\n${{ y }}", [" x "]),
        ("cat <<E\n'${{ x }}\nE\n${{ y }}", []),
        ("echo '<<E'\n${{ x }}", []),
        ("echo '\n<<E\n'\n'${{ x }}'", [" x "]),
    ],
)
def test_where_a_shell_replaces_nothing(text: str, found: list[str]) -> None:
    assert list(expressions_as_they_are(text)) == found


@pytest.mark.parametrize(
    ("run", "where"),
    [
        ("{run: \"echo '${{ env.A }}'\"}", "in single quotes"),
        ("{run: \"print('${{ env.A }}')\", shell: python}", "in a script of python3"),
        ("{run: \"echo '${{ github.sha }}' ${{ env.A }}\"}", ""),
        ("{run: \"print('${{ github.sha }}')\", shell: python}", ""),
        ("{run: \"[[ '${{ env.A }}' ]]\"}", "in single quotes"),
    ],
)
def test_a_value_that_is_not_put_in_has_a_remark(run: str, where: str) -> None:
    found = of_steps(f"- {run}", "env: {A: x}")
    assert [each.partition("warning: ")[2] for each in found.remarks] == [f"{AS_IT_IS}{where}{HINT}"] * bool(where)
