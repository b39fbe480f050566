"""The settings of Woodpecker's clone plugin: what they do, or that they do nothing."""

import pytest

from pipelines.plan import Checkout
from tests.support.pipelines import job_of, problems_of, push, tag

STEPS = "steps:\n  - name: a\n    image: busybox:1\n    commands: [echo]\n"


def with_settings(settings: str) -> str:
    return f"clone:\n  git:\n    image: woodpeckerci/plugin-git\n    settings:\n      {settings}\n{STEPS}"


@pytest.mark.parametrize(
    ("settings", "checkout"),
    [
        ("depth: 0", Checkout(depth=0)),
        ("submodule_update_remote: true", Checkout(submodules_newest=True)),
        ("submodule_override: {lib: https://x.example/lib}", Checkout(submodule_urls={"lib": "https://x.example/lib"})),
        ("lfs: true", Checkout(lfs=True)),
        ("partial: true", Checkout()),
    ],
)
def test_what_they_do(settings: str, checkout: Checkout) -> None:
    assert job_of(with_settings(settings)).checkout == checkout
    assert problems_of(with_settings(settings)) == []


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("branch: dev", "the run's commit is checked out, without a branch"),
        ("path: src", "`workspace` (base and path) of the workflow"),
        ("sha: abc", "the run's commit is checked out"),
        ("ref: refs/heads/x", "the run's commit is checked out"),
        ("remote: https://x.example/y", "clone another repository in a step"),
        ("skip_verify: true", "HEADWAY_CA_FILE"),
        ("custom_ssl_url: x", "HEADWAY_CA_FILE"),
        ("ssh_key: x", "the worker's own SSH key"),
        ("recursiv: true", "did you mean 'recursive'?"),
    ],
)
def test_what_does_nothing_says_so(setting: str, hint: str) -> None:
    (said,) = problems_of(with_settings(setting))
    assert f"the setting '{setting.partition(':')[0]}' of the checkout has no effect; " in said
    assert hint in said


@pytest.mark.parametrize("value", ["lib", "[lib]", "{lib: [x]}", "{lib: 5}"])
def test_addresses_of_submodules_are_a_map(value: str) -> None:
    (said,) = problems_of(with_settings(f"submodule_override: {value}"))
    assert "'submodule_override' is a map of the names of submodules to addresses; write NAME: https://..." in said


@pytest.mark.parametrize(
    ("path", "text", "lfs"),
    [
        (".woodpecker.yml", STEPS, True),
        (".woodpecker/a.yml", with_settings("depth: 1"), True),
        (".woodpecker.yml", with_settings("lfs: false"), False),
        (".headway.yml", STEPS, False),
        (".headway.yml", with_settings("depth: 1"), False),
    ],
)
def test_large_files_come_by_themselves_where_the_file_is_woodpeckers(path: str, text: str, lfs: bool) -> None:
    assert job_of(text, path=path).checkout == Checkout(lfs=lfs)


def test_the_run_of_a_tag_has_it_in_its_checkout() -> None:
    assert job_of(STEPS, tag("v1.2")).checkout == Checkout(tag="v1.2")
    assert job_of(STEPS, push()).checkout == Checkout()
