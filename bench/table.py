"""Results as a table for people and as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.result import Kind, Measured, Row, Target

_SIGNS = {Kind.RATIO_AT_MOST: "<=", Kind.RATIO_AT_LEAST: ">=", Kind.FIGURE_AT_MOST: "<="}


@dataclass(frozen=True)
class Line:
    """A row with what became of it: ``measured``, or the reason why it could not be."""

    row: Row
    measured: Measured | None
    reason: str = ""

    @property
    def verdict(self) -> str:
        """One word for the last column."""
        if self.measured is None:
            return "not measured"
        holds = self.row.target.holds(self.measured.figure, self.measured.ratio)
        return "holds" if holds else "MISSED"


def show(lines: Sequence[Line], machine: Mapping[str, Any], console: Console) -> None:
    """Prints the table, the notes below it, and the machine."""
    table = Table(show_lines=False, pad_edge=False)
    for title in ("row", "what", "ours", "baseline", "ratio", "target", ""):
        table.add_column(title, justify="right" if title in {"ours", "baseline", "ratio", "target"} else "left")
    for line in lines:
        table.add_row(*_cells(line))
    console.print(table)
    for line in lines:
        if text := line.reason or (line.measured.note if line.measured else ""):
            console.print(f"{line.row.name}: {text}", markup=False, highlight=False)
    console.print(
        "machine: " + ", ".join(f"{name} {value}" for name, value in machine.items()), markup=False, highlight=False
    )


def _cells(line: Line) -> tuple[str, ...]:
    row, found = line.row, line.measured
    what = f"{row.title}\n[dim]{f'against {row.baseline}' if row.baseline else ''}[/dim]".rstrip()
    if found is None:
        return row.name, what, "-", "-", "-", _target(row), line.verdict
    baseline = "" if found.baseline is None else _figure(found.baseline, row.unit)
    ratio = "" if found.ratio is None else f"{found.ratio:.2f}"
    return row.name, what, _figure(found.figure, row.unit), baseline, ratio, _target(row), line.verdict


def _figure(value: float, unit: str) -> str:
    match unit:
        case "%":
            return f"{value:.2f} %"
        case "s" if abs(value) < 1:
            return f"{value * 1000:.0f} ms"
        case "s":
            return f"{value:.2f} s"
        case _:
            return f"{value:,.0f} {unit}"


def _target(row: Row) -> str:
    target: Target = row.target
    unit = f" {row.unit}" if target.kind is Kind.FIGURE_AT_MOST else ""
    goal = "" if target.goal is None else f" (goal {target.goal:g})"
    return f"{_SIGNS[target.kind]} {target.limit:g}{unit}{goal}"


def write(path: Path, lines: Sequence[Line], machine: Mapping[str, Any], started_at: str, took_s: float) -> None:
    """Writes everything, every round included."""
    rows = [_json(line) for line in lines]
    whole = {"started_at": started_at, "took_s": round(took_s, 1), "machine": dict(machine), "rows": rows}
    path.write_text(json.dumps(whole, indent=2) + "\n")


def _json(line: Line) -> dict[str, Any]:
    row, found = line.row, line.measured
    said: dict[str, Any] = {
        "name": row.name,
        "title": row.title,
        "baseline_title": row.baseline,
        "unit": row.unit,
        "target": {"kind": row.target.kind, "limit": row.target.limit, "goal": row.target.goal},
        "verdict": line.verdict.lower(),
    }
    if found is None:
        return {**said, "reason": line.reason}
    return {
        **said,
        "figure": _rounded(found.figure),
        "baseline": None if found.baseline is None else _rounded(found.baseline),
        "ratio": None if found.ratio is None else _rounded(found.ratio),
        "holds": row.target.holds(found.figure, found.ratio),
        "rounds": {name: [_rounded(value) for value in values] for name, values in found.rounds.items()},
        "note": found.note,
    }


def _rounded(value: float) -> float:
    return round(value, 4)
