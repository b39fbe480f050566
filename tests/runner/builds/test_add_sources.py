"""What variables make of the sources of ADD."""

import pytest

from runner.builds.add_sources import EXPANDED_CHARS_MAX, Base, Variables, add_sources, added_files
from runner.builds.dockerfile import platform_arguments
from runner.builds.variables import VALUE_CHARS_MAX

BASE = Base({"B": "h", "BOTH": "base"}, ("ENV T=h",))


def hosts(text: str, *, args: dict[str, str] | None = None, base: Base | None = BASE) -> list[str]:
    bases = {("a", ""): base} if base else {}
    return [file.host for file in added_files(text, Variables(args or {}, {"TARGETARCH": "h"}, bases))]


@pytest.mark.parametrize(
    "text",
    [
        'ENV U=http://h\nADD "$U:1/hf" /z', "ENV U=h\nADD http://$U:18999/x /z", "ENV U=xhttp://h/\nADD ${U#x} /z",
        "ENV U=http://hqb\nADD ${U//q/.}/x /z", "ENV U=1\nADD ${U:+http://h/} /z", "ADD ${U:-http://h/} /z",
        "ENV A=http: B=//h\nADD $A$B/x /z", "ENV A=h B=/x.git\nADD $A$B /z", "ENV A=git@h\nADD $A:x /z",
        "ENV A http://h/x y\nADD $A /z", "ENV A=h\nENV B=http://$A\nADD $B/x /z",
        "ENV A=A\nENV $A=h\nADD http://$A/ /z",
        "ENV A=h\nENV A=x B=http://$A/\nADD $B$A /z", "ARG A=h\nADD http://$A/ /z",
        "ENV A=x\nARG A=h\nADD //$A/x.git /z",
        "ARG A=x\nENV A=h\nADD http://$A/ /z", "ARG G\nADD http://$G/ /z", "ARG G=x\nADD http://$G/ /z",
        "ARG TARGETARCH\nADD http://$TARGETARCH/ /z", "ADD http://$B/ /z", "ARG M\nADD http://$M/ /z",
        "ADD http://$T/ /z", 'ENV A=h\nADD ["http://$A/", "/z"]', "ENV A=h\nADD ht\\tp'://'$A/ /z",
        "ENV A=h\nFROM first\nADD http://$A/ /z", "ARG A=h\nFROM FIRST\nADD http://$A/ /z",
        "ENV A=h\nARG A=x\nFROM first\nADD http://$A/ /z", "ENV A=h\nONBUILD ADD http://$A/ /z\nFROM first",
        "ENV A=x\nADD --chown=1:1 a http://h/$A /z", "ENV A=h\\\nb\nADD http://${A%b}/ /z",
        "ADD http://$B/$BOTH b $NONE", "ENV A='h' C=\"/\"\nADD http://$A$C /z", "ENV A=h \nADD http://$A/ $A /z",
    ],
)  # fmt: skip
def test_an_address_that_variables_make_is_found(text: str) -> None:
    text = f"ARG M=h\nFROM a AS first\n{text}\n".replace("qb", "")
    assert set(hosts(text, args={"G": "h"})) == {"h"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ENV U=h.q1\nADD http://${U//q/.}/x /z", ["h..1"]), ("ADD $NONE /z", []), ("ADD ./$B /z", []),
        ("ADD $BOTH.jar /z", []), ("ADD a $B /z", []), ("ADD a http://$B/", []), ("ADD '$B' /z", []),
        ("ADD \\$B/x.git /z", [""]), ("ARG NONE\nADD x$NONE /z", []), ("ONBUILD ADD http://$B/ /z", []),
        ("ENV A=a/$B.git\nADD ./$A $A /z", ["a"]), ("FROM scratch\nADD $B /z", []),
        ("COPY <<E /x\n$B\nE\nADD $NONE/x /z", []), ("RUN <<E\nADD http://$B/ /z\nE\n", []),
    ],
)  # fmt: skip
def test_what_they_make_otherwise(text: str, expected: list[str]) -> None:
    assert hosts(f"FROM a AS first\n{text}\n") == expected


