"""A workflow of GitHub Actions: each of its jobs is a workflow here, because each has a checkout of its own."""

from dataclasses import replace
from posixpath import basename

from pipelines.context import PipelineFile
from pipelines.importers.github.calls.files import CalledFiles, Read
from pipelines.importers.github.calls.replacing import EXPANDED_CHARACTERS_MAX, Budget, TooLargeError
from pipelines.importers.github.calls.workflows import CalledJob, WorkflowCalls
from pipelines.importers.github.jobs import File, Job, job_of, run_defaults
from pipelines.importers.github.triggers import triggers_of
from pipelines.importers.keys import Keys, entries_of, text_of, texts_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.workflow_files import FileNames, workflow_file
from pipelines.importers.yaml_text import Value
from pipelines.syntax.nodes import MapNode
from pipelines.syntax.yaml import parse_documents


def import_github(path: str, text: str, remarks: Remarks, read: Read) -> list[PipelineFile]:
    """The workflows of a file, with what it calls in the repository; none where ``remarks`` says why."""
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
            _nothing_starts(root, remarks)
            return []
        calls = WorkflowCalls(CalledFiles(remarks, read), Budget())
        file = _file(path, keys, calls, triggers.conditions, triggers.input_names)
        called = _called_jobs(calls, keys)
        keys.remark_rest()
    jobs = [job for each in called if (job := job_of(each.name, each.node, _file_of(each, file))) is not None]
    if not jobs:
        remarks.no_pipeline(None, "no job of this file can run here")
        return []
    for job in jobs if triggers.inputs else ():
        job.workflow["inputs"] = dict(triggers.inputs)
    return _files(path, jobs, len(called), comments)


def _nothing_starts(root: MapNode, remarks: Remarks) -> None:
    on = root.by_key.get("on")
    if ([key.text for key, _ in entries_of(on)] or texts_of(on)) != ["workflow_call"]:  # which has a remark
        remarks.error(root.place, "nothing that starts a run here is in 'on'; no job would run", "write 'on'")


def _called_jobs(calls: WorkflowCalls, keys: Keys) -> list[CalledJob]:
    entries, place = entries_of(keys.take("jobs")), keys.place("jobs")
    try:
        return calls.jobs(entries)
    except TooLargeError:
        text = f"what the jobs call has more than {EXPANDED_CHARACTERS_MAX:,} characters; they are left out"
        calls.files.remarks.error(place, text, "import a part of it")
        return []


def _file_of(job: CalledJob, file: File) -> File:
    """What a job shares with the others of its own file: that of the called workflow, if it is of one."""
    if job.top is None:
        return file
    keys = Keys(job.top, file.remarks, f"the workflow that job '{job.name}' is of")
    for key in ("name", "run-name", "permissions"):
        keys.take(key)
    env = {key.text: text_of(value) for key, value in entries_of(keys.take("env"))}
    shell, directory = run_defaults(keys.take("defaults"), file.remarks)
    own = replace(file, env=env, shell=shell, directory=directory, concurrency=keys.take("concurrency"))
    keys.remark_rest()
    return own


def _file(
    path: str, keys: Keys, calls: WorkflowCalls, conditions: list[dict[str, Value]], inputs: frozenset[str]
) -> File:
    remarks = calls.files.remarks
    keys.take("run-name")
    if keys.take("permissions") is not None:
        remarks.note(keys.place("permissions"), "'permissions' are left out: no token is made for a run")
    env = {key.text: text_of(value) for key, value in entries_of(keys.take("env"))}
    shell, directory = run_defaults(keys.take("defaults"), remarks)
    title = keys.text("name") or basename(path)
    return File(remarks, calls, conditions, inputs, env, title, shell, directory, keys.take("concurrency"))


def _files(path: str, jobs: list[Job], count: int, comments: list[str]) -> list[PipelineFile]:
    stem = basename(path).rpartition(".")[0] or "workflow"
    names = FileNames()
    named = {job.name.lower(): names.of(stem if count == 1 else f"{stem}-{job.name}") for job in jobs}
    files: list[PipelineFile] = []
    for number, job in enumerate(jobs):
        needs: list[Value] = [
            {"name": named[each], "optional": True} if "status" in str(job.workflow["when"]) else named[each]
            for each in (need.lower() for need in job.needs)
            if each in named
        ]
        if needs:
            job.workflow["depends_on"] = needs
        own = [*comments, *job.comments] if number == 0 else list(job.comments)
        files.append(workflow_file(named[job.name.lower()], path, job.workflow, own))
    return files
