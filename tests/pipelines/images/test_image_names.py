"""Image tags and repositories: their syntax, and the tags of ``auto``."""

import pytest

from pipelines.images.auto_tags import auto_tags
from pipelines.images.image_names import is_repo, is_tag, repo_at, why_no_image, why_no_tag
from pipelines.trigger import Trigger
from tests.support.pipelines import event, push, tag


@pytest.mark.parametrize(
    ("trigger", "tags"),
    [
        (push("main"), ("latest",)),
        (push("dev"), ()),
        (push("release/main"), ()),
        (event("manual"), ("latest",)),
        (tag("v1.2.3"), ("1", "1.2", "1.2.3")),
        (tag("1.2.3"), ("1", "1.2", "1.2.3")),
        (tag("v1.2"), ("1", "1.2", "1.2.0")),
        (tag("v1"), ("1", "1.0", "1.0.0")),
        (tag("v0.4.2"), ("0.4", "0.4.2")),
        (tag("v1.2.3-rc.1"), ("1.2.3-rc.1",)),
        (tag("v1.2.3+build.5"), ("1.2.3-build.5",)),
        (tag("vv1.2.3"), ("latest",)),
        (tag("nightly"), ("latest",)),
        (tag("v1.02.3"), ("latest",)),
    ],
)
def test_the_rule_auto(trigger: Trigger, tags: tuple[str, ...]) -> None:
    assert auto_tags(trigger, "main") == tags


@pytest.mark.parametrize("name", ["latest", "1.2.3", "_a", "A-b.C", "x" * 128])
def test_good_tags(name: str) -> None:
    assert is_tag(name)
    assert why_no_tag(name) == ""


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "it is empty"),
        ("-a", "it begins with '-'; a tag begins with a letter, a digit or '_'"),
        (".a", "it begins with '.'"),
        ("a/b", "it has a '/'; a tag has letters, digits, '_', '.' and '-' alone"),
        ("a:b", "it has a ':'"),
        ("a b", "it has a ' '"),
        ("ä", r"it has a '\xe4'"),
        ("x" * 129, "it has 129 characters; a tag has at most 128"),
        ("a\n", r"it has a '\n'"),
    ],
)
def test_bad_tags(name: str, rule: str) -> None:
    assert not is_tag(name)
    assert why_no_tag(name).startswith(rule)


@pytest.mark.parametrize(
    "name",
    [
        "app",
        "me/app",
        "localhost:5000/app",
        "r.example.org/a/b/c",
        "R.Example.org/a",
        "a__b/c-d.e",
        "[::1]:5000/app",
        "a--b",
    ],
)
def test_good_repositories(name: str) -> None:
    assert is_repo(name)


@pytest.mark.parametrize(
    "name", ["", "App", "a/App", "a:tag", "a//b", "/a", "a/", "a b", "-a", "a" * 256, "https://x/a", "a\n"]
)
def test_bad_repositories(name: str) -> None:
    assert not is_repo(name)


@pytest.mark.parametrize(
    ("registry", "repo", "result"),
    [
        ("", "a/b", "a/b"),
        ("r.example.org", "a/b", "r.example.org/a/b"),
        ("http://r.example.org:5000/v2/", "a/b", "r.example.org:5000/a/b"),
        ("r.example.org", "r.example.org/a/b", "r.example.org/a/b"),
        ("https://index.docker.io/v1/", "a/b", "a/b"),
        ("r.example.org/group", "app", "r.example.org/group/app"),
        ("https://r.example.org:5000/group/sub/", "app", "r.example.org:5000/group/sub/app"),
        ("r.example.org/group", "group/app", "r.example.org/group/app"),
        ("r.example.org/group", "r.example.org/other/app", "r.example.org/other/app"),
        ("r.example.org", "localhost:5000/app", "localhost:5000/app"),
        ("r.example.org", "localhost/app", "localhost/app"),
        ("r.example.org", "app.web", "r.example.org/app.web"),
        ("localhost:5000/v2", "app", "localhost:5000/app"),
        ("docker.io/group", "app", "group/app"),
        ("docker.io/group", "group/app", "group/app"),
    ],
)
def test_a_repository_at_a_registry(registry: str, repo: str, result: str) -> None:
    assert repo_at(registry, repo) == result


HEX = "0123456789abcdef"


@pytest.mark.parametrize(
    "name",
    [
        "x", "x:1", "a/b/c:v1.2", "localhost:5000/a", "registry.example.org:5000/a/b:1", "[::1]:5000/a:1", "Host/a:1",
        f"x@sha256:{HEX * 4}", f"x:1@sha256:{HEX * 4}", f"x@sha256:{HEX * 2}", f"sha256:{HEX * 4}", "a__b/c-d.e",
    ],
)  # fmt: skip
def test_good_images(name: str) -> None:
    assert why_no_image(name) == ""


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("x:", "as a tag, '' is wrong: it is empty"),
        ("x:-1", "as a tag, '-1' is wrong: it begins with '-'"),
        ("a/b:" + "x" * 129, "as a tag, 'x"),
        ("UPPER/x:1", ""),
        ("a/Upper:1", "its letters must be small"),
        ("a b:1", "'a b' is no name of a repository"),
        ("-x", "'-x' is no name of a repository"),
        ("a//b", "'a//b' is no name of a repository"),
        ("/a", "'/a' is no name of a repository"),
        (":1", "'' is no name of a repository"),
        ("https://x/y:1", "it is an address"),
        (f"x@sha256:{(HEX * 2)[1:]}", "what follows the '@' is no digest"),
        ("x@", "what follows the '@' is no digest"),
        ("x@latest", "what follows the '@' is no digest"),
        ("x" * 256, "'xxx"),
    ],
)
def test_bad_images(name: str, rule: str) -> None:
    why = why_no_image(name)
    assert why.startswith(rule)
    assert bool(why) is bool(rule)
