"""How values of a Compose file are read, and what each mistake says."""

import pytest

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.compose.health import SECONDS_MAX
from pipelines.compose.report import seconds_of
from pipelines.context import PipelineFile
from pipelines.parser.fragment_addresses import Address
from pipelines.parser.fragments import Fragment
from pipelines.parser.matrix import ALL_CELLS_CHARACTERS_MAX
from pipelines.plan import JobVolume
from pipelines.problem import InvalidPipelineError
from pipelines.step_options.ready import HealthCheck
from tests.support.compose import (
    FILE,
    ONE,
    STEP,
    compose_job,
    compose_plan,
    compose_problems,
    compose_service,
    service_problem,
)
from tests.support.pipelines import TRUSTED, push

DB = "  db: {image: 'x:1'}\n"


def health(keys: str) -> tuple[HealthCheck | None, int]:
    text = f"services:\n  db: {{image: 'x:1', {keys}}}\n  tests: {{image: 'x:1', depends_on: [db]}}\n"
    step = compose_job(text).steps[0]
    assert step.kind == "plugin"
    assert step.ready is None or isinstance(step.ready, HealthCheck)
    return step.ready, step.ready_timeout_s


@pytest.mark.parametrize(
    ("keys", "words", "seconds"),
    [
        ("healthcheck: {test: curl x}", ("/bin/sh", "-c", "curl x"), 180),
        ("healthcheck: {test: [CMD-SHELL, curl x]}", ("/bin/sh", "-c", "curl x"), 180),
        ("healthcheck: {test: [CMD, a, b], interval: 500ms, timeout: 1s, retries: 2}", ("a", "b"), 60),
        ("healthcheck: {interval: 1m, timeout: 0s, retries: 2, start_interval: 1s}", (), 120),
        ("healthcheck: {test: [CMD, a], start_period: 200h}", ("a",), SECONDS_MAX),
        ("healthcheck: ", (), 60),
    ],
)
def test_a_check_has_words_and_a_time(keys: str, words: tuple[str, ...], seconds: int) -> None:
    assert health(keys) == (HealthCheck(words=words), seconds)


@pytest.mark.parametrize("check", ["{test: [NONE]}", "{disable: true}", "{test: [CMD, a], disable: true}"])
def test_a_check_can_be_switched_off(check: str) -> None:
    assert health(f"healthcheck: {check}") == (None, 60)


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ("{test: [curl, x]}", "begins with CMD, CMD-SHELL or NONE"),
        ("{test: [CMD]}", "begins with CMD, CMD-SHELL or NONE"),
        ("{test: [CMD-SHELL, a, b]}", "begins with CMD, CMD-SHELL or NONE"),
        ("{test: {a: b}}", "is a list of texts"),
        ("{interval: soon}", "'interval' in 'healthcheck' of the Compose service 'tests' is not a time: 'soon'"),
        ("{retries: -1}", "is not a number below 100000"),
        ("{retries: 100000}", "is not a number below 100000"),
        ("{disable: maybe}", "is true or false"),
        ("{disable: [a]}", "is true or false"),
        ("{color: red}", "'color' of 'healthcheck' of the Compose service 'tests' is not known here"),
        ("[a]", "is a map, not a list"),
    ],
)
def test_a_wrong_check_has_a_sentence(check: str, problem: str) -> None:
    assert any(
        problem in each for each in compose_problems(f"services:\n  tests: {{image: 'x:1', healthcheck: {check}}}\n")
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1m30s", 90), ("1h", 3600), ("500ms", 0), ("1.5s", 1), ("2m500ms", 120), ("", None), ("x", None)],
)
def test_times_are_those_of_compose(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("keys", "entrypoint", "command"),
    [
        ("command: a 'b c'", None, ("a", "b c")),
        ("command: [a, 'b c', 5]", None, ("a", "b c", "5")),
        ("command: ", None, None),
        ("command: []", None, ()),
        ("entrypoint: a b, command: c", ("a", "b"), ("c",)),
        ("entrypoint: []", (), None),
        ("entrypoint: ['']", ("",), None),
    ],
)
def test_commands_are_lists_or_split(
    keys: str, entrypoint: tuple[str, ...] | None, command: tuple[str, ...] | None
) -> None:
    container = compose_service(keys).container
    assert (container.entrypoint, container.command) == (entrypoint, command)


def test_the_keys_of_a_container_reach_it() -> None:
    keys = "user: 1000, working_dir: /app, tmpfs: [/a], mem_limit: 512m, cpus: 0.5, pids_limit: 9, pull_policy: always"
    step = compose_service(f"{keys}, volumes: [{{type: tmpfs, target: /b}}, {{type: volume, target: /c}}], scale: 1")
    container = step.container
    assert (container.user, container.directory, container.tmpfs) == ("1000", "/app", ("/b", "/a"))
    assert container.image.pull  # type: ignore[union-attr]
    assert str(container.resources) == "512 MiB, 0.5 processors, 9 processes"
    assert step.container.job_volumes == (JobVolume(name="", path="/c"),)


