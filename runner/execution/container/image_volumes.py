"""What an image's VOLUMEs hide of the workspace: the engine mounts those below the workspace's folder over it."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from pipelines.plan import Container, JobPlan


def hidden_by_volumes(plan: JobPlan, container: Container, volumes: Iterable[str]) -> tuple[str, str]:
    """Two sentences, or empty texts: why the whole checkout is hidden, and which of its folders are.

    A VOLUME at the workspace's own folder, or above it, hides nothing, because the workspace is mounted last. Nor does
    one where the pipeline file mounts something itself.
    """
    mounted = {entry.split(":")[1] for entry in container.volumes if ":" in entry}
    mounted |= {each.path for each in container.job_volumes}
    mounted |= {entry.partition(":")[0] for entry in container.tmpfs}
    taken = set(map(PurePosixPath, mounted))
    base, checkout = PurePosixPath(plan.workspace_base), PurePosixPath(plan.workspace)
    found = sorted(path for path in map(PurePosixPath, volumes) if base in path.parents and path not in taken)
    whole = next((path for path in found if checkout.is_relative_to(path)), None)
    parts = ", ".join(str(path) for path in found if checkout in path.parents)
    hint = "let `workspace` (base and path) place the checkout elsewhere, or use an image without this VOLUME"
    hides = f"the image hides the checkout, which is in {checkout}: its Dockerfile has VOLUME {whole}; {hint}"
    other = f"the image has VOLUME {parts}: the step sees the image's folder there, not the checkout's"
    return hides if whole else "", other if parts else ""
