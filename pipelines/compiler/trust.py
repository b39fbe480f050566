"""Which keys of a container reach the host, and so need an administrator's trust in the repository."""

from collections.abc import Iterator

from pipelines.compiler.containers import Options
from pipelines.compiler.job_input import JobInput

KEYS = {
    "security": ("privileged",),
    "volumes": ("volumes", "devices", "tmpfs"),
    "network": ("dns", "dns_search", "extra_hosts", "network_mode"),
}
"""The keys, by the field of ``Trust`` that they need."""


def keys_that_need_trust(options: Options) -> Iterator[tuple[str, str]]:
    """The keys of ``options`` that need trust, each with the field of ``Trust``. ``network_mode: none`` needs none."""
    for trust, keys in KEYS.items():
        for key in keys:
            value = getattr(options, key)
            if value and not (key == "network_mode" and value == "none"):
                yield key, trust


def check_trust(job: JobInput, options: Options, where: tuple[str | int, ...], label: str) -> None:
    """Reports keys that need trust which the repository does not have. Local runs need none."""
    if job.context.local:
        return
    for key, trust in keys_that_need_trust(options):
        if not getattr(job.context.repo.trust, trust):
            job.diagnostics.error(
                job.located.key_place(*where, key),
                f"'{key}' in {label} needs trust in '{trust}', which this repository does not have",
                f"an administrator can give it in the repository's settings; else remove '{key}'",
            )
