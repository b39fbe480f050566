"""What a Compose file may not ask for: each key is a problem with its place, and nothing of it reaches a container."""

import pytest

from pipelines.compose.interpolation import CHARACTERS_MAX, LEVELS_MAX
from pipelines.compose.keys import IGNORED_KEYS, READ_KEYS, REFUSED_KEYS, REFUSED_TOP_KEYS
from pipelines.compose.project import SERVICES_COUNT_MAX
from pipelines.context import Context, RepoInfo
from pipelines.parser.compose_steps import COMPOSE_STEPS_COUNT_MAX
from pipelines.plan import PluginStep
from pipelines.step_options.resources import ResourcesMax
from tests.support.compose import FILE, ONE, compose_job, compose_problems, compose_service, service_problem

AT = "(included at .headway.yml:2:25)"
KEPT = "volumes: {data: }\n"


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_a_refused_key_is_a_problem_at_its_place(key: str) -> None:
    text = f"services:\n  tests:\n    image: busybox:1\n    {key}: true\n"
    (problem,) = compose_problems(text)
    expected = f"'{key}' of the Compose service 'tests' is not supported {AT}; {REFUSED_KEYS[key]}"
    assert problem == f"{FILE}:4:5: error: {expected}"


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_a_refused_key_is_one_also_without_a_value(key: str) -> None:
    assert f"'{key}' of the Compose service" in service_problem(f"{key}: ")


@pytest.mark.parametrize("key", REFUSED_TOP_KEYS)
def test_a_refused_key_of_the_file_is_a_problem(key: str) -> None:
    (problem,) = compose_problems(f"{ONE}{key}: [{{path: ../other.yml}}]\n")
    assert problem.startswith(f"{FILE}:3:1: error: '{key}' of a Compose file is not supported")


def test_no_key_is_in_two_lists() -> None:
    keys = [*READ_KEYS, *REFUSED_KEYS, *IGNORED_KEYS]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("key", [key for key, why in IGNORED_KEYS.items() if why])
def test_a_key_without_effect_is_a_warning_that_says_what_happens(key: str) -> None:
    assert service_problem(f"{key}: [x]").endswith(f"has no effect here: {IGNORED_KEYS[key]} {AT}")


@pytest.mark.parametrize("key", [key for key, why in IGNORED_KEYS.items() if not why])
def test_a_key_that_changes_nothing_is_no_problem(key: str) -> None:
    assert compose_problems(f"services:\n  tests: {{image: 'busybox:1', {key}: [x]}}\n") == []


def test_labels_reach_no_container_and_cannot_be_those_of_headway() -> None:
    step = compose_service("labels: {headway.job: other}")
    assert "headway.job" not in step.model_dump_json()


@pytest.mark.parametrize(
    "volume",
    [
        "/etc:/x", "../../data:/x", "~/data:/x", "~:/x", "/var/run/docker.sock:/var/run/docker.sock",
        "./../../../etc:/x", "{type: bind, source: /, target: /x}", "{type: bind, source: ../.., target: /x}",
        '{type: bind, source: "a\\x07", target: /x}', f"./{'x' * 253}:/x",
    ],
)  # fmt: skip
def test_nothing_of_the_host_is_mounted(volume: str) -> None:
    problem = service_problem(f"volumes: [{volume if volume.startswith('{') else repr(volume)}]", KEPT)
    assert "which is not in the repository" in problem
    assert problem.endswith("nothing of the host is mounted")


def test_what_is_mounted_of_the_repository_may_have_255_bytes() -> None:
    path = f"ci/{'x' * 252}"
    assert compose_service(f"volumes: ['./{'x' * 252}:/x']").container.job_volumes[0].checkout == path


@pytest.mark.parametrize(
    ("volume", "problem"),
    [
        ("{type: npipe, source: a, target: /x}", "the type 'npipe' is not supported"),
        ("{type: cluster, target: /x}", "the type 'cluster' is not supported"),
        ("{source: data, target: /x}", "the type '' is not supported"),
        ("{type: volume, source: data, target: /x, volume: {subpath: a}}", "'subpath' of 'volume'"),
        ("{type: bind, source: ., target: /x, bind: {recursive: disabled}}", "'recursive' of 'bind'"),
        ("'a b:/x'", "mounts 'a b', which is not a volume of this file"),
    ],
)
def test_other_kinds_of_mounts_are_refused(volume: str, problem: str) -> None:
    assert problem in service_problem(f"volumes: [{volume}]", KEPT)


