"""Which images a Dockerfile names: everything that BuildKit's frontend would look up by name in the engine."""

from time import monotonic

import pytest

from runner.builds.dockerfile import BaseImage, images_of, is_official, separates
from runner.builds.resolved import resolved_add, resolved_image, step_in_line
from runner.builds.shell_words import NESTED_COUNT_MAX
from runner.errors import StepError
from tests.support.deceptions import DECEPTIONS


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


@pytest.mark.parametrize("text", DECEPTIONS)
def test_no_spelling_hides_an_image(text: str) -> None:
    found = images_of(text.format("headway/build:k", "/build:k"), {})
    assert "headway/build:k" in {image.name for image in found.images} or found.unclear


def test_versions_of_buildkit_differ_in_documents() -> None:
    """A document of one version is instructions to another: then the images of both count."""
    assert names("FROM a\nRUN cat << 'RUN x'\nCOPY --from=b x y\nRUN x") == ["a", "b"]
    assert names("FROM a\nRUN <<'RUN x'\nCOPY --from=b x y\nRUN x") == ["a", "b"], "Docker 20.10 knows no documents"
    assert names("FROM a\nRUN <<E\nCOPY --from=b x y\nE") == ["a"], "E is an error to the others"
    assert names("#x=y\n# escape=`\nFROM a\nRUN x \\\nCOPY --from=b x y") == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "unclear"),
    [
        ("ARG V=ab\nFROM ${V#?}", "${V#?}"), ("ARG V=ab\nFROM ${V%*}", "${V%*}"),
        ("ARG V=ab\nFROM ${V/a*/x}", "${V/a*/x}"),
        ("ARG V=ab\nFROM ${V//a/\\$x}", "${V//a/\\$x}"), ("FROM ${V", "${V"),
        ("FROM ${V^a}", "${V^a}"), ("FROM 'a", "$'a"),
        ("ARG http_proxy=a\nFROM $http_proxy", "$http_proxy"),
        ("ARG BUILDKIT_SYNTAX=a\nFROM $BUILDKIT_SYNTAX", "$BUILDKIT_SYNTAX"),
        ("ARG A=$TARGETX\nFROM $A", "$A"), ("FROM ${V?no}", "${V?no}"), ("FROM \u00e4", "$'\\xe4'"),
    ],
)  # fmt: skip
def test_a_name_that_only_buildkit_can_tell_is_unclear(text: str, unclear: str) -> None:
    found = images_of(text, {})
    assert (found.images, found.unclear) == ((), (unclear,))


@pytest.mark.parametrize(
    ("word", "image"),
    [("${V#x}", "xya"), ("${V##xx}", "ya"), ("${V%a}", "xxy"), ("${V%%b}", "xxya"), ("${V/x/z}", "zxya"),
     ("${V//x/z}", "zzya"),
     ("${V/x/}", "xya"), ("${V+b}", "b"), ("${V:?no}", "xxya"), ("x${NONE}y", "xy"), ("\\a$V", "axxya")],
)  # fmt: skip
def test_operators_of_variables_are_evaluated(word: str, image: str) -> None:
    assert names(f"ARG V=xxya\nFROM {word}") == [image]


def test_a_platforms_argument_that_is_given_counts_where_it_is_declared() -> None:
    known = {"TARGETARCH": "amd64"}
    given = {"TARGETARCH": "mine"}
    assert images_of("ARG TARGETARCH\nFROM a-$TARGETARCH", {}, predefined=known).images[0].name == "a-amd64"
    assert images_of("ARG TARGETARCH\nFROM a-$TARGETARCH", given, predefined=known).images[0].name == "a-mine"
    assert images_of("FROM a-$TARGETARCH", given, predefined=known).unclear == ("a-$TARGETARCH",)


@pytest.mark.slow
def test_a_dockerfile_that_is_hard_to_read_is_read_in_a_short_time() -> None:
    begun = monotonic()
    for hard in ("RUN " + "<<a " * 24_000, "RUN x<<\n" * 10_000,
                 "RUN \\\n" + "x\\\n" * 30_000,
                 "RUN << ${a:-b} " + "<a${b}" * 15_000, "RUN " + "--mount=a " * 9_000):  # fmt: skip
        assert names(f"FROM a\n{hard}\n") == ["a"]
    assert monotonic() - begun < 20


@pytest.mark.parametrize("text", ["FROM {0}", "FROM a\nRUN {0} <<E\nx\nE"])
def test_variables_are_nested_up_to_a_limit(text: str) -> None:
    def nested(count: int) -> str:
        return text.format("${a:-" * count + "a" + "}" * count)

    assert names(nested(NESTED_COUNT_MAX)) == ["a"]
    with pytest.raises(StepError, match="more than 50 variables inside each other; write it with fewer"):
        names(nested(NESTED_COUNT_MAX + 1))


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


@pytest.mark.parametrize(
    ("step", "image"),
    [
        ("[internal] load metadata for docker.io/library/busybox:latest", "docker.io/library/busybox:latest"),
        ("[linux/arm64 internal] load metadata for r.test/a@sha256:0", "r.test/a@sha256:0"),
        ("[context busybox] load metadata for docker.io/headway/build:k", "docker.io/headway/build:k"),
        ("resolve image config for docker-image://docker.io/docker/dockerfile:1", "docker.io/docker/dockerfile:1"),
        ("resolve image config for docker.io/docker/dockerfile:1", "docker.io/docker/dockerfile:1"),
        ("[internal] load build definition from Dockerfile", ""),
        ("[2/2] RUN echo ] load metadata for x", ""),
    ],
)
def test_the_images_that_buildkit_looks_up_are_told_by_its_steps(step: str, image: str) -> None:
    assert resolved_image(step) == image
    assert resolved_image(step_in_line(f"#12 {step}")) == image
    assert resolved_image(step_in_line(f"#12 0.345 {step}")) == "", "the output of an instruction has the time in front"


@pytest.mark.parametrize(
    ("step", "instruction"),
    [
        ("[2/3] ADD http://127.0.0.1/x /y", "ADD http://127.0.0.1/x /y"),
        ("[base 12/13] ADD --checksum=sha256:0 http://a/x /y", "ADD --checksum=sha256:0 http://a/x /y"),
        ("[linux/arm64 base 2/3] ADD x /y", "ADD x /y"),
        ("[2/3] COPY http://127.0.0.1/x /y", ""),
        ("[2/3] RUN echo [2/3] ADD x /y", ""),
        ("[internal] load build context", ""),
    ],
)
def test_an_add_is_told_by_its_step(step: str, instruction: str) -> None:
    assert resolved_add(step) == instruction
    assert resolved_add(step_in_line(f"#3 {step}")) == instruction
    assert resolved_add(step_in_line(f"#3 0.345 {step}")) == ""


def test_cache_mounts_are_found() -> None:
    for mount in ("type=$T,target=/x", 'target=/x,"type=cache"', "TYPE=Cache,target=/x", "ty\\pe=cache,target=/x"):
        assert images_of(f"FROM a\nRUN\t--mount={mount} y", {}).caches, mount
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
