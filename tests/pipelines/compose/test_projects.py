"""A Compose step becomes builds, detached steps, and a step whose exit is its verdict."""

import pytest

from pipelines.parser.fragment_addresses import Address
from pipelines.parser.fragments import included
from pipelines.plan import BuildStep, BuiltImage, JobPlan, NamedImage, PluginStep, SecretRef
from pipelines.problem import InvalidPipelineError
from pipelines.step_options.ready import HealthCheck
from tests.support.compose import (
    FILE,
    ONE,
    STEP,
    compose_hints,
    compose_job,
    compose_plan,
    compose_problems,
    compose_service,
)

PROJECT = """\
services:
  tests:
    build: {context: .., target: test}
    command: pytest
    depends_on: [web, migrate]
  db:
    image: postgres:17
    healthcheck: {test: [CMD, pg_isready], interval: 1s, retries: 100, timeout: 1s, start_period: 2s}
    volumes: [data:/var/lib/postgresql/data]
  migrate:
    image: app
    command: ./migrate "a b"
    depends_on: {db: {condition: service_healthy}}
  web:
    build: {context: .., args: {A: 1}}
    image: app
    depends_on:
      migrate: {condition: service_completed_successfully}
      absent: {condition: service_started, required: false}
volumes: {data: }
"""


def step(job: JobPlan, name: str) -> PluginStep:
    (found,) = (each for each in job.steps if each.name == name)
    assert isinstance(found, PluginStep)
    return found


def names(job: JobPlan) -> list[str]:
    return [each.name for each in job.steps]


def test_services_start_after_what_they_wait_for_and_the_last_one_is_the_verdict() -> None:
    job = compose_job(PROJECT)
    assert names(job) == ["it/web build", "it/tests build", "it/db", "it/migrate", "it/web", "it"]
    assert [each.needs for each in job.steps] == [(), (1,), (2,), (3,), (4,), (5,)]
    assert [getattr(each, "detach", None) for each in job.steps] == [None, None, True, False, True, False]
    assert step(job, "it/db").container.aliases == ("db",)
    assert step(job, "it").container.aliases == ()
    assert {each.project for each in job.steps if isinstance(each, PluginStep)} == {"it"}


def test_a_service_runs_in_its_build_and_one_that_names_the_image_too() -> None:
    job = compose_job(PROJECT)
    assert step(job, "it/migrate").container.image == BuiltImage(step=1)
    assert step(job, "it/web").container.image == BuiltImage(step=1)
    assert step(job, "it").container.image == BuiltImage(step=2)
    build = job.steps[0]
    assert isinstance(build, BuildStep)
    assert (build.context, build.dockerfile, build.args) == (".", "Dockerfile", {"A": "1"})


def test_the_keys_of_a_build_reach_its_step() -> None:
    keys = "context: ., dockerfile: D, no_cache: true, pull: true, args: [A=1, B, GONE]"
    main = f"steps:\n  - {{name: it, compose: {FILE}, environment: {{B: 2}}}}\n"
    build = compose_job(f"services:\n  tests: {{build: {{{keys}}}}}\n", main).steps[0]
    assert isinstance(build, BuildStep)
    assert (build.context, build.dockerfile, build.args) == ("ci", "ci/D", {"A": "1", "B": "2"})
    assert build.no_cache
    assert build.pull
    assert compose_problems("services:\n  tests: {build: {no_cache: false, dockerfile_inline: FROM x}}\n") == []


def test_equal_builds_are_one_step() -> None:
    text = "services:\n  a: {build: .}\n  tests: {build: {context: .}, depends_on: [a]}\n"
    assert names(compose_job(text)) == ["it/a build", "it/a", "it"]


def test_a_service_may_have_the_image_that_a_build_step_makes() -> None:
    main = f"""\
steps:
  - {{name: app, build: .}}
  - name: it
    compose: {{file: {FILE}, images: {{web: {{build: app}}, tests: 'busybox:1'}}}}
"""
    job = compose_job("services:\n  web: {build: .}\n  tests: {image: 'x:1', depends_on: [web]}\n", main)
    assert names(job) == ["app", "it/web", "it"]
    assert step(job, "it/web").container.image == BuiltImage(step=1)
    assert step(job, "it").container.image == NamedImage(name="busybox:1")


def test_a_check_runs_as_it_is_written_and_has_its_time() -> None:
    db = step(compose_job(PROJECT), "it/db")
    assert (db.ready, db.ready_timeout_s) == (HealthCheck(words=("pg_isready",)), 202)
    web = step(compose_job(PROJECT), "it/web")
    assert (web.ready, web.ready_timeout_s) == (HealthCheck(), 60)