@pytest.mark.parametrize("path", ["x", "/", "//x", "/a/..", "/a,b", '/a"b', "/a\\\\b", f"/{'x' * 255}"])
def test_a_volume_has_a_path_of_its_own(path: str) -> None:
    volume = '{type: volume, source: data, target: "' + path.replace('"', '\\"') + '"}'
    assert "cannot be mounted at" in service_problem(f"volumes: [{volume}]", KEPT)


def test_a_path_may_have_255_bytes() -> None:
    assert compose_service(f"volumes: ['data:/{'x' * 254}']", KEPT).container.job_volumes[0].path == f"/{'x' * 254}"


@pytest.mark.parametrize(
    "path", ["/headway", "/headway/src/x", "/.headway", "/etc/headway/ca", "/proc/x", "/usr", "/bin"]
)
def test_a_volume_hides_nothing_that_a_container_needs(path: str) -> None:
    problem = service_problem(f"volumes: ['data:{path}']", KEPT)
    assert "would hide what the container needs" in problem
    assert problem.startswith(f"{FILE}:2:")


@pytest.mark.parametrize(
    "volume",
    [
        "{external: true}", "{name: of-another-project}", "{driver: nfs}",
        "{driver_opts: {type: none, o: bind, device: /}}", "{external: {name: x}}",
    ],
)  # fmt: skip
def test_a_volume_of_the_file_is_nothing_but_a_folder_of_the_job(volume: str) -> None:
    (problem,) = compose_problems(f"{ONE}volumes:\n  data: {volume}\n")
    assert problem.startswith(f"{FILE}:4:")
    assert "a volume is a folder of the job" in problem


@pytest.mark.parametrize(
    "network",
    ["{external: true}", "{name: x}", "{driver: host}", "{driver_opts: {a: b}}", "{ipam: {}}", "{internal: true}"],
)
def test_a_network_of_the_file_is_nothing_but_that_of_the_job(network: str) -> None:
    (problem,) = compose_problems(f"{ONE}networks:\n  net: {network}\n")
    assert problem.startswith(f"{FILE}:4:")
    assert "all services are in the network of the job" in problem


@pytest.mark.parametrize(
    "build",
    [
        "..", "../..", "/", "/etc", "../../x", "https://git.example.org/a.git", "git@git.example.org:a/b",
        "service:other", "x.git", "{context: ../..}", "{context: ., dockerfile: ../../Dockerfile}",
        "{context: ., dockerfile: /etc/passwd}",
    ],
)  # fmt: skip
def test_a_build_takes_nothing_from_outside_of_the_checkout(build: str) -> None:
    written = build if build.startswith("{") else repr(build)
    found = compose_problems(f"services:\n  tests: {{build: {written}}}\n")
    if build == "..":  # the folder of the file is ci
        assert found == []
    else:
        assert len(found) == 1
        assert "name a folder of the repository" in found[0]


@pytest.mark.parametrize(
    "key", ["ssh", "secrets", "network", "privileged", "additional_contexts", "cache_from", "cache_to", "entitlements"]
)
def test_a_build_has_only_keys_that_are_read(key: str) -> None:
    found = compose_problems(f"services:\n  tests: {{build: {{context: ., {key}: host}}}}\n")
    assert [f"'{key}' of 'build' of the Compose service 'tests' is not known here" in each for each in found] == [True]


def test_an_untrusted_run_may_not_use_more_than_in_other_steps() -> None:
    text = "services:\n  tests: {image: 'busybox:1', tmpfs: /x}\n"
    context = Context(RepoInfo("me/app", "https://git.example.org/me/app.git"), run_number=7)
    (problem,) = compose_problems(text, context=context)
    assert "'tmpfs' in step 'it' needs trust in 'volumes'" in problem
    assert problem.startswith(f"{FILE}:2:")
    assert compose_job(text).steps[-1].container.tmpfs == ("/x",)  # type: ignore[union-attr]


def test_resources_stay_within_the_maximum_of_the_server() -> None:
    context = Context(
        RepoInfo("me/app", "https://git.example.org/me/app.git"), run_number=7,
        resources_max=ResourcesMax(memory_bytes=1024**3),
    )  # fmt: skip
    text = "services:\n  tests: {image: 'busybox:1', deploy: {resources: {limits: {memory: 2g}}}}\n"
    (problem,) = compose_problems(text, context=context)
    assert "memory" in problem
    assert problem.startswith(f"{FILE}:2:")


