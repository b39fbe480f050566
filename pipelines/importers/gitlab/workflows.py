"""A file of GitLab CI: its jobs are merged into as few workflows as they can share a checkout in."""

import re
from collections.abc import Iterator, Sequence

from pipelines.context import PipelineFile
from pipelines.importers.gitlab.conditions import Condition, text_values, when_of
from pipelines.importers.gitlab.jobs import Job, Scope, job_of
from pipelines.importers.gitlab.manual_jobs import by_hand, inputs
from pipelines.importers.gitlab.tree import Read, Tree, jobs_of
from pipelines.importers.keys import Keys, entries_of, items_of, text_of, texts_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.workflow_files import FileNames, workflow_file
from pipelines.importers.yaml_text import Commented, Value
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import MapNode

_STAGES = ("build", "test", "deploy")
_DEFAULTS = ("image", "services", "before_script", "after_script", "cache")
_HISTORY = re.compile(r"\bgit\s+(?:describe|log|diff|rev-list|tag|merge-base|fetch|push)\b")
MAIN = "ci"
"""The name of the workflow with the jobs that share a checkout."""


def import_gitlab(path: str, text: str, remarks: Remarks, read: Read) -> list[PipelineFile]:
    """The workflows of a file and of what it includes; none where ``remarks`` says why."""
    tree = Tree(remarks, read)
    root = tree.load(text)
    if root is None or not jobs_of(root):
        if not remarks.diagnostics.failed:
            remarks.no_pipeline(None, "this is no file of GitLab CI: it has no job")
        return []
    whole = {name: tree.job(root, name) for name in jobs_of(root)}
    variables = text_values(root.by_key.get("variables"))
    scope = Scope(remarks, variables, {})
    jobs: list[Job] = []
    with remarks.comments() as comments:
        when = _workflow_rules(root, variables, remarks)
        for name in _ordered(root, whole, remarks):
            node = tree.resolved(_with_defaults(root, whole[name] or root), root)
            if isinstance(node, MapNode) and (job := job_of(name, node, scope)):
                jobs.append(job)
    if not jobs:
        remarks.no_pipeline(None, "no job of this file can run here")
        return []
    shared: dict[str, Value] = {"clone": _clone(variables, text), "when": list[Value](when)}
    _remark_on_order(jobs, remarks)
    return _files(path, jobs, shared, comments)


def _with_defaults(root: MapNode, job: MapNode) -> MapNode:
    """The job with what ``default`` and the top of the file say for all."""
    default = root.by_key.get("default")
    given = {key.text: (key, value) for key, value in entries_of(root) if key.text in _DEFAULTS}
    given |= {key.text: (key, value) for key, value in entries_of(default)}
    missing = [entry for name, entry in given.items() if name not in job.by_key]
    return job.with_entries([*job.entries, *missing])


def _workflow_rules(root: MapNode, variables: dict[str, str], remarks: Remarks) -> list[Condition]:
    keys = Keys(root.by_key.get("workflow"), remarks, "'workflow'")
    found = when_of(keys, variables, remarks).conditions if keys.has("rules") else []
    for condition in found:
        condition.pop("status", None)  # of a whole pipeline, "always" means only that it is made
    for key in ("name", "auto_cancel"):
        keys.take(key)
    keys.remark_rest()
    return [] if {} in found else found


def _ordered(root: MapNode, whole: dict[str, MapNode | None], remarks: Remarks) -> list[str]:
    """The jobs by their stages, each after what it needs."""
    stages = [".pre", *(texts_of(root.by_key.get("stages")) or _STAGES), ".post"]
    index: dict[str, int] = {}
    for name, job in whole.items():
        stage = (texts_of(job.by_key.get("stage")) if job else []) or ["test"]
        if stage[0] not in stages and job:
            remarks.warning(job.key_place("stage"), f"there is no stage '{stage[0]}'; job '{name}' comes last")
        index[name] = stages.index(stage[0]) if stage[0] in stages else len(stages)
    found: dict[str, None] = {}
    for name in sorted(whole, key=lambda name: index[name]):
        _after_its_needs(name, whole, found, [])
    for name, job in whole.items():
        for place, other, is_optional in _needed(job):
            if other not in whole and not is_optional:
                remarks.warning(place, f"job '{name}' needs '{other}', which is no job of this file; it does not wait")
    return list(found)


def _needed(job: MapNode | None) -> Iterator[tuple[Place, str, bool]]:
    """What ``needs`` names: the place, the job, and whether it may be missing."""
    for item in items_of(job.by_key.get("needs") if job else None):
        named = item.by_key.get("job") if isinstance(item, MapNode) else item
        optional = item.by_key.get("optional") if isinstance(item, MapNode) else None
        yield from ((item.place, other, text_of(optional) == "true") for other in texts_of(named))


