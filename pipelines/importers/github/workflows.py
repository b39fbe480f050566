"""A workflow of GitHub Actions: each of its jobs is a workflow here, because each has a checkout of its own."""

from posixpath import basename

from pipelines.context import PipelineFile
from pipelines.importers.github.jobs import File, Job, job_of, run_defaults
from pipelines.importers.github.triggers import triggers_of
from pipelines.importers.keys import Keys, entries_of, text_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.workflow_files import FileNames, workflow_file
from pipelines.importers.yaml_text import Value
from pipelines.syntax.nodes import MapNode
from pipelines.syntax.yaml import parse_documents


def import_github(path: str, text: str, remarks: Remarks) -> list[PipelineFile]:
    """The workflows of a file; none where ``remarks`` says why."""
    documents = parse_documents(text, remarks.diagnostics)
    root = documents[0] if documents else None
    if not isinstance(root, MapNode) or not entries_of(root.by_key.get("jobs")):
        if not remarks.diagnostics.failed:
            remarks.no_pipeline(None, "this is no workflow of GitHub Actions: it has no jobs")
        return []
    with remarks.comments() as comments:
        keys = Keys(root, remarks, "the workflow")
        triggers = triggers_of(keys.take("on"), remarks)
        if not triggers.conditions:
            remarks.error(root.place, "nothing that starts a run here is in 'on'; no job would run", "write 'on'")
            return []
        file = _file(path, keys, remarks, triggers.conditions, triggers.input_names)
        nodes = entries_of(keys.take("jobs"))
        keys.remark_rest()
    jobs = [job for key, node in nodes if (job := job_of(key.text, node, file)) is not None]
    if not jobs:
        remarks.no_pipeline(None, "no job of this file can run here")
        return []
    for job in jobs if triggers.inputs else ():
        job.workflow["inputs"] = dict(triggers.inputs)
    return _files(path, jobs, len(nodes), comments)


def _file(path: str, keys: Keys, remarks: Remarks, conditions: list[dict[str, Value]], inputs: frozenset[str]) -> File:
    keys.take("run-name")
    if keys.take("permissions") is not None:
        remarks.note(keys.place("permissions"), "'permissions' are left out: no token is made for a run")
    env = {key.text: text_of(value) for key, value in entries_of(keys.take("env"))}
    shell, directory = run_defaults(keys.take("defaults"), remarks)
    title = keys.text("name") or basename(path)
    return File(remarks, conditions, inputs, env, title, shell, directory, keys.take("concurrency"))


def _files(path: str, jobs: list[Job], count: int, comments: list[str]) -> list[PipelineFile]:
    stem = basename(path).rpartition(".")[0] or "workflow"
    names = FileNames()
    named = {job.name: names.of(stem if count == 1 else f"{stem}-{job.name}") for job in jobs}
    files: list[PipelineFile] = []
    for number, job in enumerate(jobs):
        needs: list[Value] = [
            {"name": named[each], "optional": True} if "status" in str(job.workflow["when"]) else named[each]
            for each in job.needs
            if each in named
        ]
        if needs:
            job.workflow["depends_on"] = needs
        own = [*comments, *job.comments] if number == 0 else list(job.comments)
        files.append(workflow_file(named[job.name], path, job.workflow, own))
    return files
