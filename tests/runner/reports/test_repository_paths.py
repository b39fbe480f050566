"""Which file of the repository a name in a report means."""

import pytest

from runner.reports.repository_paths import PATH_CHARACTERS_MAX, RepositoryPaths

WORKSPACE = "/headway/src"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.py", "a.py"),
        ("./p//a.py", "p/a.py"),
        ("p/../a.py", "a.py"),
        ("p\\a.cs", "p/a.cs"),
        ("/headway/src/p/a.py", "p/a.py"),
        ("//headway/src/p/a.py", "p/a.py"),
        ("../a.py", None),
        ("p/../../a.py", None),
        ("../src/a.py", "a.py"),
        ("/headway/src/../a.py", None),
        ("/headway/srcs/a.py", None),
        ("/usr/lib/a.py", None),
        ("C:\\work\\a.cs", None),
        ("c:/work/a.cs", None),
        ("", None),
        (".", None),
        ("/headway/src", None),
        ("a\nb.py", None),
        ("a\tb.py", None),
        ("a\0b.py", None),
    ],
)
def test_names_become_paths_of_the_repository(name: str, path: str | None) -> None:
    assert RepositoryPaths(WORKSPACE, WORKSPACE).of(name) == path
    assert RepositoryPaths(WORKSPACE).of(name) == path


def test_a_name_is_relative_to_where_the_step_starts() -> None:
    paths = RepositoryPaths(WORKSPACE, f"{WORKSPACE}/web")
    assert [paths.of(name) for name in ("src/a.js", "../lib/b.js", "../../c.js")] == ["web/src/a.js", "lib/b.js", None]


def test_where_a_step_starts_in_its_image_stands_for_the_checkout() -> None:
    paths = RepositoryPaths(WORKSPACE, "/app")
    names = ("src/a.js", "/app/src/a.js", "/headway/src/b.js", "../c.js", "/usr/d.js")
    assert [paths.of(name) for name in names] == ["src/a.js", "src/a.js", "b.js", None, None]


def test_not_all_of_an_image_is_of_the_repository() -> None:
    paths = RepositoryPaths(WORKSPACE, "/")
    assert [paths.of(name) for name in ("src/a.js", "/usr/lib/a.js", "/headway/src/b.js")] == ["src/a.js", None, "b.js"]


def test_the_only_source_of_a_report_is_where_its_names_begin() -> None:
    paths = RepositoryPaths(WORKSPACE, WORKSPACE)
    assert paths.of("a.py", ["/headway/src/pkg"]) == "pkg/a.py"
    assert paths.of("a.py", ["pkg"]) == "pkg/a.py"
    assert paths.of("headway/src/A.cs", ["/"]) == "A.cs"
    assert paths.of("a.py", ["/usr/lib"]) is None
    assert paths.of("/headway/src/a.py", ["/usr/lib"]) == "a.py"
    assert paths.of("a.py", ["/headway/src/pkg", "/headway/src/other"]) == "a.py"


def test_a_path_is_as_long_as_the_limit() -> None:
    paths, longest = RepositoryPaths(WORKSPACE), "x" * PATH_CHARACTERS_MAX
    assert paths.of(longest) == longest
    assert paths.of(longest + "x") is None
    assert paths.of(longest[:-2], ["y"]) == f"y/{longest[:-2]}"
    assert paths.of(longest[:-1], ["y"]) is None