@pytest.mark.parametrize(
    "text",
    [
        "ADD http://$X/ /z",
        "ADD $X /z",
        "ADD a-$X.jar /z",
        "ENV A=$X\nADD http://$A/ /z",
        "ADD http://h$X/ /z",
        "ENV A=x $X=1\nADD $A /z",
        "ENV A=h\nFROM first\nADD $X /z",
        "FROM $X\nADD $Y /z",
        "FROM b\nADD ${X:+a} /z",
        "ENV A=1\nFROM --platform=linux/other a\nADD $A /z",
        "ONBUILD ADD $X /z\nFROM first",
    ],
)
def test_variables_of_an_unknown_base_image_hide_the_host(text: str) -> None:
    assert hosts(f"FROM unknown AS first\n{text}\n") == [""]


@pytest.mark.parametrize(
    "source",
    [
        "${A#?}", "${A/?/}", "$HTTP_PROXY", "$PATH", "${BUILDKIT_X}", "$SOURCE_DATE_EPOCH", "$TARGETOS", "$L", "$D",
        "$N", "$Q", "$HTTPS_PROXY", "a-${A#?}", '"$PATH"',
    ],
)  # fmt: skip
def test_what_only_buildkit_can_tell_hides_the_host(source: str) -> None:
    long = "x" * (VALUE_CHARS_MAX + 1)
    text = f"FROM a\nENV A=xh L={long}\nARG TARGETOS\nARG D=1 N=$D\nARG D=2 N=$D\nARG 'Q'=1\nARG HTTPS_PROXY=x\n"
    assert hosts(f"{text}ENV D=$L\nADD {source} /z\n") == [""]


def test_a_known_host_is_enough_whatever_follows() -> None:
    for source in ("http://h/$X", "h/$X", "http://h:1/a$X.tgz", '"http://h/$X"'):
        assert hosts(f"FROM unknown\nADD {source} /z\n") == ["h"]
    assert hosts("FROM unknown\nADD ./$X ../$X /z\n") == []


def test_a_download_that_is_known_has_its_checksum() -> None:
    flag = f"--checksum=sha256:{'0' * 64}"
    for source, expected in (("http://h/$B", True), ("http://h/$B.git", False), ("http://h/$PATH", False)):
        (file,) = added_files(f"FROM a\nADD {flag} {source} /z", Variables(bases={("a", ""): BASE}))
        assert file.has_checksum is expected


@pytest.mark.slow
def test_no_dockerfile_takes_long_to_expand() -> None:
    value = "x" * (VALUE_CHARS_MAX - 1)
    text = f"FROM a\nENV A={value}\n" + "ENV B=$A C=$A D=$A\n" * 20_000 + "ADD ./$B $B /z\n"
    assert set(hosts(text)) == {""}
    count = EXPANDED_CHARS_MAX // VALUE_CHARS_MAX // 2
    few = f"FROM a\nENV A={value}\n" + "ENV B=$A\n" * (count - 10) + "ADD $B /z\n"
    assert hosts(few) == []


def test_a_source_keeps_its_spelling_where_it_is_not_known() -> None:
    (source,) = add_sources("FROM unknown\nADD x'$'$X /z", Variables())
    assert (source.written, source.front, source.known) == ("x'$'$X", "x$", False)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("linux/amd64", []), ("linux/arm/v7", []), ("", []), ("linux/arm/1", [""]), ("linux/arm64/v8", [""]),
        ("plan9/amd64", [""]), ("linux/aarch64", [""]),
    ],
)  # fmt: skip
def test_the_platform_is_known_where_buildkit_writes_it_as_it_is_given(target: str, expected: list[str]) -> None:
    arguments = platform_arguments("linux/s390x", target)
    text = "FROM a\nARG TARGETARCH TARGETVARIANT\nARG BUILDARCH\nADD a-$BUILDARCH a-$TARGETARCH$TARGETVARIANT.tgz /z\n"
    assert [file.host for file in added_files(text, Variables(predefined=arguments))] == expected


def test_a_platform_has_its_parts() -> None:
    found = platform_arguments("linux/amd64", "linux/arm/v7")
    assert [found[f"TARGET{name}"] for name in ("PLATFORM", "OS", "ARCH", "VARIANT")] == [
        "linux/arm/v7", "linux", "arm", "v7",
    ]  # fmt: skip
    assert [found[f"BUILD{name}"] for name in ("PLATFORM", "OS", "ARCH", "VARIANT")] == [
        "linux/amd64", "linux", "amd64", "",
    ]  # fmt: skip
