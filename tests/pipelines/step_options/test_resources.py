"""What the key ``resources`` may say, and what asks for more than the server gives."""

import pytest

from pipelines.plan import Container
from pipelines.step_options.resources import (
    CPUS_COUNT_MAX,
    MEMORY_BYTES_MAX,
    MEMORY_BYTES_MIN,
    PIDS_COUNT_MAX,
    Resources,
    ResourcesMax,
    excesses,
    shown_bytes,
)
from tests.support.pipelines import CONTEXT, container_of, job_of, problems_of, step_of

MIB = 1024**2


def step(resources: str) -> str:
    return f"steps: [{{name: s, image: i, commands: x, resources: {resources}}}]"


def asked(resources: str) -> Resources | None:
    return container_of(step_of(step(resources))).resources


def test_all_three_reach_the_plan() -> None:
    expected = Resources(memory_bytes=512 * MIB, cpus=1.5, pids=200)
    assert asked("{memory: 512m, cpus: 1.5, pids: 200}") == expected
    assert str(expected) == "512 MiB, 1.5 processors, 200 processes"


def test_what_is_not_said_is_left_to_the_server() -> None:
    assert asked("{pids: 200}") == Resources(pids=200)
    assert asked("{}") is None
    assert Container(image={"kind": "named", "name": "i"}).resources is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("512m", 512 * MIB),
        ("512MB", 512 * MIB),
        ("512 MiB", 512 * MIB),
        ("1.5g", 1536 * MIB),
        ("10240k", 10 * MIB),
        ("2T", 2 * 1024**4),
        ("8388608", 8 * MIB),
        ("8388608b", 8 * MIB),
        (str(MEMORY_BYTES_MIN), MEMORY_BYTES_MIN),
        (str(MEMORY_BYTES_MAX), MEMORY_BYTES_MAX),
    ],
)
def test_memory_is_written_as_in_compose(written: str, size: int) -> None:
    assert asked(f"{{memory: {written}}}") == Resources(memory_bytes=size)


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ("{memory: lots}", "an amount of memory is wanted here, not 'lots'"),
        ("{memory: -1m}", "an amount of memory is wanted here, not '-1m'"),
        ("{memory: [1m]}", "an amount of memory is wanted here, not a list"),
        (f"{{memory: {MEMORY_BYTES_MIN - 1}}}", "a container needs at least 6 MiB of memory"),
        (f"{{memory: {MEMORY_BYTES_MAX + 1}}}", "a container has at most 1024 TiB of memory"),
        ("{cpus: many}", "a number of processors is wanted here, not 'many'"),
        ("{cpus: {}}", "a number of processors is wanted here, not a map"),
        ("{cpus: 0.009}", "a container has between 0.01 and 10000 processors"),
        (f"{{cpus: {CPUS_COUNT_MAX}.001}}", "a container has between 0.01 and 10000 processors"),
        ("{pids: 0}", f"a container has between 1 and {PIDS_COUNT_MAX} processes"),
        (f"{{pids: {PIDS_COUNT_MAX + 1}}}", f"a container has between 1 and {PIDS_COUNT_MAX} processes"),
        ("512m", "a map with 'memory', 'cpus' or 'pids' is wanted here, not"),
        ("{disk: 1g}", "unknown key 'disk'"),
    ],
)
def test_what_is_no_amount_is_reported(resources: str, said: str) -> None:
    (problem,) = problems_of(step(resources))
    assert said in problem


@pytest.mark.parametrize("resources", ["{cpus: 0.01}", f"{{cpus: {CPUS_COUNT_MAX}}}", f"{{pids: {PIDS_COUNT_MAX}}}"])
def test_the_smallest_and_the_largest_amounts_are_taken(resources: str) -> None:
    assert asked(resources)


def test_a_build_has_no_resources() -> None:
    (problem,) = problems_of("steps: [{name: b, build: ., resources: {memory: 512m}}]")
    assert (
        "'resources' does not go with 'build' in step 'b'; remove it: the engine's BuildKit knows no limits" in problem
    )


MOST = ResourcesMax(512 * MIB, 2, 100)


@pytest.mark.parametrize(
    ("resources", "message", "setting"),
    [
        (
            Resources(memory_bytes=512 * MIB + 1),
            "'resources' asks for memory: 512 MiB, and a container gets at most 512 MiB here",
            "HEADWAY_STEP_MEMORY_BYTES_MAX, now 536870912",
        ),
        (
            Resources(cpus=2.001),
            "'resources' asks for cpus: 2.001, and a container gets at most 2 here",
            "HEADWAY_STEP_CPUS_MAX, now 2",
        ),
        (
            Resources(pids=101),
            "'resources' asks for pids: 101, and a container gets at most 100 here",
            "HEADWAY_STEP_PIDS_MAX, now 100",
        ),
    ],
)
def test_more_than_the_server_gives_names_the_setting_and_its_value(
    resources: Resources, message: str, setting: str
) -> None:
    (excess,) = excesses(resources, MOST)
    assert excess.message == message
    assert excess.hint == f"ask for less; the server's setting is {setting}"


def test_as_much_as_the_server_gives_is_granted_and_no_maximum_limits_nothing() -> None:
    everything = Resources(memory_bytes=512 * MIB, cpus=2, pids=100)
    assert list(excesses(everything, MOST)) == []
    assert list(excesses(Resources(memory_bytes=MEMORY_BYTES_MAX, cpus=64, pids=5000), ResourcesMax())) == []
    assert list(excesses(Resources(), MOST)) == []


def test_the_problem_has_the_place_of_the_key() -> None:
    text = (
        "services:\n- name: db\n  image: p\n  resources:\n    memory: 2g\nsteps:\n- {name: s, image: i, commands: x}\n"
    )
    (problem,) = problems_of(text, context=CONTEXT._replace(resources_max=MOST))
    assert problem.startswith("5:5: error: 'resources' asks for memory: 2 GiB, and a container gets at most 512 MiB")
    assert "here in service 'db'; ask for less" in problem
    assert job_of(text).services[0].container.resources == Resources(memory_bytes=2048 * MIB)


def test_a_variable_may_stand_for_an_amount() -> None:
    text = "matrix: {SIZE: [1g]}\n" + step('{memory: "${SIZE}"}')
    assert container_of(step_of(text)).resources == Resources(memory_bytes=1024 * MIB)


@pytest.mark.parametrize(
    ("size", "shown"),
    [(1024, "1 KiB"), (MIB - 1, "1024 KiB"), (MIB, "1 MiB"), (1536 * MIB, "1.5 GiB"), (16 * MIB + 1, "16 MiB")],
)
def test_sizes_are_shown_in_powers_of_1024(size: int, shown: str) -> None:
    assert shown_bytes(size) == shown
