"""Texts with expressions that a shell reads in double quotes: it must run nothing of them."""

from pathlib import Path

import pytest

from tests.pipelines.importers.github.test_github import of_steps
from tests.support.imported_commands import output_of
from tests.support.pipelines import SHA, push

NASTY = '$(touch /tmp/x) `id` " \\ $HOME'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"{NASTY}${{{{ env.A }}}}", f"{NASTY}a"),
        (f"${{{{ '{NASTY}' }}}}${{{{ env.A }}}}", f"{NASTY}a"),
        (f"${{{{ format('{NASTY}{{0}}{{1}}', env.A, '`') }}}}", f"{NASTY}a`"),
        (f"${{{{ env.A && format('{NASTY}{{0}}', env.A) }}}}", f"{NASTY}a"),
        (f"${{{{ env.A && '{NASTY}' || 'no' }}}}", NASTY),
        (f"${{{{ github.sha }}}}{NASTY}${{{{ env.A }}}}", f"{SHA}{NASTY}a"),
    ],
)
@pytest.mark.parametrize("more", ["", "- run: 'true'\n"])
def test_nothing_of_a_variable_runs(text: str, value: str, more: str) -> None:
    quoted = text.replace("'", "''")
    found = of_steps(f"{more}- run: printf %s \"$V\"\n  env: {{V: '{quoted}'}}", "env: {A: a}")
    assert found.remarks == []
    assert output_of(found, push()) == value


def test_nothing_of_an_output_runs(tmp_path: Path) -> None:
    found = of_steps("- {id: s, run: 'true'}", f"outputs: {{v: '{NASTY}${{{{ github.sha }}}}${{{{ ''`'' }}}}'}}")
    assert output_of(found, push(), CI_WORKSPACE=str(tmp_path)) == ""
    assert (tmp_path / ".outputs/t").read_text() == f"v={NASTY}{SHA}`\n"
