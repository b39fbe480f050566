"""What the runner refuses whatever the plan says: a plan may be older than the decision about its job."""

from typing import Any

import pytest

from pipelines.context import FULL_TRUST, Access, Trust
from pipelines.plan import Container, NamedImage
from pipelines.state import Reason, State
from tests.support.engine import JobRunner
from tests.support.plans import build, container, push, secrets_hex, service, shell
from tests.support.registry import Registry

pytestmark = pytest.mark.engine

WHY = "it comes from a fork"
UNTRUSTED = Access(untrusted=WHY)
DOCKERFILE = {"Dockerfile": "FROM busybox\n"}
OPTIONS = [
    ("privileged", True, "security"),
    ("volumes", ("/etc:/host",), "volumes"),
    ("devices", ("/dev/null:/dev/x",), "volumes"),
    ("tmpfs", ("/x",), "volumes"),
    ("dns", ("1.1.1.1",), "network"),
    ("dns_search", ("corp",), "network"),
    ("extra_hosts", ("a:1.1.1.1",), "network"),
    ("network_mode", "host", "network"),
]


@pytest.mark.parametrize(("key", "value", "trust"), OPTIONS)
def test_no_container_starts_with_an_option_that_the_job_may_not_use(
    ran: JobRunner, key: str, value: object, trust: str
) -> None:
    box = Container.model_validate({"image": NamedImage(name="busybox"), key: value})
    others = Access(FULL_TRUST._replace(**{trust: False}), push=True, shared_caches=True)
    for steps, services in ((shell("true", box=box),), ()), ((shell("true"),), (service("db", "sleep 9", box=box),)):
        job = ran(*steps, services=services, access=others)
        assert (job.outcome.state, job.outcome.reason) == (State.FAILED, Reason.INVALID_PIPELINE)
        assert f"'{key}' in " in job.outcome.message
        assert f"needs trust in '{trust}', which this run does not have" in job.outcome.message
        assert job.states == [State.SKIPPED]


@pytest.mark.parametrize(
    ("key", "value", "trust"),
    [
        ("network", "host", "network"),
        ("ssh", ("default",), "ssh"),
        ("args", {"BUILDKIT_SYNTAX": "evil/frontend"}, "security"),
        ("cache_from", ("type=gha",), "network"),
        ("cache_to", ("type=s3,bucket=b",), "network"),
        ("dockerfile_inline", "# syntax=evil/frontend\nFROM busybox", "security"),
    ],
)
def test_no_build_starts_with_an_option_that_the_job_may_not_use(
    ran: JobRunner, key: str, value: Any, trust: str
) -> None:
    job = ran(build(**{key: value}), files=DOCKERFILE, access=Access(FULL_TRUST._replace(**{trust: False})))
    assert f"'{key}' in step 'build' needs trust in '{trust}'" in job.outcome.message


def test_a_dockerfile_that_a_step_writes_may_not_load_a_foreign_frontend(ran: JobRunner) -> None:
    write = shell("printf '# syntax=evil/frontend\\nFROM busybox\\n' > Dockerfile", box=container("busybox"))
    job = ran(write, build(), files=DOCKERFILE, access=Access(Trust(network=True, volumes=True, ssh=True)))
    assert job.states == [State.PASSED, State.FAILED]
    assert "the syntax line of the Dockerfile (evil/frontend) needs trust in 'security'" in job.step(2).message


def test_an_untrusted_job_pushes_nothing_also_with_a_login_of_its_own(ran: JobRunner, registry: Registry) -> None:
    name = f"{registry.host}/app-{secrets_hex()}"
    job = ran(build(), push(1, name), files=DOCKERFILE, access=UNTRUSTED)
    assert (job.step(2).state, job.step(2).reason) == (State.FAILED, Reason.PUSH_REFUSED)
    assert f"an untrusted run pushes nothing ({WHY})" in job.step(2).message
    assert ran(build(), push(1, name), files=DOCKERFILE).outcome.state is State.PASSED


def test_an_untrusted_job_writes_no_cache_for_others(ran: JobRunner, registry: Registry) -> None:
    shared = f"type=registry,ref={registry.host}/cache-{secrets_hex()}"
    if not ran.builder.metadata:
        pytest.skip("the build client of this engine writes no caches")
    job = ran(build(cache_to=(shared, "type=inline")), files=DOCKERFILE, access=UNTRUSTED)
    assert job.outcome.state is State.PASSED, job.outcome
    assert f"writes no shared cache: this run is untrusted ({WHY})" in job.log().decode()
    kept = ran(build(cache_to=("type=inline",)), files=DOCKERFILE, access=UNTRUSTED)
    assert "writes no shared cache" not in kept.log().decode()