def _after_its_needs(
    name: str, whole: dict[str, MapNode | None], found: dict[str, None], on_the_way: list[str]
) -> None:
    job = whole.get(name)
    if name in found or name in on_the_way or job is None or len(on_the_way) > len(whole):
        return
    for _, other, _ in _needed(job):
        _after_its_needs(other, whole, found, [*on_the_way, name])
    found[name] = None


def _clone(variables: dict[str, str], text: str) -> Value:
    settings: dict[str, Value] = {}
    depth = variables.get("GIT_DEPTH", "")
    if depth.isdigit():
        settings["depth"] = int(depth)
    elif _HISTORY.search(text):
        settings |= {"depth": 0, "tags": True}
    if variables.get("GIT_SUBMODULE_STRATEGY") in {"normal", "recursive"}:
        settings["recursive"] = True
    return {"git": {"settings": settings}} if settings else {}


def _files(path: str, jobs: Sequence[Job], shared: dict[str, Value], comments: Sequence[str]) -> list[PipelineFile]:
    main, alone = _split(jobs)
    names = FileNames()
    files: list[PipelineFile] = []
    if main:
        order = ["Jobs of one stage run one after the other here: they share the checkout."] if len(main) > 1 else []
        workflow = _workflow(main, shared)
        later = [job.name for job in alone if job.matrix and jobs.index(job) < jobs.index(main[0])]
        if later:
            workflow["depends_on"] = [FileNames().of(name) for name in later]
        files.append(workflow_file(names.of(MAIN), path, workflow, [*order, *comments]))
    for job in alone:
        workflow = _workflow([job], shared)
        if main and jobs.index(main[0]) < jobs.index(job):
            workflow["depends_on"] = [{"name": MAIN, "optional": True}]
        if job.when.manual:
            workflow["inputs"] = inputs(job.name)
            workflow["when"] = _one_or_many(list[Value](by_hand(job.name, job.when.conditions)))
        elif job.matrix:
            workflow["matrix"] = {"include": job.matrix}
        files.append(workflow_file(names.of(job.name), path, workflow, []))
    return files


def _remark_on_order(jobs: Sequence[Job], remarks: Remarks) -> None:
    """Warns where jobs that share a checkout came after one that has a workflow of its own, between them."""
    main, alone = _split(jobs)
    for job in alone:
        before = [each for each in main if jobs.index(each) < jobs.index(job)]
        after = [each for each in main if jobs.index(each) > jobs.index(job) and each.stage != job.stage]
        if before and after and not job.when.manual:
            names = ", ".join(f"'{each.name}'" for each in after)
            remarks.warning(job.place, f"job '{job.name}' has a workflow of its own; here {names} do not wait for it")


def _split(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """The jobs that share one checkout, and those that need one of their own."""
    main: list[Job] = []
    alone: list[Job] = []
    services: dict[str, Value] = {}
    for job in jobs:
        same = all(services.get(name, value) == value for name, value in job.services.items())
        if job.matrix or job.when.manual or not same:
            alone.append(job)
        else:
            main.append(job)
            services |= job.services
    return main, alone


def _workflow(jobs: Sequence[Job], shared: dict[str, Value]) -> dict[str, Value]:
    conditions = [job.when.conditions for job in jobs]
    whole = shared["when"] if isinstance(shared["when"], list) else list[Value]()
    common = conditions[0] if all(each == conditions[0] for each in conditions) and not shared["when"] else []
    if any("status" in condition for condition in common) or common == [{}]:
        common = []
    services: dict[str, Value] = {}
    steps: list[Value] = []
    for job in jobs:
        services |= job.services
        when = [] if common or job.when.manual else job.when.conditions
        steps += [_with_when(step, when) for step in job.steps]
    workflow: dict[str, Value] = {
        "when": _one_or_many([*common] or whole),
        "clone": shared["clone"],
        "services": [{"name": name, **value} for name, value in services.items() if isinstance(value, dict)],
        "steps": steps,
    }
    if group := next((job.group for job in jobs if job.group), ""):
        workflow["concurrency"] = {"group": group, "limit": 1}
    return {key: value for key, value in workflow.items() if value not in ([], {})}


def _with_when(step: Value, when: list[Condition]) -> Value:
    if isinstance(step, Commented):
        return Commented(step.comments, _with_when(step.value, when))
    if isinstance(step, dict) and when and when != [{}]:
        step["when"] = _one_or_many(when)
    return step


def _one_or_many(conditions: Sequence[Value]) -> Value:
    return conditions[0] if len(conditions) == 1 else list(conditions)
