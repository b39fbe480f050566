"""Plans how a job gets its source: by the native checkout, which reads the settings of plugin-git, or by own steps."""

from collections.abc import Sequence

from pipelines.compiler.job_input import JobInput
from pipelines.model.workflow import PluginStep, Service, Step
from pipelines.plan import Checkout, LeftOut
from pipelines.syntax.diagnostics import did_you_mean
from pipelines.syntax.scalars import is_on, scalar_text

_KNOWN_SETTINGS = frozenset({"depth", "recursive", "lfs", "tags"})
# Settings without effect: the native checkout comes from a local mirror, and retries by itself.
_WITHOUT_EFFECT = frozenset(
    {"partial", "attempts", "backoff", "submodule_override", "submodule_update_remote", "submodule_partial", "branch"}
    | {"ref", "remote", "sha", "path", "custom_cert", "custom_ssl_url", "custom_ssl_path", "skip_verify", "tree_depth"}
    | {"fetch_filter", "ssh_key", "ssh_key_file", "object_format", "event", "safe_directory", "use_ssh", "home"}
)


def plan_checkout(job: JobInput) -> tuple[Checkout | None, Sequence[Step], Sequence[LeftOut]]:
    """The native checkout or None, the steps of ``clone`` that run as steps, and what was left out."""
    workflow = job.workflow
    if workflow.skip_clone:
        return None, (), ()
    if not workflow.clone:
        return Checkout(), (), ()
    native: Checkout | None = None
    left_out = []
    for index, step in enumerate(workflow.clone):
        if is_git(step):
            made = _checkout(job, index, step)
            decision = job.decide(step.when, "clone", index, "when", of_step=True)
            native = made if decision.runs else native
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


def _checkout(job: JobInput, index: int, step: Step) -> Checkout:
    settings = step.settings if isinstance(step, PluginStep) else {}
    for key in settings:
        if key not in _KNOWN_SETTINGS | _WITHOUT_EFFECT:
            place = job.located.key_place("clone", index, "settings", key)
            job.diagnostics.warning(
                place, f"the setting '{key}' of the checkout has no effect", did_you_mean(key, _KNOWN_SETTINGS)
            )
    depth = scalar_text(settings.get("depth", 1))
    if not depth.isascii() or not depth.isdigit():
        place = job.place("clone", index, "settings", "depth")
        job.diagnostics.error(place, f"the depth of the checkout is a number of commits, not '{depth}'", "0 means all")
        depth = "1"
    return Checkout(
        depth=int(depth),
        submodules=is_on(settings.get("recursive")),
        lfs=is_on(settings.get("lfs")),
        tags=is_on(settings.get("tags")),
    )
