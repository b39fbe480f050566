"""The graphs of a run: its workflows with their cells, and the steps of the job that is shown."""

import json
from collections.abc import Mapping, Sequence

from pipelines.state import State
from web.pages.run.graph import CELLS_DRAWN_MAX, Graph, graphs_of
from web.pages.run.job_list import job_list
from web.pages.run.layout import NODES_MAX
from workers.db.models import Job, Step

HERE = "/repos/a/b/runs/1"


def step(number: int, job: int = 1, state: State = State.PASSED, name: str = "") -> Step:
    known = {"state": state, "facts": {}, "started_ms": 0, "finished_ms": 1500}
    return Step(id=100 * job + number, job_id=job, number=number, name=name or f"s{number}", **known)


def job(
    number: int,
    name: str,
    needs: Sequence[str] = (),
    steps: Mapping[int, Sequence[int]] | None = None,
    state: State = State.PASSED,
    cell: str = "",
    services: Sequence[Mapping[str, str]] = (),
) -> Job:
    plan = {"steps": [{"number": key, "needs": list(each), "detach": key == 9} for key, each in (steps or {}).items()]}
    own = {"cell": {"PYTHON": cell} if cell else {}, "services": list(services), "state": state}
    times = {"started_ms": 0, "finished_ms": 3000}
    return Job(id=number, number=number, name=name, needs=list(needs), plan=json.dumps(plan), **own, **times)


def drawn(
    *jobs: tuple[Job, list[Step]], chosen: Step | None = None, ignored: frozenset[int] = frozenset()
) -> list[Graph]:
    return graphs_of(job_list(jobs, ignored, chosen), ignored, HERE, 0)


def test_workflows_are_nodes_with_lines_to_what_they_need() -> None:
    first, second = (job(1, "build"), [step(1)]), (job(2, "deploy", ["build"], state=State.SKIPPED), [step(1, 2)])
    (graph,) = drawn(first, second)
    build, deploy = graph.nodes
    assert build.words == "build: passed, 3.0 s"
    assert deploy.words == "deploy: skipped, 3.0 s; after build"
    assert (build.icon, deploy.icon) == ("passed", "skipped")
    assert build.href == f"{HERE}?step=101"
    assert deploy.x > build.x + graph.node_width
    assert len(graph.lines) == 1
    assert graph.width > deploy.x + graph.node_width


def test_a_matrix_is_one_node_with_its_cells() -> None:
    states = [State.PASSED] * 11 + [State.FAILED]
    cells = [(job(n, "unit", ["build"], state=state, cell=f"3.{n}"), [step(1, n)]) for n, state in enumerate(states, 2)]
    (graph,) = drawn((job(1, "build"), [step(1)]), *cells)
    unit = graph.nodes[1]
    assert unit.words == "unit: failed, 11 of 12 passed, 3.0 s; after build"
    assert [kind for _, _, kind in unit.squares].count("failed") == 1
    assert unit.height > graph.nodes[0].height
    assert unit.href == f"{HERE}?step=1301"  # of the cell that failed


def test_so_many_cells_are_drawn() -> None:
    cells = [(job(n, "unit", cell=f"3.{n}"), [step(1, n)]) for n in range(2, CELLS_DRAWN_MAX + 3)]
    (graph,) = drawn((job(1, "build"), [step(1)]), *cells)
    assert len(cells) == CELLS_DRAWN_MAX + 1
    assert len(graph.nodes[1].squares) == CELLS_DRAWN_MAX


def test_steps_of_the_shown_job_have_their_real_needs_and_its_services_stand_with_them() -> None:
    own = job(1, "", steps={1: [], 2: [1], 9: [1]}, services=[{"name": "db", "state": "ready", "image": "x"}])
    steps = [step(1), step(2, state=State.FAILED), step(9)]
    (graph,) = drawn((own, steps), chosen=steps[1], ignored=frozenset({102}))
    words = [node.words for node in graph.nodes]
    assert words == [
        "s1: passed, 1.5 s",
        "s2: failed, ignored, 1.5 s; after s1",
        "s9: passed, detached, 1.5 s; after s1",
        "db: service, ready",
    ]
    assert graph.nodes[3].href == ""
    assert graph.title == "Steps"


def test_one_step_alone_has_no_graph() -> None:
    alone = step(1)
    assert drawn((job(1, "", steps={1: []}), [alone]), chosen=alone) == []


def test_a_job_without_a_plan_has_steps_without_lines() -> None:
    own = job(1, "")
    own.plan = None
    steps = [step(1), step(2)]
    (graph,) = drawn((own, steps), chosen=steps[0])
    assert graph.lines == []


def test_a_long_name_is_cut_in_the_drawing_alone() -> None:
    long = "integration tests on arm"
    steps = [step(1, name=long), step(2, name=long[:20])]
    (graph,) = drawn((job(1, "", steps={1: []}), steps), chosen=steps[0])
    assert graph.nodes[0].shown_name == "integration tests o…"
    assert graph.nodes[1].shown_name == long[:20]
    assert graph.nodes[0].words.startswith(long)


def test_so_many_nodes_are_drawn() -> None:
    steps = [step(number) for number in range(1, NODES_MAX + 2)]
    (fits,) = drawn((job(1, ""), steps[:-1]), chosen=steps[0])
    assert (len(fits.nodes), fits.too_many) == (NODES_MAX, 0)
    (beyond,) = drawn((job(1, ""), steps), chosen=steps[0])
    assert (len(beyond.nodes), beyond.too_many) == (0, NODES_MAX + 1)
