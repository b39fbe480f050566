"""The graphs of a run's page: its workflows, and the steps of one job, with what they really wait for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.state import State
from web.operations.verdicts.planned import planned_steps
from web.pages.filters import elapsed, state_display
from web.pages.run.job_list import JobGroup, ListedJob
from web.pages.run.layout import NODES_MAX, Layout, layout_of

_WIDTH, _HEIGHT = 184, 52
_GAP_X, _GAP_Y, _MARGIN = 44, 14, 3
_NAME_CHARS_MAX = 20
CELLS_DRAWN_MAX = 24
_CELL, _CELL_GAP, _CELLS_IN_ROW = 9, 4, 12


_SERVICE_ICONS = {"failed": "failed", "ready": "passed", "ended": "passed", "starting": "running"}


@dataclass(frozen=True)
class Node:
    """What a graph shows of a workflow, a step or a service. ``href`` is empty where there is nothing to open.

    ``words`` is all of it for a reader who does not see the drawing.
    """

    key: str
    name: str
    note: str
    icon: str
    words: str
    href: str = ""
    current: bool = False
    cells: Sequence[str] = ()
    x: int = 0
    y: int = 0

    @property
    def shown_name(self) -> str:
        """As much of the name as fits."""
        return self.name if len(self.name) <= _NAME_CHARS_MAX else self.name[: _NAME_CHARS_MAX - 1] + "…"

    @property
    def squares(self) -> list[tuple[int, int, str]]:
        """The cells of a matrix with their places in the node."""
        found = []
        for number, icon in enumerate(self.cells[:CELLS_DRAWN_MAX]):
            row, column = divmod(number, _CELLS_IN_ROW)
            found.append((12 + column * (_CELL + _CELL_GAP), 46 + row * (_CELL + _CELL_GAP), icon))
        return found

    @property
    def height(self) -> int:
        """Of its box."""
        rows = -(-min(len(self.cells), CELLS_DRAWN_MAX) // _CELLS_IN_ROW)
        return _HEIGHT + rows * (_CELL + _CELL_GAP)


@dataclass(frozen=True)
class Graph:
    """A drawing: nodes with their places, and the lines between them as paths of SVG. ``too_many`` are not drawn."""

    title: str
    nodes: Sequence[Node] = ()
    lines: Sequence[str] = ()
    width: int = 0
    height: int = 0
    too_many: int = 0
    node_width: int = field(default=_WIDTH)


def graphs_of(groups: Sequence[JobGroup], ignored: Collection[int], here: str, now: int) -> list[Graph]:
    """The graph of the workflows, where there are several, and that of the steps of the job whose log is shown."""
    found = []
    if len(groups) > 1:
        needs = {group.name: group.jobs[0].job.needs for group in groups}
        found.append(_drawn("Workflows", {group.name: _workflow(group, here, now) for group in groups}, needs))
    shown = next((group.open for group in groups if group.open), None)
    if shown and len(shown.steps) + len(shown.job.services) > 1:
        title = f"Steps of {shown.job.title}" if shown.job.title else "Steps"
        planned = planned_steps(shown.job)
        nodes = {str(step.number): _step(shown, index, ignored, here, now) for index, step in enumerate(shown.steps)}
        needs = {
            str(step.number): [str(each) for each in planned[step.number].needs] if step.number in planned else []
            for step in shown.steps
        }
        services = {f"service {each['name']}": _service(each) for each in shown.job.services}
        found.append(_drawn(title, nodes | services, needs | {key: [] for key in services}))
    return found


def _workflow(group: JobGroup, here: str, now: int) -> Node:
    jobs = [each.job for each in group.jobs]
    display = state_display(group.state)
    cells = f"{group.passed} of {len(jobs)} passed" if group.is_matrix else ""
    started = min((job.started_ms for job in jobs if job.started_ms is not None), default=None)
    ends = [job.finished_ms for job in jobs]
    finished = None if None in ends else max((end for end in ends if end is not None), default=None)
    note = ", ".join(filter(None, (cells or display.word.lower(), elapsed(started, finished, now))))
    link = group.open or min(group.jobs, key=lambda each: each.job.state not in {State.FAILED, State.BROKEN})
    return Node(
        key=group.name,
        name=group.name or "pipeline",
        note=note,
        icon=display.icon,
        words=_words(group.name or "pipeline", display.word, note, jobs[0].needs),
        href=f"{here}?step={link.link.id}" if link.link else "",
        current=group.open is not None,
        cells=[state_display(job.state).icon for job in jobs] if group.is_matrix else (),
    )


def _step(listed: ListedJob, index: int, ignored: Collection[int], here: str, now: int) -> Node:
    step = listed.steps[index]
    names = {each.number: each.name for each in listed.steps}
    planned = planned_steps(listed.job).get(step.number)
    display = state_display(step.state)
    kinds = ["ignored"] * (step.id in ignored) + ["detached"] * (step.id in listed.detached)
    reused = "unchanged" if "reused" in step.facts else elapsed(step.started_ms, step.finished_ms, now)
    note = ", ".join(filter(None, (display.word.lower(), *kinds, reused)))
    needs = [names[each] for each in planned.needs if each in names] if planned else []
    words = _words(step.name, display.word, note, needs)
    return Node(str(step.number), step.name, note, display.icon, words, f"{here}?step={step.id}")


def _service(service: Mapping[str, str]) -> Node:
    icon = _SERVICE_ICONS.get(service["state"], "queued")
    note = f"service, {service['state']}"
    return Node(f"service {service['name']}", service["name"], note, icon, f"{service['name']}: {note}")


def _words(name: str, state: str, note: str, needs: Sequence[str]) -> str:
    said = note if note.startswith(state.lower()) else f"{state.lower()}, {note}"
    return f"{name}: {said}" + (f"; after {', '.join(needs)}" if needs else "")


def _drawn(title: str, nodes: Mapping[str, Node], needs: Mapping[str, Sequence[str]]) -> Graph:
    if len(nodes) > NODES_MAX:
        return Graph(title, too_many=len(nodes))
    layout = layout_of(needs)
    tops = _tops(layout, nodes)
    placed = {
        key: Node(**{**vars(node), "x": _left(layout, key), "y": tops[key]}) for key, node in nodes.items()
    }  # fmt: skip
    lines = [_line(placed[source], placed[target]) for source, target in layout.edges]
    width = max((node.x + _WIDTH for node in placed.values()), default=0) + _MARGIN
    height = max((node.y + node.height for node in placed.values()), default=0) + _MARGIN
    return Graph(title, list(placed.values()), lines, width, height)


def _left(layout: Layout, key: str) -> int:
    return _MARGIN + layout.places[key].column * (_WIDTH + _GAP_X)


def _tops(layout: Layout, nodes: Mapping[str, Node]) -> dict[str, int]:
    """Where each node begins: all rows have the height of their highest node."""
    heights: dict[int, int] = {}
    for key, place in layout.places.items():
        heights[place.row] = max(heights.get(place.row, 0), nodes[key].height)
    starts, top = {}, _MARGIN
    for row in range(max(heights, default=-1) + 1):
        starts[row] = top
        top += heights.get(row, 0) + _GAP_Y
    return {key: starts[place.row] for key, place in layout.places.items()}


def _line(source: Node, target: Node) -> str:
    x1, y1, x2, y2 = source.x + _WIDTH, source.y + _HEIGHT // 2, target.x, target.y + _HEIGHT // 2
    bend = _GAP_X // 2
    return f"M{x1} {y1}H{x2 - 2 * bend}C{x2 - bend} {y1} {x2 - bend} {y2} {x2} {y2}"