def test_volumes_are_folders_of_the_job_and_of_one_compose_step() -> None:
    main = f"steps:\n  - {{name: a, compose: {FILE}}}\n  - {{name: b, compose: {FILE}}}\n"
    text = "services:\n  tests: {image: 'x:1', volumes: ['data:/data:ro', '/own']}\nvolumes: {data: {driver: local}}\n"
    volumes = [each.container.job_volumes for each in compose_job(text, main).steps if isinstance(each, PluginStep)]
    found = [(volume.name, volume.path, volume.read_only) for of_step in volumes for volume in of_step]
    assert found == [("1-data", "/data", True), ("", "/own", False), ("2-data", "/data", True), ("", "/own", False)]


def test_what_is_mounted_of_the_checkout_is_a_volume_that_begins_as_a_copy() -> None:
    text = """\
services:
  db: {image: 'x:1', volumes: ['./init.sql:/docker-entrypoint-initdb.d/init.sql:ro,z', '..:/app/', '../init:/i']}
  tests:
    image: x:1
    depends_on: [db]
    volumes: [{type: bind, source: ./init.sql, target: /etc/mysql/my.cnf, read_only: true, bind: {propagation: x}}]
"""
    db, tests = (each.container.job_volumes for each in compose_job(text).steps if isinstance(each, PluginStep))
    assert [(each.path, each.read_only, each.checkout) for each in (*db, *tests)] == [
        ("/docker-entrypoint-initdb.d/init.sql", True, "ci/init.sql"),
        ("/app", False, "."),
        ("/i", False, "init"),
        ("/etc/mysql/my.cnf", True, "ci/init.sql"),
    ]
    assert tests[0].name == db[0].name, "both see the same copy"
    assert len({each.name for each in db}) == 3
    assert all(each.name.startswith("1-~") for each in db), "no volume of the file can have such a name"


def test_the_graph_of_the_file_goes_through_the_services() -> None:
    main = f"""\
steps:
  - {{name: first, image: 'x:1', commands: x}}
  - {{name: beside, image: 'x:1', commands: x}}
  - {{name: it, compose: {FILE}, depends_on: first}}
  - {{name: lone, compose: ci/other.yml, depends_on: }}
  - {{name: after, image: 'x:1', commands: x, depends_on: it}}
"""
    (job,) = compose_plan(PROJECT, main, others={"ci/other.yml": ONE}).jobs
    needs = {each.name: each.needs for each in job.steps}
    assert needs == {
        "first": (), "beside": (), "it/tests build": (1,), "it/web build": (1,), "it/db": (1,),
        "it/migrate": (1, 3, 5), "it/web": (1, 3, 6), "it": (1, 4, 5, 6, 7), "lone": (), "after": (8,),
    }  # fmt: skip


def test_steps_that_depend_on_a_detached_project_wait_for_all_of_it() -> None:
    main = f"""\
steps:
  - {{name: it, compose: {FILE}, detach: true, depends_on: []}}
  - {{name: after, image: 'x:1', commands: x, depends_on: [it, {{name: gone, optional: true}}]}}
"""
    job = compose_job("services:\n  db: {image: 'x:1'}\n  cache: {image: 'x:1'}\n", main)
    assert [(each.name, each.needs) for each in job.steps] == [("it/db", ()), ("it/cache", ()), ("after", (1, 2))]
    assert step(job, "it/db").detach


def test_without_a_graph_steps_after_a_detached_project_follow_it() -> None:
    main = f"steps:\n  - {{name: it, compose: {FILE}, detach: true}}\n  - {{name: z, image: 'x:1', commands: x}}\n"
    job = compose_job("services:\n  db: {image: 'x:1'}\n  cache: {image: 'x:1'}\n", main)
    assert [(each.name, each.needs) for each in job.steps] == [("it/db", ()), ("it/cache", (1,)), ("z", (2,))]


def test_conditions_failure_and_the_keys_of_the_verdict_reach_their_steps() -> None:
    main = f"""\
steps:
  - name: it
    compose: {{file: {FILE}, command: [sh, -c, 'x']}}
    when: {{status: [success, failure]}}
    failure: ignore
    timeout: 5m
    retry: 2
    artifacts: out/
    reports: {{junit: r.xml}}
"""
    job = compose_job(PROJECT, main)
    assert {(each.on_failure, each.failure) for each in job.steps} == {(True, "ignore")}
    last = step(job, "it")
    assert (last.timeout_s, last.container.command) == (300, ("sh", "-c", "x"))
    assert last.retry
    assert last.artifacts
    assert last.reports
    assert [each.timeout_s for each in job.steps[:-1]] == [None] * 5


def test_a_condition_that_does_not_hold_leaves_all_of_it_out() -> None:
    main = f"steps:\n  - {{name: it, compose: {FILE}, when: {{event: tag}}}}\n  - {{image: 'x:1', commands: x}}\n"
    plan = compose_plan(PROJECT, main)
    assert [len(job.steps) for job in plan.jobs] == [1]
    assert len(plan.left_out) == 6


