"""Caches in the pipeline file: tools, paths, keys, and what a mistake says."""

import pytest

from pipelines.compiler.step_options.cache_tools import TOOL_CACHES
from pipelines.compiler.step_options.caches import (
    CACHES_COUNT_MAX,
    CHECKSUM_FILES_COUNT_MAX,
    FOLDERS_COUNT_MAX,
    KEY_CHARACTERS_MAX,
    PATH_CHARACTERS_MAX,
    RESTORE_COUNT_MAX,
)
from pipelines.plan import CommandsStep, PluginStep
from pipelines.step_options.caches import TOOLS, Cache, CacheFolder, Checksum, shown_key
from tests.support.pipelines import job_of, problems_of, step_of

GO = (
    CacheFolder(path="/var/cache/headway/go/mod", variable="GOMODCACHE", leads=True),
    CacheFolder(path="/var/cache/headway/go/build", variable="GOCACHE", leads=True),
)


def of(text: str, more: str = "") -> tuple[Cache, ...]:
    step = step_of(f"steps: [{{name: test, image: 'debian:12', commands: x, cache: {text}{more}}}]")
    assert isinstance(step, CommandsStep)
    return step.caches


def wrong(text: str) -> list[str]:
    return problems_of(f"steps: [{{name: test, image: i, commands: x, cache: {text}}}]")


def test_a_tool_has_its_folders_and_a_key_from_its_lock_files() -> None:
    (cache,) = of("go")
    key = ("go-", Checksum(files=("**/go.sum",), optional=True))
    assert cache == Cache(name="go", key=key, restore=(("go-",),), folders=GO, tool="go")


def test_lock_files_are_looked_for_where_the_step_starts() -> None:
    (cache,) = of("go", ", directory: back")
    assert cache.key[1] == Checksum(files=("back/**/go.sum",), optional=True)
    (cache,) = of("go", ", directory: /elsewhere")
    assert cache.key[1] == Checksum(files=("**/go.sum",), optional=True)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_is_known(tool: str) -> None:
    (cache,) = of(f"[{tool}]")
    assert (cache.name, cache.tool, bool(cache.folders)) == (tool, tool, True)


def test_no_two_tools_use_the_same_folder() -> None:
    paths = [f"{folder.path}/{folder.below}" for tool in TOOL_CACHES.values() for folder in tool.folders]
    assert len(set(paths)) == len(paths)


def test_what_is_built_for_a_system_is_kept_by_its_image() -> None:
    assert of("apt")[0].key == ("apt-debian:12",)
    assert of("apt")[0].restore == ()
    assert of("bundler")[0].key[0] == "bundler-debian:12-"
    _, step = job_of("steps: [{name: b, build: .}, {name: t, commands: x, cache: apt}]").steps
    assert isinstance(step, CommandsStep)
    assert step.caches[0].key == ("apt-the image that was built",)


def test_paths_are_caches_of_their_own() -> None:
    first, second = of("[./node_modules/, '~/.cache//tool']")
    assert first == Cache(name="./node_modules/", key=("./node_modules/",), folders=(CacheFolder(path="node_modules"),))
    assert second.folders == (CacheFolder(path="~/.cache/tool"),)


def test_paths_of_a_map_belong_together() -> None:
    (cache,) = of("{paths: [a, /opt/b]}")
    assert (cache.key, cache.folders) == (("a, /opt/b",), (CacheFolder(path="a"), CacheFolder(path="/opt/b")))


def test_a_key_takes_checksums_and_variables() -> None:
    (cache,) = of("{key: 'n-${CI_COMMIT_BRANCH}-checksum(a.lock, ./b/*.lock)-x', paths: n, restore: [n-main-, n-]}")
    assert cache.key == ("n-main-", Checksum(files=("a.lock", "b/*.lock")), "-x")
    assert cache.restore == (("n-main-",), ("n-",))
    assert cache.tool is None
    assert shown_key(cache.key) == "n-main-checksum(a.lock, b/*.lock)-x"


def test_the_key_of_a_tool_is_shown_with_its_first_file() -> None:
    assert [shown_key(each.key) for each in of("[pip, go]")] == [
        "pip-checksum(**/requirements*.txt ...)",
        "go-checksum(**/go.sum)",
    ]


def test_a_tool_with_a_key_is_a_path() -> None:
    (cache,) = of("{key: k, paths: ./pip}")
    assert (cache.tool, cache.folders) == (None, (CacheFolder(path="pip"),))


