"""Services in an image that the same file builds, and what detached steps say of when they are ready."""

import pytest

from pipelines.plan import BuiltImage, CommandsStep, PluginStep
from pipelines.step_options.ready import CommandCheck, HttpCheck, PortCheck
from tests.support.pipelines import job_of, of_kind, plan_of, problems_of

BUILD = "- {name: app, build: .}\n"
SERVICE = "services:\n- {name: web, image: {build: app}, ready: {port: 8080}}\n"
TEST = "- {name: test, image: alpine, commands: x}\n"


def test_a_service_runs_in_the_image_of_a_build_step() -> None:
    (service,) = job_of(f"{SERVICE}steps:\n{TEST}{BUILD}{TEST.replace('test', 'more')}").services
    assert (service.container.image, service.build) == (BuiltImage(step=2), 2)
    assert service.container.directory == ""
    assert service.ready == PortCheck(port=8080)


def test_a_service_of_a_pulled_image_waits_for_no_build() -> None:
    (service,) = job_of(f"services: [{{name: db, image: 'postgres:17'}}]\nsteps:\n{TEST}").services
    assert service.build == 0


def test_the_last_build_of_a_name_that_runs_counts() -> None:
    steps = "- {name: app, build: a}\n- {name: app, build: b}\n- {name: app, build: c, when: {branch: other}}\n"
    (service,) = job_of(f"{SERVICE}steps:\n{steps}").services
    assert service.container.image == BuiltImage(step=2)


def test_a_service_whose_image_is_not_built_does_not_run_either() -> None:
    plan = plan_of(f"{SERVICE}steps:\n- {{name: app, build: ., when: {{branch: other}}}}\n{TEST}")
    assert plan.jobs[0].services == ()
    (left_out,) = [each for each in plan.left_out if each.what.startswith("service")]
    assert "service 'web'" in left_out.what
    assert "branch" in left_out.why


@pytest.mark.parametrize(
    ("service", "problem"),
    [
        ("image: {build: apq}", "service 'web' wants the image of 'apq', which no step builds; did you mean 'app'?"),
        ("image: {build: test}", "service 'web' wants the image of 'test', which no step builds; "),
        ("environment: {A: b}", "service 'web' has no image; add 'image: NAME', or image: {build: STEP}"),
    ],
)
def test_a_service_without_an_image_is_reported(service: str, problem: str) -> None:
    found = problems_of(f"services:\n- {{name: web, {service}}}\nsteps:\n{BUILD}{TEST}")
    assert any(problem in each for each in found), found
    assert len(found) == 1


def detached(ready: str, more: str = "detach: true, ", rest: str = "commands: serve") -> str:
    return f"steps:\n- {{name: web, image: alpine, {more}ready: {ready}, {rest}}}\n{TEST}"


def test_a_detached_step_says_what_those_after_it_wait_for() -> None:
    step = of_kind(CommandsStep, job_of(detached("curl localhost")).steps[0])
    assert (step.ready, step.ready_timeout_s) == (CommandCheck(command="curl localhost"), 60)
    late = of_kind(CommandsStep, job_of(detached("{http: 'http://:80/', timeout: 2m}")).steps[0])
    assert (late.ready, late.ready_timeout_s) == (HttpCheck(url="http://:80/"), 120)
    plugin = of_kind(PluginStep, job_of(detached("{port: 80}", rest="settings: {a: b}")).steps[0])
    assert plugin.ready == PortCheck(port=80)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (detached("{port: 80}", more=""), "'ready' goes only with 'detach' in step 'web'; write detach: true"),
        (detached("exit"), "'ready: exit' does not go with 'detach' in step 'web'; remove 'detach' and 'ready'"),
        (detached("{port: 65536}"), "'ready' of step 'web' is not one check; write a command"),
        (detached("{port: 80, http: 'http://:80/'}"), "'ready' of step 'web' is not one check; write a command"),
    ],
)
def test_what_does_not_go_with_ready_is_reported(text: str, problem: str) -> None:
    (found,) = problems_of(text)
    assert problem in found


def test_the_largest_port_is_one() -> None:
    step = of_kind(CommandsStep, job_of(detached("{port: 65535}")).steps[0])
    assert step.ready == PortCheck(port=65535)
