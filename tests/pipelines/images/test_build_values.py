"""What the values of a build may contain, in the pipeline file, in old spellings, and in plans of older versions."""

import pytest

from pipelines.context import PipelineFile
from pipelines.environment.environment_size import WORDS_BYTES_MAX
from pipelines.images.build_values import BUILD_ID_CHARS_MAX, EACH_BYTES, cache_images, wrong_values
from pipelines.linter.linter import lint_files
from pipelines.plan import BuildStep
from tests.support.pipelines import problems_of

BREAKS = ["a\nb", "a\rb", "a\tb", "a\0b", "a\x0bb", "a\x0cb", "a\x85b", "a\u2028b", "a\u2029b", "a\x1bb"]


def wrong(**keys: object) -> list[str]:
    step = BuildStep.model_validate({"number": 1, "name": "build", **keys})
    return [f"{each.key}/{each.part}: {each.message}" for each in wrong_values(step)]


@pytest.mark.parametrize("key", ["context", "dockerfile", "target", "network"])
@pytest.mark.parametrize("value", BREAKS)
def test_a_word_of_the_command_line_is_one_line(key: str, value: str) -> None:
    assert wrong(**{key: value}) == [f"{key}/None: {value!r} under '{key}' has a line break or a control character"]


@pytest.mark.parametrize("name", [*BREAKS, "", "a b", "a,b", 'a"b', "a'b", "a/b", "../a", ".a", "-a", "@a", "ä", "a=b"])
def test_ids_are_plain_words(name: str) -> None:
    assert wrong(secrets={name: "t"})
    assert wrong(ssh=(name,))


def test_an_id_has_a_limit_of_length() -> None:
    at, past = "x" * BUILD_ID_CHARS_MAX, "x" * (BUILD_ID_CHARS_MAX + 1)
    assert wrong(secrets={at: "t"}, ssh=(at,)) == []
    assert [each.partition(":")[0] for each in wrong(secrets={past: "t"}, ssh=(past,))] == [f"secrets/{past}", "ssh/0"]


@pytest.mark.parametrize("name", ["npm_token", "npm-token", "NPM.TOKEN", "_a", "1"])
def test_usual_ids_are_taken(name: str) -> None:
    assert wrong(secrets={name: "t"}, ssh=(name,)) == []


@pytest.mark.parametrize("key", ["args", "labels"])
def test_names_of_pairs_are_one_line_and_values_may_be_several(key: str) -> None:
    assert wrong(**{key: {"A": "one\ntwo\t\u2028,\"'@=", "b.c/d": ""}}) == []
    for name in (*BREAKS, "", "a=b"):
        assert wrong(**{key: {name: "x"}}) == [f"{key}/{name}: {name!r} under '{key}' is no name"]
    for value in ("a\0b", "a\ud800b"):
        assert wrong(**{key: {"A": value}}) == [f"{key}/A: the value of A under '{key}' is no text"]


@pytest.mark.parametrize("platform", [*BREAKS, "", "a,b", "linux/amd64 ", "-/a\n", "linux//arm64", "@a"])
def test_platforms_are_plain_words(platform: str) -> None:
    assert wrong(platforms=(platform,))


@pytest.mark.parametrize(
    "platform",
    ["linux", "local", "linux/amd46", "linux/foo", "lunix/amd64", "linux/arm64/v3", "arm64/v8",
     "linux/amd64,linux/arm64", "-linux/amd64", "--push/a", "linux/-a", "linux/arm/-v7",
     "linux/arm/v7/x", "linux/", "/amd64", "linux/arm64/", ".linux/a", "linux/a=b", "linux/(a)", "linux/\u0430rm64"],
)  # fmt: skip
def test_a_platform_is_a_system_an_architecture_and_perhaps_a_variant(platform: str) -> None:
    assert wrong(platforms=("linux/amd64", platform)) == [f"platforms/1: {platform!r} is no platform that Docker knows"]
    usual = ("linux/amd64", "linux/arm/v7", "linux/arm64/v8", "freebsd/amd64", "arm64", "Linux/AMD64", "linux/mips64le")
    assert wrong(platforms=usual) == []


