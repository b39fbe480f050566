"""The page about monitoring, its alert rules and its dashboard name the metrics that exist, and all of them."""

import json
import re
from typing import Any

import yaml
from starlette.testclient import TestClient

from tests.support.documents import blocks_of, text_of
from tests.support.paths import DOCS
from web.hooks.endpoint import VERDICTS
from workers.store.runs.metrics import WAITS

PAGE = DOCS / "running" / "monitoring.md"
ALERTS = DOCS / "running" / "monitoring" / "alerts.yml"
DASHBOARD = DOCS / "running" / "monitoring" / "dashboard.json"
_PART_OF_HISTOGRAM = re.compile(r"_(?:bucket|sum|count)$")


def kinds_of(client: TestClient) -> dict[str, str]:
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", client.get("/metrics").text, re.MULTILINE))


def names_in(expressions: list[str]) -> set[str]:
    """The metrics that the expressions use, histograms by the name of their family."""
    return {
        _PART_OF_HISTOGRAM.sub("", name)
        for expression in expressions
        for name in re.findall(r"headway_\w+", expression)
    }


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text_of(ALERTS))["groups"] for rule in group["rules"]]


def test_the_page_lists_every_metric_and_its_kind(program: TestClient) -> None:
    listed = dict(re.findall(r"^\| `(headway_\w+)` \| (\w+) \|", text_of(PAGE), re.MULTILINE))
    assert listed == kinds_of(program)


def test_alerts_and_dashboard_use_metrics_that_exist(program: TestClient) -> None:
    panels = json.loads(text_of(DASHBOARD))["panels"]
    shown = names_in([target["expr"] for panel in panels for target in panel["targets"]])
    alerted = names_in([rule["expr"] for rule in rules()])
    known = set(kinds_of(program))
    assert (shown - known, alerted - known) == (set(), set())
    assert known - shown - alerted == {"headway_build_info"}


def test_an_alert_says_what_is_wrong() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    assert all(rule["annotations"]["summary"].endswith(".") for rule in rules())


def test_the_page_names_every_reason_and_verdict() -> None:
    text = text_of(PAGE)
    assert [word for word in (*WAITS, *VERDICTS) if f"`{word}`" not in text] == []
    (example,) = [block for block in blocks_of(PAGE) if block.label == "yaml prometheus"]
    assert yaml.safe_load(example.text)["scrape_configs"][0]["job_name"] == "headway"