def test_a_service_has_further_names() -> None:
    text = """\
services:
  db:
    image: x:1
    container_name: main-db
    networks: {back: {aliases: [store, db]}, default: }
  tests: {image: 'x:1', depends_on: [db], networks: [back, default]}
networks:
  back: {driver: bridge, x-a: 1}
"""
    step = compose_job(text).steps[0]
    assert step.kind == "plugin"
    assert step.container.aliases == ("db", "main-db", "store")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("imag: x", "unknown key 'imag' in the Compose service 'tests'"),
        ("color: x", "unknown key 'color' in the Compose service 'tests'"),
        ('command: "a \'b"', "cannot be split into words"),
        ("command: [[a]]", "is a list of texts"),
        ("working_dir: app", "is not absolute"),
        ("user: [a]", "is a text, not a list"),
        ("pull_policy: never", "'pull_policy' of the Compose service 'tests' cannot be 'never'"),
        ("scale: 2", "runs once here"),
        ("deploy: {replicas: 2}", "runs once here"),
        ("deploy: {replicas: 1, mode: global}", "'mode' of 'deploy'"),
        ("deploy: {resources: {reservations: {devices: []}}}", "'reservations' of 'deploy'"),
        ("environment: [=a]", "has no name"),
        ("environment: {A: [b]}", "has texts as its values"),
        ("build: {context: ., args: [=a]}", "has no name"),
        ("container_name: 'a b'", "cannot be reached as 'a b'"),
        ("networks: [back]", "the network 'back' is not in this file"),
        ("networks: {back: }", "the network 'back' is not in this file"),
        ("networks: {default: {ipv4_address: 10.0.0.1}}", "'ipv4_address' of 'networks'"),
        ("volumes: [gone:/x]", "the volume 'gone' is not in this file"),
        ("volumes: [data:/x:nocopy]", "the mode 'nocopy'"),
        ("volumes: data", "is a list"),
        ("volumes: [[a]]", "is a text, not a list"),
        ("volumes: [x]", "cannot be mounted at 'x'"),
        ("volumes: [{type: tmpfs}]", "cannot be mounted at ''"),
        ("volumes: [{type: volume, source: data, target: /x, image: {}}]", "'image' of 'volumes'"),
        ("depends_on: [gone]", "waits for 'gone', which is no service here"),
        ("depends_on: [off]", "waits for 'off', whose profile is off"),
        ("depends_on: {db: {condition: ready}}", "cannot be 'ready'"),
        ("depends_on: [tests]", "these services wait for each other: 'tests' -> 'tests'"),
        ("command: '${'", "the '$' here begins no reference"),
        ("command: '${A'", "is followed by what Compose does not know"),
        ("command: '${A:-b'", "a '${' is not closed here"),
        ("command: '${A?}'", "the variable A is missing (included"),
        ("command: '${A:?needed}'", "the variable A is missing: needed (included"),
        ("command: '$1'", "the '$' here begins no reference"),
        ("command: '$A'", "the variable A is not set at the Compose step, and is empty"),
        ("command: '${A}'", "the variable A is not set at the Compose step, and is empty"),
    ],
)
def test_a_mistake_in_a_service_is_a_sentence_with_its_place(keys: str, problem: str) -> None:
    main = f"steps:\n  - {{name: it, compose: {{file: {FILE}, service: tests}}}}\n"
    rest = "  off: {image: 'x:1', profiles: [p]}\n  db: {image: 'x:1'}\nvolumes: {data: }\n"
    found = service_problem(keys, rest, main)
    assert problem in found
    assert found.startswith(f"{FILE}:2:")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a]", "a Compose file is a map with 'services'"),
        ("", "a Compose file is a map with 'services'"),
        ("services: [a]", "a Compose file is a map with 'services'"),
        ("services: {}", "this Compose file has no services"),
        ("services: {a: {image: 'x:1'}, b: {image: 'x:1'}}", "no other waits for a, b"),
        ("services: {a: {image: 'x:1', profiles: [p]}}", "no service of the Compose file runs: its profiles are off"),
        ("services: {a: {image: '${NONE:-}'}}", "the Compose service 'a' has no image"),
        ("services: {a: {command: x}}", "the Compose service 'a' has no image"),
        ("services: {a: x}", "the Compose service 'a' is a map, not a single value"),
        ("services: {a_: {image: 'x:1'}}", "a service cannot be named 'a_'"),
        (ONE + "servces: {}", "unknown key 'servces' in this Compose file"),
        (ONE + "volumes: {'a/b': }", "a volume cannot be named 'a/b'"),
    ],
)
def test_a_mistake_in_the_file_is_a_sentence(text: str, problem: str) -> None:
    found = compose_problems(text)
    assert any(problem in each for each in found)