@pytest.mark.parametrize("name", ["headway.job", "headway.attempt", "headway.", "HEADWAY.Job", "headway.x.y"])
def test_labels_of_headways_own_are_refused(name: str) -> None:
    """Containers have the labels of their image: Headway finds what is left of a job by these."""
    message = f"labels/{name}: labels that begin with 'headway.' are Headway's own"
    assert wrong(labels={name: "a"}) == [message]
    assert wrong(labels={"headway": "a", "headway-x": "a", "org.headway.x": "a"}, args={"headway.x": "a"}) == []
    text = "steps:\n- name: a\n  build:\n    context: .\n    labels:\n      headway.job: x\n"
    assert problems_of(text)[0].startswith("6:7: error: labels that begin with 'headway.' are Headway's own in step")
    plugin = "steps:\n- name: a\n  image: woodpeckerci/plugin-docker-buildx\n  settings:\n    repo: a/b\n"
    found = problems_of(f"{plugin}    labels: [headway.job=x]\n")
    assert any("labels that begin with 'headway.' are Headway's own" in each for each in found)


@pytest.mark.parametrize("key", ["cache_from", "cache_to"])
def test_a_cache_entry_is_one_line_of_csv_that_says_everything_once(key: str) -> None:
    twice = ("type=registry,ref=a,REF=b", "a,headway/build:b", "type=registry,ref=a,type=inline")
    for entry in (*BREAKS, "", 'type=registry,"ref=a', "type=registry\ntype=local,src=/etc", *twice):
        assert wrong(**{key: (entry,)}), entry
    for entry in ("type=local,src=/etc", 'type=registry,"type=local",src=/etc', "TYPE=Local,dest=/x"):
        assert "uses a path on the worker's own disk" in wrong(**{key: (entry,)})[0]
    assert wrong(**{key: ("registry.test/app:cache", "type=registry,ref=a/b:c,mode=max", "type=inline")}) == []


@pytest.mark.parametrize(
    ("entry", "images"),
    [
        ("app:1", ("app:1",)),
        ("type=registry,ref=app:1", ("app:1",)),
        ("ref=app:1", ("app:1",)),
        ('type=registry,"ref=headway/build:1"', ("headway/build:1",)),
        ("TYPE=Registry,REF=headway/build:1", ("headway/build:1",)),
        ("a,headway/build:1", ("a", "headway/build:1")),
        ("type=gha,ref=a", ()),
        ("type=inline", ()),
        ("a\nb", ()),
    ],
)
def test_the_images_of_a_cache_entry_are_found_as_the_client_reads_it(entry: str, images: tuple[str, ...]) -> None:
    assert cache_images(entry) == images


def test_the_file_is_told_of_it_with_the_place() -> None:
    at, past = "x" * BUILD_ID_CHARS_MAX, "x" * (BUILD_ID_CHARS_MAX + 1)
    text = "steps:\n  a:\n    build:\n      context: .\n      secrets:\n        {}: t\n"
    assert problems_of(text.format(at)) == []
    for name in (past, '"../docker/config.json\\nx"', "PATH/x"):
        (problem,) = problems_of(text.format(name))
        assert problem.startswith("6:9: error:")
        assert "cannot be the id of a build secret in step 'a'; use up to 64 letters" in problem
        found = lint_files([PipelineFile(".headway.yml", text.format(name).encode())])
        assert any("cannot be the id of a build secret" in each.message for each in found)


@pytest.mark.parametrize(
    "settings",
    [
        'target: "a\\nb"', 'platforms: "linux/amd64;x"', 'cache_from: "type=registry\\ntype=local,src=/etc"',
        'cache_from: "type=local,src=/etc"', 'labels: {"a\\nb": c}', 'build_args: {"a\\nb": c}',
        'dockerfile: "a\\tb"',
    ],
)  # fmt: skip
def test_the_settings_of_a_plugin_that_builds_have_the_same_rules(settings: str) -> None:
    text = f"steps: [{{name: a, image: woodpeckerci/plugin-docker-buildx, settings: {{repo: r, {settings}}}}}]"
    assert any(" in step 'a'" in problem for problem in problems_of(text)), problems_of(text)


@pytest.mark.slow
def test_arguments_and_labels_have_a_limit_together() -> None:
    size = 100_000
    each = size + len("A00=") + EACH_BYTES
    fits = {f"A{number:02}": "x" * size for number in range(WORDS_BYTES_MAX // each)}
    rest = WORDS_BYTES_MAX - len(fits) * each - len("B=") - EACH_BYTES
    assert wrong(args=fits, labels={"B": "x" * rest}) == []
    (message,) = wrong(args=fits, labels={"B": "x" * (rest + 1)})
    assert f" have {WORDS_BYTES_MAX + 1:,} bytes together; the limit is {WORDS_BYTES_MAX:,}" in message
    assert "the largest is" in message
