"""Which images a Dockerfile names: everything that BuildKit's frontend would look up by name in the engine."""

import pytest

from runner.builds.dockerfile import BaseImage, images_of, is_official, separates


def names(text: str, target: str = "", **args: str) -> list[str]:
    return sorted(image.name for image in images_of(text, args, target).images)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM busybox", ["busybox"]),
        ("from  busybox:1  as x\n", ["busybox:1"]),
        ("\ufeffFROM a\r\nRUN x\r\n", ["a"]),
        ("FROM --platform=linux/arm64 a AS b\nFROM b", ["a"]),
        ("ARG V=1\nFROM a:$V", ["a:1"]),
        ("ARG V=1 W=2\nFROM a:${V}.${W}", ["a:1.2"]),
        ('ARG V="1"\nFROM \'a\':"${V}"', ["a:1"]),
        ("ARG V\nFROM a:${V:-3}", ["a:3"]),
        ("ARG V\nARG W=4\nFROM a:${V:-$W}", ["a:4"]),
        ("ARG V=\nFROM a:${V-3}b", ["a:b"]),
        ("ARG V=1\nFROM a${V:+:x}", ["a:x"]),
        ("ARG A=1\nARG B=${A}2\nFROM a:$B", ["a:12"]),
        ("FROM a\nCOPY --from=b /x /y", ["a", "b"]),
        ("FROM a\nCOPY --chown=1 --from=b:2 /x /y", ["a", "b:2"]),
        ("FROM a\nRUN --mount=type=bind,from=b,target=/b true", ["a", "b"]),
        ('FROM a\nRUN --mount=from=b,target=/b --mount="type=cache,from=c,target=/c" true', ["a", "b", "c"]),
        ("FROM a\nONBUILD COPY --from=b /x /y", ["a", "b"]),
        ("FROM a AS x\nFROM b\nCOPY --from=x / /\nCOPY --from=0 / /", ["a", "b"]),
        ("FROM a AS x\nFROM b AS X2\nFROM X2\nCOPY --from=X / /", ["a", "b"]),
        ("FROM a \\\n  AS x\nFROM \\\n# a comment\n\n  b", ["b"]),
        ("# escape=`\nFROM a `\n AS x\nFROM x", ["a"]),
        ("FROM scratch\nCOPY x /", []),
        ("FROM\ta\nCOPY\t--from=b x y", ["a", "b"]),
        ("FR\\\nOM a\nRUN x\nFROM \\\nb", ["b"]),
        ("FROM a\nRUN echo \\\\\nCOPY --from=b x y", ["a", "b"]),
        ("FROM a\nRUN x<<E\nCOPY --from=b x y", ["a", "b"]),
        ("FROM a\nRUN echo 'x <<E'\nCOPY --from=b x y", ["a", "b"]),
        ('FROM a\nRUN echo "x <<E"\nCOPY --from=b x y', ["a", "b"]),
        ("FROM a\nRUN cat << E\nCOPY --from=b x y", ["a", "b"]),
        ('FROM a\nRUN 3<<-"E F"\nCOPY --from=no x y\n\tE F\nCOPY --from=b x y', ["a", "b"]),
        ("FROM a\nRUN <<EOF\nFROM no\nCOPY --from=no x y\nEOF\nCOPY --from=b x y", ["a", "b"]),
        ("FROM a\nCOPY <<-'E1' <<E2 /\nFROM no\n\tE1\nE2\nRUN x\nCOPY --from=b x y", ["a", "b"]),
        ("FROM a\n  # a comment\n  copy --FROM=b x y", ["a", "b"]),
        ("FROM a@sha256:0", ["a@sha256:0"]),
        ("FROM a\nRUN cat <<< 'EOF'\nCOPY --from=b x y", ["a", "b"]),
        ("FROM python AS python\nRUN x\nFROM python", ["python"]),
        ("", []),
    ],
)
def test_images_are_found_wherever_a_dockerfile_names_them(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def test_build_arguments_replace_defaults_of_declared_arguments_only() -> None:
    assert names("ARG V=1\nFROM a:$V", V="9") == ["a:9"]
    assert images_of("FROM a:${V}x", {"V": "9"}).images[0].name == "a:x"


def test_only_stages_that_the_target_needs_count() -> None:
    text = "FROM a AS one\nFROM b AS two\nFROM c\nCOPY --from=one / /"
    assert names(text) == ["a", "c"]
    assert names(text, "two") == ["b"]
    assert names(text, "0") == ["a"]


def test_what_only_the_frontend_knows_is_unclear() -> None:
    found = images_of("ARG V=ab\nFROM x-$TARGETARCH\nCOPY --from=y:${V#a} / /", {})
    assert found.images == ()
    assert found.unclear == ("x-$TARGETARCH", "y:${V#a}")


def test_a_platform_is_kept() -> None:
    assert images_of("FROM --platform=$BUILDPLATFORM a", {}).images == (BaseImage("a", "$BUILDPLATFORM"),)


@pytest.mark.parametrize(
    ("text", "syntax"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a", "docker/dockerfile:1"),
        ("#syntax = evil/frontend:1 option\nFROM a", "evil/frontend:1"),
        ("#!/usr/bin/env x\n# escape=`\n# SYNTAX=e\nFROM a", "e"),
        ("// syntax=e\n", "e"),
        ('{"syntax": "e", "a": 1}', "e"),
        ("\n# syntax=no\nFROM a", ""),
        ("FROM a\n# syntax=no", ""),
        ("# a comment\n# syntax=no\nFROM a", ""),
    ],
)
def test_the_frontend_is_found_as_buildkit_finds_it(text: str, syntax: str) -> None:
    assert images_of(text, {}).syntax == syntax
    assert images_of(text, {"BUILDKIT_SYNTAX": "f:1 x"}).syntax == "f:1"


def test_cache_mounts_are_found() -> None:
    assert images_of("FROM a\nRUN --mount=type=cache,target=/x y", {}).caches
    assert images_of("FROM a\nRUN \\\n  --mount=target=/x,type=cache y", {}).caches
    assert not images_of("FROM a\nRUN --mount=type=bind,target=/x y", {}).caches


@pytest.mark.parametrize(
    ("syntax", "official", "new"),
    [
        ("", True, True),
        ("docker/dockerfile", True, True),
        ("docker/dockerfile:1", True, True),
        ("docker.io/docker/dockerfile:1.7", True, True),
        ("docker/dockerfile:1.4.3", True, True),
        ("docker/dockerfile:1.10-labs", True, True),
        ("docker/dockerfile-upstream:master", True, True),
        ("docker/dockerfile:1.3", True, False),
        ("docker/dockerfile:experimental", True, False),
        ("docker/dockerfile:1.0-experimental", True, False),
        ("evil/docker/dockerfile:1", False, False),
        ("docker/dockerfile2:1", False, False),
        ("registry.test/docker/dockerfile:1", False, False),
    ],
)
def test_which_frontends_keep_repositories_apart(syntax: str, official: bool, new: bool) -> None:
    assert (is_official(syntax), separates(syntax)) == (official, new)