@pytest.mark.parametrize("key", ["name: x", "version: '3'", "x-y: {a: [b]}", "networks: ", "volumes: "])
def test_keys_of_the_file_that_mean_nothing_here_are_accepted(key: str) -> None:
    assert compose_problems(f"{ONE}{key}\n") == []


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("{compose: }", "'compose' is missing or empty"),
        ("{compose: {service: a}}", "'file' is missing"),
        ("{compose: [a.yml, b.yml]}", "is wanted here, not a list"),
        ("{compose: {file: [a.yml, b.yml]}}", "a Compose step reads one file"),
        (f"{{compose: {{file: {FILE}, servce: a}}}}", "'compose' has no key 'servce'"),
        (f"{{compose: {FILE}, image: x}}", "'image' does not go with 'compose'"),
        (f"{{compose: {FILE}, detach: maybe}}", "true or false is wanted here"),
        (f"{{compose: {FILE}, detach: true, retry: 2}}", "'retry' does not go with 'detach'"),
        (f"{{compose: {{file: {FILE}, service: tests}}, detach: true}}", "do not go with 'detach'"),
        (f"{{compose: {{file: {FILE}, command: x}}, detach: true}}", "do not go with 'detach'"),
        (f"{{compose: {{file: {FILE}, service: test}}}}", "the Compose file has no service 'test'"),
        (f"{{compose: {{file: {FILE}, service: zzz}}}}", "it has tests"),
        (f"{{compose: {{file: {FILE}, images: {{gone: x}}}}}}", "names the service 'gone'"),
        (f"{{compose: {{file: {FILE}, images: {{zzz: x}}}}}}", "it has tests"),
        (f"{{compose: {FILE}, name: [a]}}", "'name': a text is wanted here, not a list"),
        (f"{{compose: {{file: {FILE}, images: {{tests: }}}}}}", "the image of 'tests' is not a name"),
        (f"{{compose: {{file: {FILE}, images: {{tests: [x]}}}}}}", "the image of 'tests' is not a name"),
        (f"{{compose: {{file: {FILE}, images: {{tests: {{build: gone}}}}}}}}", "wants the image of 'gone'"),
        (f"{{compose: {{file: {FILE}, command: {{a: b}}}}}}", "'command' of a Compose step has words alone"),
        (f'{{compose: {{file: {FILE}, command: "a \'b"}}}}', "'command' cannot be split into words"),
        ("{compose: ../x.yml}", "the path of a Compose file has a part that is empty, '.' or '..'"),
        ("{compose: /etc/x.yml}", "the path of a Compose file is not a path of the repository"),
        ("{compose: .git/x.yml}", "is in a folder of git itself"),
        ("{compose: gone.yml}", "the Compose file 'gone.yml' was not read"),
    ],
)
def test_a_mistake_in_the_step_is_a_sentence(step: str, problem: str) -> None:
    found = compose_problems(ONE, f"steps:\n  - {step}\n")
    assert any(problem in each for each in found), found
    assert all(each.startswith(".headway.yml:2:") for each in found)


def test_a_command_of_the_step_is_split_as_compose_does() -> None:
    main = f"steps:\n  - {{name: it, compose: {{file: {FILE}, command: pytest 'a b'}}}}\n"
    assert compose_service("command: x", main=main).container.command == ("pytest", "a b")


def test_a_file_that_cannot_be_read_says_why() -> None:
    main = [PipelineFile(".headway.yml", STEP.encode())]
    read = {Address(FILE): Fragment(trouble="it is outside of the repository")}
    with pytest.raises(InvalidPipelineError, match="the Compose file cannot be read: it is outside of the repository"):
        compile_pipeline(main, push(), TRUSTED, read)


def test_all_files_together_have_a_limit() -> None:
    length = ALL_CELLS_CHARACTERS_MAX // 4
    half = ONE + "#" * (length - len(ONE))
    four = "steps:\n" + f"  - {{compose: {FILE}}}\n" * 4
    assert compose_problems(half, four) == []
    (problem,) = compose_problems(half, four + f"  - {{compose: {FILE}}}\n")
    assert f"more than {ALL_CELLS_CHARACTERS_MAX:,} bytes" in problem


@pytest.mark.parametrize(
    ("main", "other"),
    [
        (f"services:\n  db: {{image: 'x:1'}}\n{STEP}", "the service 'db' of the pipeline file"),
        (f"services:\n  - {{name: db, image: 'x:1'}}\n{STEP}", "the service 'db' of the pipeline file"),
        (f"{STEP}  - {{name: db, image: 'x:1', commands: x, detach: true}}\n", "the step 'db'"),
        (f"{STEP}  - {{name: it2, compose: {FILE}}}\n", "the Compose service 'db'"),
    ],
)
def test_two_containers_of_a_job_are_not_reached_by_one_name(main: str, other: str) -> None:
    text = f"services:\n{DB}  tests: {{image: 'x:1', depends_on: [db]}}\n"
    (problem,) = compose_problems(text, main)
    assert f"the Compose service 'db' would be reached as 'db', like {other}" in problem


def test_a_warning_does_not_stop_the_run() -> None:
    plan = compose_plan("services:\n  tests: {image: 'x:1', ports: ['80:80']}\n")
    assert len(plan.jobs) == len(plan.warnings) == 1
