"""Plans how a job gets its source: by the native checkout, which reads the settings of plugin-git, or by own steps."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.compiler.job_input import JobInput
from pipelines.model.workflow import PluginStep, Service, Step
from pipelines.parser.discovery import dialect_of
from pipelines.plan import Checkout, LeftOut
from pipelines.syntax.diagnostics import did_you_mean
from pipelines.syntax.go_text import is_on, scalar_text

_KNOWN_SETTINGS = frozenset({"depth", "recursive", "lfs", "tags", "submodule_override", "submodule_update_remote"})
# How the plugin fetches and protects itself: the native checkout comes from a local mirror, and retries by itself.
_NOT_NEEDED = frozenset(
    {"partial", "attempts", "backoff", "submodule_partial", "tree_depth", "fetch_filter", "object_format", "event"}
    | {"safe_directory", "home"}
)
_HERE = {
    "branch": "the run's commit is checked out, without a branch; `git switch -c NAME` in a step makes one",
    "path": "`workspace` (base and path) of the workflow says where the checkout is",
    "ref": "the run's commit is checked out; fetch another in a step",
    "sha": "the run's commit is checked out; fetch another in a step",
    "remote": "the repository's address is set by `headway repo add`; clone another repository in a step",
    "skip_verify": "HEADWAY_CA_FILE of the worker names the certificates to trust",
    "custom_cert": "HEADWAY_CA_FILE of the worker names the certificates to trust",
    "ssh_key": "the worker's own SSH key is used, or `headway repo login`",
    "use_ssh": "the address of the repository says how it is cloned",
}
_HERE |= dict.fromkeys(("custom_ssl_path", "custom_ssl_url"), _HERE["custom_cert"]) | {"ssh_key_file": _HERE["ssh_key"]}


def plan_checkout(job: JobInput) -> tuple[Checkout | None, Sequence[Step], Sequence[LeftOut]]:
    """The native checkout or None, the steps of ``clone`` that run as steps, and what was left out."""
    workflow = job.workflow
    if workflow.skip_clone:
        return None, (), ()
    if not workflow.clone:
        return _checkout(job, None, {}), (), ()
    native: Checkout | None = None
    left_out = []
    for index, step in enumerate(workflow.clone):
        if is_git(step):
            made = _checkout(job, index, step.settings if isinstance(step, PluginStep) else {})
            decision = job.decide(step.when, "clone", index, "when", of_step=True)
            native = made if decision.runs else native
            if step.retry:
                place = job.located.key_place("clone", index, "retry")
                job.diagnostics.warning(
                    place, "'retry' of the checkout has no effect: it retries by itself", "remove it"
                )
            if not decision.runs:
                left_out.append(LeftOut(what=f"checkout of workflow '{job.name}'", why=decision.why))
    others = [step for step in workflow.clone if not is_git(step)]
    return native, others, left_out


def is_git(step: Step | Service) -> bool:
    """Is this plugin-git? A clone step without an image is one too."""
    if not isinstance(step, PluginStep):
        return False
    name = step.image.name if step.image else ""
    base = name.rpartition("/")[2].partition(":")[0].partition("@")[0]
    return not name or base in {"plugin-git", "drone-git"}


def _checkout(job: JobInput, index: int | None, settings: Mapping[str, Any]) -> Checkout:
    """``index`` is that of the step under ``clone``, which has the settings."""
    where = ("clone", index, "settings") if index is not None else ()
    for key in settings:
        if key not in _KNOWN_SETTINGS | _NOT_NEEDED:
            hint = _HERE.get(key) or did_you_mean(key, _KNOWN_SETTINGS)
            place = job.located.key_place(*where, key)
            job.diagnostics.warning(place, f"the setting '{key}' of the checkout has no effect", hint)
    depth = scalar_text(settings.get("depth", 1))
    if not depth.isascii() or not depth.isdigit():
        place = job.place(*where, "depth")
        job.diagnostics.error(place, f"the depth of the checkout is a number of commits, not '{depth}'", "0 means all")
        depth = "1"
    # Woodpecker's plugin fetches LFS files unless `lfs: false` is set.
    lfs = is_on(settings["lfs"]) if "lfs" in settings else dialect_of(job.located.diagnostics.file).lenient
    return Checkout(
        depth=int(depth),
        submodules=is_on(settings.get("recursive")),
        lfs=lfs,
        tags=is_on(settings.get("tags")),
        tag=job.trigger.tag,
        submodule_urls=_submodule_urls(job, where, settings.get("submodule_override")),
        submodules_newest=is_on(settings.get("submodule_update_remote")),
    )


def _submodule_urls(job: JobInput, where: tuple[str | int, ...], given: object) -> dict[str, str]:
    if given is None:
        return {}
    if isinstance(given, Mapping) and all(isinstance(url, str) for url in given.values()):
        return {str(name): url for name, url in given.items()}
    message = "'submodule_override' is a map of the names of submodules to addresses"
    job.diagnostics.error(job.place(*where, "submodule_override"), message, "write NAME: https://...")
    return {}
