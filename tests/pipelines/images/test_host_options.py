"""Which options of builds reach the host: each key of the language is decided, and each way to write it."""

import pytest

from pipelines.images.host_options import build_keys, foreign_frontend, kinds_of_cache
from pipelines.model.workflow import Build
from pipelines.plan import BuildStep

NEED_TRUST = {"network", "ssh", "args", "cache_from", "cache_to", "dockerfile_inline"}
HARMLESS = {"context", "dockerfile", "target", "secrets", "labels", "platforms", "no_cache", "pull"}


def needed(**keys: object) -> dict[str, str]:
    return dict(build_keys(BuildStep.model_validate({"number": 1, "name": "build", **keys})))


def test_every_key_of_a_build_is_decided() -> None:
    assert set(Build.model_fields) == NEED_TRUST | HARMLESS
    assert not NEED_TRUST & HARMLESS


@pytest.mark.parametrize("network", ["", "default", "none"])
def test_the_usual_networks_need_no_trust(network: str) -> None:
    assert needed(network=network) == {}


@pytest.mark.parametrize("network", ["host", "Host", "HOST", " host", "container:abc", "bridge", "headway", "sandbox"])
def test_any_other_network_needs_trust(network: str) -> None:
    assert needed(network=network) == {"network": "network"}


def test_the_ssh_agent_needs_trust_of_its_own() -> None:
    assert needed(ssh=("default",)) == {"ssh": "ssh"}


@pytest.mark.parametrize(
    "name",
    [
        "BUILDKIT_SYNTAX",
        "buildkit_syntax",
        " BUILDKIT_SYNTAX",
        "BUILDKIT_SYNTAX=evil/frontend #",
        "BUILDKIT_CACHE_MOUNT_NS",
        "BUILDKIT_CACHE_MOUNT_NS=other",
        "BUILDKIT_INLINE_CACHE=1 ",
        "BUILDKIT_NEW_ONE",
    ],
)
def test_an_argument_that_buildkit_itself_reads_needs_trust(name: str) -> None:
    assert needed(args={name: "evil/frontend"}) == {"args": "security"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VERSION", "1"),
        ("BUILDKIT_INLINE_CACHE", "1"),
        ("BUILDKIT_SYNTAX", "docker/dockerfile:1.7"),
        ("SOURCE_DATE_EPOCH", "0"),
        ("MY_BUILDKIT_SYNTAX", "x"),
    ],
)
def test_other_arguments_need_none(name: str, value: str) -> None:
    assert needed(args={name: value}) == {}


@pytest.mark.parametrize("key", ["cache_from", "cache_to"])
@pytest.mark.parametrize(
    "entry",
    [
        "type=gha",
        "type=s3,bucket=b",
        "type=azblob,name=n",
        "type=local,src=/etc",
        "TYPE=local,src=/etc",
        "type=Local,src=/etc",
        " type = local,src=/etc",
        '"type=local",src=/etc',
        "type=registry,ref=a,type=local,src=/etc",
        "type=registry,ref=a\ntype=local",
        "src=/etc",
        "",
        'type=registry,"ref',
        "type=oci-layout",
    ],
)
def test_a_cache_of_any_kind_but_registry_and_inline_needs_trust(key: str, entry: str) -> None:
    assert needed(**{key: (entry,)}) == {key: "network"}


@pytest.mark.parametrize("entry", ["type=registry,ref=r.test/app:cache", "type=inline", "r.test/app:cache"])
def test_a_cache_in_a_registry_or_in_the_image_needs_none(entry: str) -> None:
    assert needed(cache_from=(entry,), cache_to=(entry,)) == {}


def test_a_cache_may_have_several_kinds() -> None:
    assert kinds_of_cache("type=registry,ref=a,type=local") == {"registry", "local"}


FOREIGN = [
    "# syntax=evil/frontend",
    "#syntax=evil/frontend",
    "# SYNTAX = evil/frontend",
    "// syntax=evil/frontend",
    "\ufeff# syntax=evil/frontend",
    "#!/usr/bin/env build\n# syntax=evil/frontend",
    "# escape=`\n# syntax=evil/frontend",
    "\n\n  # syntax=evil/frontend",
    "# syntax=docker/dockerfile:1\n# syntax=evil/frontend",
    "# syntax=registry.evil/docker/dockerfile:1",
    "# syntax=docker/dockerfile:1 --option",
    "# syntax=docker/dockerfile-evil:1",
    '{"syntax": "evil/frontend"}',
    ' {"Syntax": "evil/frontend"}',
]


@pytest.mark.parametrize("text", FOREIGN)
def test_a_foreign_frontend_is_found_however_it_is_written(text: str) -> None:
    assert foreign_frontend(f"{text}\nFROM busybox\n")
    assert needed(dockerfile_inline=f"{text}\nFROM busybox\n") == {"dockerfile_inline": "security"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FROM busybox",
        "# syntax=docker/dockerfile:1",
        "# syntax=docker.io/docker/dockerfile:1.7-labs",
        "# syntax=docker/dockerfile-upstream:master",
        f"# syntax=docker/dockerfile:1@sha256:{'a' * 64}",
        "# the syntax = what you think",
        "FROM busybox\n# syntax=evil/frontend",
        "FROM busybox\nRUN <<E\n{}\nE",
    ],
)
def test_dockers_own_frontend_and_what_buildkit_ignores_need_no_trust(text: str) -> None:
    assert foreign_frontend(text) == ""