def test_a_plugin_has_caches_and_a_step_may_have_none() -> None:
    step = step_of("steps: [{name: p, image: some/plugin, settings: {a: b}, cache: npm}]")
    assert isinstance(step, PluginStep)
    assert step.caches[0].tool == "npm"
    assert of("") == of("[]") == ()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a/../../b", "'..' leaves the folder in which it is"),
        (".", "it is a whole home folder, or hides the checkout"),
        ("'~'", "it is a whole home folder, or hides the checkout"),
        ("'~/'", "it is a whole home folder, or hides the checkout"),
        ("/", "it is a whole home folder, or hides the checkout"),
        ("/headway/src", "it is a whole home folder, or hides the checkout"),
        ("/headway/", "it is a whole home folder, or hides the checkout"),
        ("/usr/lib/x", "it would hide /usr/lib/x of the image"),
        ("/usr", "it would hide /usr of the image"),
        ("'~ada/x'", "'~' is followed by a slash"),
        ('"a\\tb"', f"it is not a line of at most {PATH_CHARACTERS_MAX} characters that can be shown"),
        ("a" * 501, "it is not a line of at most 500 characters that can be shown"),
    ],
)  # fmt: skip
def test_a_folder_hides_nothing_that_the_step_needs(path: str, why: str) -> None:
    (problem,) = wrong(f"[ok, {path}]")
    assert problem.startswith("1:57: error: ")
    hint = "write a folder of the container, for example node_modules, ~/.cache/tool or /opt/data"
    assert problem.endswith(f"cannot be a cache: {why}; {hint}")


def test_a_folder_may_be_as_long_as_the_limit() -> None:
    assert of("a" * PATH_CHARACTERS_MAX)


def test_a_misspelled_tool_is_no_folder() -> None:
    assert wrong("pipp") == [
        "1:52: error: 'pipp' is no tool whose caches are known; did you mean 'pip'? A folder is written ./pipp"
    ]
    assert of("./pipp")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("' '", f"a key is one line of at most {KEY_CHARACTERS_MAX} characters"),
        ('"a\\nb"', f"a key is one line of at most {KEY_CHARACTERS_MAX} characters"),
        ("k" * (KEY_CHARACTERS_MAX + 1), f"a key is one line of at most {KEY_CHARACTERS_MAX} characters"),
        ("'a-checksum(x'", "'checksum(' is not closed"),
        ("checksum()", "checksum() takes files of the checkout, not ''"),
        ("checksum(/etc/passwd)", "checksum() takes files of the checkout, not '/etc/passwd'"),
        ("checksum(../x)", "checksum() takes files of the checkout, not '../x'"),
        ("'checksum(a[)'", "'[' is not closed in the pattern 'a['"),
    ],
)
def test_a_key_is_checked_and_so_is_restore(key: str, why: str) -> None:
    hint = "write for example npm-checksum(package-lock.json)"
    for name, problems in (
        ("key", wrong(f"{{key: {key}, paths: a}}")),
        ("restore", wrong(f"{{paths: a, restore: [{key}]}}")),
    ):
        (problem,) = problems
        assert problem.endswith(f"cannot be a key in '{name}': {why}; {hint}")


def test_the_number_of_files_of_a_key_is_limited() -> None:
    files = ", ".join(f"f{number}" for number in range(CHECKSUM_FILES_COUNT_MAX + 1))
    (problem,) = wrong(f"{{key: 'checksum({files})', paths: a}}")
    assert f"it has more than {CHECKSUM_FILES_COUNT_MAX} files" in problem
    assert of(f"{{key: 'checksum({files.rpartition(',')[0]})', paths: a}}")


def numbers(count: int) -> str:
    return f"[{', '.join(f'./f{number}' for number in range(count))}]"


def test_the_number_of_caches_folders_and_keys_is_limited() -> None:
    assert len(of(numbers(CACHES_COUNT_MAX))) == CACHES_COUNT_MAX
    (problem,) = wrong(numbers(CACHES_COUNT_MAX + 1))
    hint = "put folders that belong together into the 'paths' of one"
    assert problem == f"1:52: error: step 'test' has 9 caches, and at most 8 are possible; {hint}"
    assert of(f"{{paths: {numbers(FOLDERS_COUNT_MAX)}}}")
    (problem,) = wrong(f"{{paths: {numbers(FOLDERS_COUNT_MAX + 1)}}}")
    assert "a cache has 9 folders, and at most 8 are possible" in problem
    assert of(f"{{paths: a, restore: {numbers(RESTORE_COUNT_MAX)}}}")
    (problem,) = wrong(f"{{paths: a, restore: {numbers(RESTORE_COUNT_MAX + 1)}}}")
    assert "a cache has 9 keys in 'restore', and at most 8 are tried" in problem


@pytest.mark.parametrize(
    ("text", "twice"), [("[pip, pip]", "pip"), ("[a, {paths: ./a}]", "a"), ("{paths: [a, a]}", "a")]
)
def test_no_folder_is_in_two_caches(text: str, twice: str) -> None:
    (problem,) = wrong(text)
    assert problem.endswith(f"step 'test' has two caches of '{twice}'; remove one of them")


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("steps: [{image: i, commands: x, detach: true, cache: pip}]", "with 'detach' it has no end of its own"),
        (
            "clone: [{name: c, image: i, commands: x, cache: pip}]\nsteps: [{image: i, commands: x}]",
            "it makes the checkout, in which the lock files are",
        ),
        (
            "steps: [{image: plugins/docker, settings: {repo: a/b, tags: x}, cache: pip}]",
            "it builds or pushes an image; `RUN --mount=type=cache` in the Dockerfile keeps files between builds",
        ),
    ],
)
def test_some_steps_have_no_caches(file: str, why: str) -> None:
    assert any(f"has no caches: {why}; let another step have them" in problem for problem in problems_of(file))


def test_a_map_needs_paths() -> None:
    (problem,) = wrong("{key: a}")
    assert "'paths'" in problem