def test_the_environment_of_the_step_fills_in_the_file_and_goes_where_it_is_named() -> None:
    main = f"""\
steps:
  - name: it
    compose: {FILE}
    environment: {{TAG: 17, EMPTY: "", TOKEN: {{from_secret: tok}}, UNUSED: x}}
"""
    text = """\
services:
  tests:
    image: x:${TAG:?needed}
    environment: [TAG, TOKEN, GONE, "A=${EMPTY:-d}${EMPTY-e}${TAG:+p}${EMPTY:+q}${GONE+r}", "B=$$TAG}", "C=$TAG"]
"""
    last = step(compose_job(text, main), "it")
    assert last.container.image == NamedImage(name="x:17")
    own = {name: last.container.environment[name] for name in ("TAG", "TOKEN", "A", "B", "C")}
    expected = {"TAG": ("17",), "TOKEN": (SecretRef(secret="tok"),), "A": ("dp",), "B": ("$TAG}",), "C": ("17",)}
    assert own == expected
    assert not {"GONE", "UNUSED"} & set(last.container.environment)


def test_an_old_list_of_variables_works_too() -> None:
    main = f"steps:\n  - {{name: it, compose: {FILE}, environment: [TAG=17]}}\n"
    assert compose_service("command: 'x $TAG ${TAG}'", main=main).container.command == ("x", "17", "17")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", ["it/db", "it"]),
        ("profiles: [extra]", ["it/db", "it/more", "it"]),
        ("service: other", ["it/db", "it/tests", "it"]),
    ],
)
def test_profiles_and_the_named_service_decide_what_runs(asked: str, expected: list[str]) -> None:
    text = """\
services:
  tests: {image: 'x:1', depends_on: [db]}
  db: {image: 'x:1'}
  more: {image: 'x:1', profiles: [extra]}
  other: {image: 'x:1', profiles: [rare], depends_on: [tests]}
"""
    main = f"steps:\n  - name: it\n    compose: {{file: {FILE}, service: tests, {asked}}}\n"
    main = main.replace("service: tests, service", "service")
    assert names(compose_job(text, main)) == expected


def test_what_waits_for_the_verdict_is_not_started() -> None:
    main = f"steps:\n  - {{name: it, compose: {{file: {FILE}, service: b}}}}\n"
    text = "services:\n  a: {image: 'x:1'}\n  b: {image: 'x:1'}\n  c: {image: 'x:1', depends_on: [b]}\n"
    assert names(compose_job(text, main)) == ["it/a", "it"]
    (warning,) = compose_problems(text, main)
    assert "'c' waits for 'b', which runs to its end, and is not started" in warning


def test_a_step_without_a_name_and_a_map_of_steps_work() -> None:
    assert names(compose_job(ONE, f"steps:\n  - compose: {FILE}\n")) == ["compose"]
    assert names(compose_job(ONE, f"steps:\n  it: {{compose: {FILE}}}\n")) == ["it"]


def test_a_fragment_may_have_a_compose_step() -> None:
    main = "steps:\n  - include: ci/f.yml\n"
    (job,) = compose_plan(ONE, main, others={"ci/f.yml": STEP}).jobs
    assert names(job) == ["it"]
    found = compose_problems("services: {}\n", STEP)
    assert len(found) == 1


def test_problems_say_through_which_fragment_they_come() -> None:
    with pytest.raises(InvalidPipelineError) as error:
        compose_plan("x: 1\n", "steps:\n  - include: ci/f.yml\n", others={"ci/f.yml": STEP})
    assert "(included at ci/f.yml:2:25, .headway.yml:2:14)" in str(error.value.problems[0])


def test_the_files_that_are_read_are_found_before_variables_have_values() -> None:
    main = "steps:\n  - compose: a.yml\n  - compose: {file: b.yml}\n  - compose: ${X}.yml\n  - compose: [c.yml]\n"
    other = Address("f.yml", "https://git.example.com/a.git", "0" * 40)
    assert included(main.encode()) == [Address("a.yml"), Address("b.yml"), Address(".env")]
    assert included(main.encode(), other) == [Address("a.yml"), Address("b.yml"), Address(".env")]


def test_lint_sees_the_same_file() -> None:
    assert compose_hints("services:\n  db: {image: 'postgres:17', healthcheck: {disable: true}}\n") == []
    assert "unknown key 'imag'" in compose_hints("services:\n  db: {imag: 'postgres:17', build: .}\n")[0]


def test_a_matrix_fills_in_each_cell() -> None:
    main = f"""\
matrix: {{V: [16, 17]}}
steps:
  - {{name: it, compose: {FILE}, environment: {{V: "${{V}}"}}}}
"""
    jobs = compose_plan("services:\n  t: {image: 'postgres:$V'}\n", main).jobs
    images = [each.container.image for job in jobs for each in job.steps if isinstance(each, PluginStep)]
    assert images == [NamedImage(name="postgres:16"), NamedImage(name="postgres:17")]


def test_a_workflow_of_woodpeckers_may_have_one_too() -> None:
    assert names(compose_job(ONE, STEP)) == ["it"]
