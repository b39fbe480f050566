"""Formats a plan as a text tree, as JSON, and as a graph for Graphviz or Mermaid."""

import json
from collections.abc import Iterator, Sequence

from pipelines.visible import visible_line
from runner.cli.plan_view import JobView, PlanView, ServiceView, StepView

FORMATS = ("text", "json", "dot", "mermaid")
COLUMN_CHARACTERS_MAX = 50


def render(name: str, view: PlanView) -> str:
    """The plan in one of FORMATS."""
    match name:
        case "json":
            return json.dumps(view.as_values(), ensure_ascii=False, indent=2) + "\n"
        case "dot":
            return "\n".join(map(visible_line, _dot(view))) + "\n"
        case "mermaid":
            return "\n".join(map(visible_line, _mermaid(view))) + "\n"
        case _:
            return "\n".join(map(visible_line, _text(view))) + "\n"


def _text(view: PlanView) -> Iterator[str]:
    yield from view.warnings
    yield f"for {view.trigger}:" if view.jobs else f"for {view.trigger} nothing runs"
    for job in sorted(view.jobs, key=lambda job: job.order):
        yield title(job)
        rows = [*map(_service_row, job.services), *_step_rows(job)]
        widths = [min(max(len(row[column]) for row in rows), COLUMN_CHARACTERS_MAX) for column in range(3)]
        for index, row in enumerate(rows):
            branch = "└─" if index == len(rows) - 1 else "├─"
            cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
            yield f"{branch} {'  '.join([*cells, *row[3:]])}".rstrip()
    if view.left_out:
        yield "left out:"
        yield from (f"   {item.what}: {item.why}" for item in view.left_out)


def title(job: JobView) -> str:
    """The job in one line."""
    cell = "".join(f" {axis}={value}" for axis, value in job.cell.items())
    after = f", after {_names(job.needs)}" if job.needs else ""
    outcomes = f", on {' and '.join(job.runs_after)}" if job.runs_after != ("success",) else ""
    return f"workflow '{job.name}'{cell} ({job.file}){after}{outcomes}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _service_row(service: ServiceView) -> tuple[str, ...]:
    notes = [f"ready: {service.ready}"] if service.ready else []
    notes += [f"at most {service.resources}"] if service.resources else []
    return "service", service.name, service.image, "; ".join(notes)


def _step_rows(job: JobView) -> Iterator[tuple[str, ...]]:
    steps = sorted(job.steps, key=lambda step: (step.order, step.number))
    names = {step.number: step.name for step in steps}
    side_by_side = len({step.order for step in steps}) < len(steps)
    for step in steps:
        notes = [f"after {_names([names[need] for need in step.needs])}"] if side_by_side and step.needs else []
        if step.runs_after != ("success",):
            notes.append(f"on {' and '.join(step.runs_after) or 'nothing'}")
        listed = (
            ("keeps", step.artifacts),
            ("sources", step.sources),
            ("caches", step.caches),
            ("reports", step.reports),
            ("secrets in", step.secret_files),
        )
        notes += [f"{word} {', '.join(values)}" for word, values in listed if values]
        notes += filter(None, (step.reuse, step.retry))
        if step.resources:
            notes.append(f"at most {step.resources}")
        yield str(step.order), step.name, f"{_kind(step)}{step.image}", "; ".join(notes)


def _kind(step: StepView) -> str:
    return f"{step.kind} " if step.kind in {"build", "push"} else ""


def _dot(view: PlanView) -> Iterator[str]:
    yield "digraph plan {"
    yield '  rankdir=LR; compound=true; node [shape=box, fontname="sans-serif"];'
    for number, job in enumerate(view.jobs):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={_quoted(title(job))};"
        for service_number, service in enumerate(job.services):
            yield f"    j{number}v{service_number} [style=rounded, label={_quoted(service.name, service.image)}];"
        for step in job.steps:
            yield f"    j{number}s{step.number} [label={_quoted(step.name, _kind(step) + step.image)}];"
        yield "  }"
        yield from (f"  {edge};" for edge in _edges(view, number, "->"))
    for number, item in enumerate(view.left_out):
        yield f"  out{number} [style=dashed, label={_quoted(item.what, item.why)}];"
    yield "}"


def _mermaid(view: PlanView) -> Iterator[str]:
    yield "flowchart LR"
    for number, job in enumerate(view.jobs):
        yield f"  subgraph job{number}[{_entities(title(job))}]"
        for service_number, service in enumerate(job.services):
            yield f"    j{number}v{service_number}([{_entities(service.name, service.image)}])"
        for step in job.steps:
            yield f"    j{number}s{step.number}[{_entities(step.name, _kind(step) + step.image)}]"
        yield "  end"
        yield from (f"  {edge}" for edge in _edges(view, number, "-->"))
    for number, item in enumerate(view.left_out):
        yield f"  out{number}[{_entities(item.what, item.why)}]:::out"
    if view.left_out:
        yield "  classDef out stroke-dasharray: 4"


def _edges(view: PlanView, number: int, arrow: str) -> Iterator[str]:
    """Arrows from each step to the steps that need it, and from each job to the jobs that need it."""
    job = view.jobs[number]
    for step in job.steps:
        yield from (f"j{number}s{need} {arrow} j{number}s{step.number}" for need in step.needs)
    first = job.steps[0].number
    for other, needed in enumerate(view.jobs):
        if needed.name in job.needs:
            yield f"j{other}s{needed.steps[-1].number} {arrow} j{number}s{first}"


def _quoted(*lines: str) -> str:
    """A quoted label for Graphviz."""
    escaped = [line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") for line in lines]
    return '"' + "\\n".join(escaped) + '"'


def _entities(*lines: str) -> str:
    """A label with everything escaped that is syntax in Mermaid."""
    plain = "<br>".join(
        "".join(char if char.isalnum() or char in " .,:/'-_=()" else f"#{ord(char)};" for char in line)
        for line in lines
    )
    return f'"{plain}"'