def test_the_environment_of_the_worker_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_WORKER", "secret")
    step = compose_service("command: 'echo ${OF_THE_WORKER-none}', environment: [OF_THE_WORKER]")
    assert step.container.command == ("echo", "none")
    assert "OF_THE_WORKER" not in step.container.environment


def test_a_secret_is_in_no_text_and_in_no_build_argument() -> None:
    main = f"steps:\n  - name: it\n    compose: {FILE}\n    environment: {{TOKEN: {{from_secret: token}}}}\n"
    assert "TOKEN is a secret" in service_problem("command: 'echo $TOKEN'", main=main)
    (problem,) = compose_problems("services:\n  tests: {build: {context: ., args: [TOKEN]}}\n", main)
    assert "the argument TOKEN in 'build' of the Compose service 'tests' is a secret" in problem


def test_values_that_grow_are_stopped() -> None:
    main = f"steps:\n  - name: it\n    compose: {FILE}\n    environment: {{A: {'x' * 10_000}}}\n"
    found = compose_problems(f"services:\n  tests: {{image: 'busybox:1', command: '{'$A' * 200}'}}\n", main)
    assert ["becomes too long" in each or "is too long" in each for each in found] == [True]
    many = ", ".join(["'" + "$A" * 40 + "'"] * (CHARACTERS_MAX // 400_000 + 1))
    found = compose_problems(f"services:\n  tests: {{image: 'busybox:1', command: [{many}]}}\n", main)
    assert any(f"more than {CHARACTERS_MAX:,} characters" in each for each in found)


def test_references_stand_in_each_other_in_a_few_levels() -> None:
    def nested(levels: int) -> str:
        return "${A:-" * levels + "}" * levels

    assert compose_service(f"command: ['{nested(LEVELS_MAX)}']").container.command == ("",)
    assert f"more than {LEVELS_MAX} levels" in service_problem(f"command: ['{nested(LEVELS_MAX + 1)}']")


def test_a_file_has_a_limited_number_of_services() -> None:
    def services(count: int) -> str:
        return "services:\n  a0: {image: 'x:1'}\n" + "".join(
            f"  a{number}: {{image: 'x:1', depends_on: [a{number - 1}]}}\n" for number in range(1, count)
        )

    assert len(compose_job(services(SERVICES_COUNT_MAX)).steps) == SERVICES_COUNT_MAX
    (problem,) = compose_problems(services(SERVICES_COUNT_MAX + 1))
    assert f"at most {SERVICES_COUNT_MAX}" in problem


def test_a_pipeline_file_has_a_limited_number_of_compose_steps() -> None:
    def steps(count: int) -> str:
        return "steps:\n" + f"  - {{compose: {FILE}}}\n" * count

    assert len(compose_job(ONE, steps(COMPOSE_STEPS_COUNT_MAX)).steps) == COMPOSE_STEPS_COUNT_MAX
    (problem,) = compose_problems(ONE, steps(COMPOSE_STEPS_COUNT_MAX + 1))
    assert f"at most {COMPOSE_STEPS_COUNT_MAX} are run" in problem


@pytest.mark.parametrize("group", ["clone", "services", "pipeline"])
def test_nothing_can_be_written_that_only_the_parser_makes(group: str) -> None:
    written = "{name: x, image: 'a:1', compose: {project: x, aliases: [db], volumes: []}}"
    steps = "" if group == "pipeline" else "steps:\n  - {name: y, image: 'a:1', commands: x}\n"
    (problem,) = compose_problems(ONE, f"{group}:\n  - {written}\n{steps}")
    assert "'compose' is a key of a step" in problem
    found = compose_problems(ONE, f"steps:\n  - {written}\n")
    assert any("'image' does not go with 'compose'" in each for each in found)


@pytest.mark.parametrize("text", ["a: &a [b, *a]", "services: [", "services: {a: {image: x}, a: {image: y}}", b"\xff"])
def test_what_is_not_yaml_has_its_place_in_the_compose_file(text: str | bytes) -> None:
    found = compose_problems(text)
    assert found
    assert all(each.startswith(f"{FILE}:1:") and AT in each for each in found)


def test_services_get_no_right_that_other_steps_have_not() -> None:
    step = compose_service("user: '1000'")
    assert isinstance(step, PluginStep)
    container = step.container
    assert not (container.privileged)
    assert not (container.volumes)
    assert not (container.devices)
    assert not (container.network_mode)
    assert not (container.dns)
    assert not (container.extra_hosts)
