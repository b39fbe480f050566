"""The names that containers of a job reach each other by, for which no proxy is used."""

from pipelines.plan import Container, JobPlan, NamedImage, PluginStep, Service
from runner.execution.job.host_names import host_names

BOX = Container(image=NamedImage(name="x:1"))


def test_a_service_of_a_compose_file_has_its_aliases_and_another_detached_step_its_name() -> None:
    aliased = BOX.model_copy(update={"aliases": ("db", "store")})
    steps = (
        PluginStep(number=1, name="it/db", container=aliased, detach=True),
        PluginStep(number=2, name="web", container=BOX, detach=True),
        PluginStep(number=3, name="it", container=BOX),
    )
    plan = JobPlan(name="x", file="x", number=1, steps=steps, services=(Service(name="cache", container=BOX),))
    assert host_names(plan) == ("cache", "db", "store", "web")
