"""Refuses what a job may not use of the host, whatever its plan says.

The compiler reports the same keys with their places in the file. This is for plans that are older than the decision,
and for what is known only when the step runs.
"""

from collections.abc import Iterable, Iterator, Sequence

from pipelines.context import Access, Trust
from pipelines.images.host_options import build_keys, container_keys, foreign_frontend, kinds_of_cache
from pipelines.plan import BuildStep, JobPlan, PushStep, Step
from pipelines.state import Reason
from pipelines.visible import visible_line
from runner.builds.remote_files import RemoteFile, remote_files
from runner.docker.client import Engine
from runner.errors import StepError
from runner.execution.job.job import Job
from runner.logs.output import Output
from runner.network.host_addresses import gateways, leads_to_host

DOWNLOAD_HOSTS_COUNT_MAX = 20
SOURCE_CHARS_MAX = 100
"""As much of a source is in a message."""


def check_plan(plan: JobPlan, trust: Trust) -> None:
    """Raises StepError if a step or service needs trust that the job does not have. Nothing was started by then."""
    for label, keys in _keys_of(plan):
        for key, needed in keys:
            if not getattr(trust, needed):
                raise _refusal(f"'{key}' in {label}", needed)


def _keys_of(plan: JobPlan) -> Iterator[tuple[str, Iterable[tuple[str, str]]]]:
    for service in plan.services:
        yield f"service '{service.name}'", container_keys(service.container)
    for step in plan.steps:
        yield f"step '{step.name}'", _keys_of_step(step)


def _keys_of_step(step: Step) -> Iterable[tuple[str, str]]:
    if isinstance(step, BuildStep):
        return build_keys(step)
    return () if isinstance(step, PushStep) else container_keys(step.container)


def check_dockerfile(text: str, access: Access, engine: Engine) -> None:
    """Raises StepError for a Dockerfile that loads a foreign frontend, which could reach the caches of other
    repositories, or that has the engine download something from its host.
    """
    frontend = foreign_frontend(text)
    if frontend and not access.host.security:
        raise _refusal(f"the syntax line of the Dockerfile ({frontend})", "security")
    check_downloads(remote_files(text), access, engine)


def check_downloads(files: Sequence[RemoteFile], access: Access, engine: Engine) -> None:
    """Raises StepError if ADD would download from the engine's host or its cloud, in the host's own network.

    Names and redirects can lead anywhere, and a fork may own both: what an untrusted build downloads it has to know.
    """
    if access.host.network or not files:
        return
    for file in files:
        if access.untrusted and not file.has_checksum:
            raise _unknown_download(file)
        if not file.host:
            raise _unknown_host(file)
    hosts = dict.fromkeys(file.host for file in files)
    if len(hosts) > DOWNLOAD_HOSTS_COUNT_MAX:
        raise _refusal(f"ADD from more than {DOWNLOAD_HOSTS_COUNT_MAX} hosts", "network")
    own = gateways(engine)
    for host in hosts:
        if leads_to_host(host, own):
            raise _refusal(f"ADD from {host}, an address of the engine's host or its cloud,", "network")


def _unknown_download(file: RemoteFile) -> StepError:
    what = f"downloads a file from {file.host}" if file.host else f"may download what a variable names ({_shown(file)})"
    return StepError(
        Reason.INVALID_PIPELINE,
        f"ADD in the Dockerfile {what}, which the engine does in its host's network: an untrusted run may not; write "
        f"`ADD --checksum=sha256:... URL`, download it in a RUN, or write ./FILE for a file of the repository",
    )


def _unknown_host(file: RemoteFile) -> StepError:
    return StepError(
        Reason.INVALID_PIPELINE,
        f"ADD {_shown(file)} in the Dockerfile needs trust in 'network', which this run "
        f"does not have: it cannot be told from which host the engine would download it; write the host out, without "
        f"variables that the base image sets or patterns, or write ./FILE for a file of the repository",
    )


def _shown(file: RemoteFile) -> str:
    return visible_line(file.source[:SOURCE_CHARS_MAX])


def _refusal(what: str, trust: str) -> StepError:
    hint = "an administrator can give it to the repository; no repository has it for untrusted commits"
    return StepError(Reason.INVALID_PIPELINE, f"{what} needs trust in '{trust}', which this run does not have; {hint}")


def own_caches_only(job: Job, step: BuildStep, output: Output) -> BuildStep:
    """The build step without the caches that it may not write. One inside the image is its own."""
    if job.assignment.access.shared_caches:
        return step
    kept = tuple(entry for entry in step.cache_to if kinds_of_cache(entry) == {"inline"})
    if kept != step.cache_to:
        output.note(f"writes no shared cache: this run is untrusted ({job.assignment.access.untrusted})")
    return step.model_copy(update={"cache_to": kept})
