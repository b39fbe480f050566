"""Reports keys that reach the host where an administrator's trust in the repository is missing."""

from collections.abc import Iterable

from pipelines.compiler.containers import Options
from pipelines.compiler.job_input import JobInput
from pipelines.images.host_options import BuildOptions, build_keys, container_keys


def check_trust(job: JobInput, options: Options, where: tuple[str | int, ...], label: str) -> None:
    """Reports keys of a container that need trust which this run does not have. Local runs need none."""
    _check(job, container_keys(options), where, label)


def check_build_trust(job: JobInput, build: BuildOptions, where: tuple[str | int, ...], label: str) -> None:
    """Reports keys of a build that need trust which this run does not have. Local runs need none."""
    _check(job, build_keys(build), where, label)


def _check(job: JobInput, keys: Iterable[tuple[str, str]], where: tuple[str | int, ...], label: str) -> None:
    context = job.context
    if context.local:
        return
    for key, trust in keys:
        if getattr(context.repo.trust, trust):
            continue
        place = job.located.key_place(*where, key)
        if context.untrusted:
            message = f"'{key}' in {label} needs trust in '{trust}', which this run does not have: {context.untrusted}"
            job.diagnostics.error(place, message, f"remove '{key}', or push the commit to a branch of the repository")
        else:
            message = f"'{key}' in {label} needs trust in '{trust}', which this repository does not have"
            hint = f"an administrator can give it in the repository's settings; else remove '{key}'"
            job.diagnostics.error(place, message, hint)
