"""``headway plan``: triggers from the command line, and the plan in every format."""

import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.trigger import Event, Trigger
from runner.cli.main import app
from runner.cli.plan import PlanOptions, show_plan, trigger_of
from runner.source.working_tree import working_tree
from tests.support.git_server import git_server
from tests.support.paths import DOCS
from tests.support.repos import Repo

PIPELINE = """\
services:
  db: {image: "postgres:17", ready: {port: 5432}}
steps:
  app: {build: .}
  lint: {image: "python:3.13", commands: ruff check, depends_on: []}
  test: {commands: pytest}
  publish: {push: {repo: registry.example.org/team/app}, depends_on: [lint, test]}
  report: {image: "alpine:3", commands: ./r.sh, depends_on: [test], when: {status: [failure, canceled]}}
  release: {image: "alpine:3", commands: x, when: {event: tag}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".headway.yml").write_text(PIPELINE)
    return tmp_path


def run(folder: Path, **options: Any) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = show_plan(PlanOptions(folder, **options), out, err)
    return code, out.getvalue(), err.getvalue()


def test_the_tree_shows_order_images_and_what_is_left_out(folder: Path) -> None:
    code, out, err = run(folder)
    assert (code, err) == (0, "")
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "for push to branch 'main':",
        "workflow 'headway' (.headway.yml)",
        "├─ service db postgres:17 ready: port 5432",
        "├─ 1 app build Dockerfile in .",
        "├─ 1 lint python:3.13",
        "├─ 2 test the image of 'app' after 'app'",
        "├─ 3 publish push registry.example.org/team/app: latest after 'app', 'lint', 'test'",
        "└─ 3 report alpine:3 after 'test'; on failure and canceled",
        "left out:",
        "step 'release' of workflow 'headway': the event is push, not tag",
    ]
    assert len({line.index("after") for line in out.splitlines() if "after" in line}) == 1


def test_steps_one_after_the_other_need_no_words_about_it(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").write_text("steps: {a: {image: i, commands: x}, b: {image: i, commands: y}}")
    assert run(tmp_path)[1].splitlines()[2:] == ["├─ 1  a  i", "└─ 2  b  i"]


def test_workflows_and_cells_of_a_matrix(tmp_path: Path) -> None:
    (tmp_path / ".headway").mkdir()
    (tmp_path / ".headway" / "a.yml").write_text("depends_on: b\nsteps: [{name: s, image: i, commands: x}]")
    (tmp_path / ".headway" / "b.yml").write_text("matrix: {GO: ['1', '2']}\nsteps: [{name: s, image: 'go:${GO}'}]")
    assert run(tmp_path)[1].splitlines() == [
        "for push to branch 'main':",
        "workflow 'b' GO=1 (.headway/b.yml)",
        "└─ 1  s  go:1",
        "workflow 'b' GO=2 (.headway/b.yml)",
        "└─ 1  s  go:2",
        "workflow 'a' (.headway/a.yml), after 'b'",
        "└─ 1  s  i",
    ]


def test_services_say_when_they_are_ready(tmp_path: Path) -> None:
    services = "{a: {image: i, ready: ls}, b: {image: i, ready: {http: 'http://:80/'}}, c: {image: i}}"
    (tmp_path / ".headway.yml").write_text(f"services: {services}\nsteps: [{{name: s, image: i}}]")
    assert [" ".join(line.split()) for line in run(tmp_path)[1].splitlines()[2:5]] == [
        "├─ service a i ready: ls",
        "├─ service b i ready: http://:80/",
        "├─ service c i",
    ]


@pytest.mark.parametrize(("format_", "edge"), [("dot", "  j1s1 -> j0s1;"), ("mermaid", "  j1s1 --> j0s1")])
def test_workflows_that_wait_are_joined_in_a_graph(tmp_path: Path, format_: str, edge: str) -> None:
    (tmp_path / ".headway").mkdir()
    (tmp_path / ".headway" / "a.yml").write_text("depends_on: b\nsteps: [{name: s, image: i}]")
    (tmp_path / ".headway" / "b.yml").write_text("steps: [{name: s, image: i}]")
    assert edge in run(tmp_path, format=format_)[1].splitlines()


def test_nothing_to_run_is_said_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").write_text("when: {branch: dev}\nsteps: [{name: s, image: i, commands: x}]")
    assert run(tmp_path)[1].splitlines() == [
        "for push to branch 'main' nothing runs",
        "left out:",
        "   workflow 'headway': the branch is 'main', not 'dev'",
    ]


def test_json(folder: Path) -> None:
    code, out, _ = run(folder, format="json", tag="v1.2.3")
    found = json.loads(out)
    assert code == 0
    assert found["trigger"] == "tag 'v1.2.3'"
    (job,) = found["jobs"]
    assert [(step["name"], step["kind"], step["order"], step["needs"]) for step in job["steps"]] == [
        ("app", "build", 1, []),
        ("lint", "commands", 1, []),
        ("test", "commands", 2, [1]),
        ("publish", "push", 3, [1, 2, 3]),
        ("report", "commands", 3, [3]),
        ("release", "commands", 1, []),
    ]
    assert job["steps"][3]["image"] == "registry.example.org/team/app: 1, 1.2, 1.2.3"
    assert job["steps"][4]["runs_after"] == ["failure", "canceled"]
    assert job["services"] == [{"name": "db", "image": "postgres:17", "ready": "port 5432", "resources": ""}]


def test_dot_is_read_by_graphviz_where_it_is_installed(folder: Path) -> None:
    out = run(folder, format="dot")[1]
    assert "j0s1 -> j0s3;" in out
    assert "j0s3 -> j0s4;" in out
    assert "style=dashed, label=\"step 'release' of workflow 'headway'\\nthe event is push, not tag\"" in out
    assert out.count("{") == out.count("}")
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=out.encode(), capture_output=True, check=True)


def test_mermaid(folder: Path) -> None:
    lines = run(folder, format="mermaid")[1].splitlines()
    assert lines[0] == "flowchart LR"
    assert "    j0s3[\"test<br>the image of 'app'\"]" in lines
    assert "  j0s1 --> j0s3" in lines
    assert any(line.startswith("  out0[") and line.endswith(":::out") for line in lines)


@pytest.mark.parametrize("format_", ["dot", "mermaid"])
def test_names_cannot_break_out_of_a_label(tmp_path: Path, format_: str) -> None:
    (tmp_path / ".headway.yml").write_text("steps: [{name: 'a\"]; b[\"\\\\', image: i, commands: x}]")
    out = run(tmp_path, format=format_)[1]
    label = next(line for line in out.splitlines() if "j0s1" in line)
    assert len(re.findall(r'(?<!\\)"', label)) == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (Event.PUSH, "refs/heads/main", "main", "")),
        ({"branch": "dev"}, (Event.PUSH, "refs/heads/dev", "dev", "")),
        ({"tag": "v2"}, (Event.TAG, "refs/tags/v2", "", "v2")),
        ({"event": "tag"}, (Event.TAG, "refs/tags/v1.0.0", "", "v1.0.0")),
        ({"pull_request": True, "branch": "dev"}, (Event.PULL_REQUEST, "refs/pull/1/head", "dev", "")),
        ({"event": "pull_request_closed"}, (Event.PULL_REQUEST_CLOSED, "refs/pull/1/head", "main", "")),
        ({"cron": "nightly"}, (Event.CRON, "refs/heads/main", "main", "")),
        ({"inputs": ("A=b",)}, (Event.MANUAL, "refs/heads/main", "main", "")),
        ({"event": "release"}, (Event.RELEASE, "refs/heads/main", "main", "")),
    ],
)
def test_the_trigger_is_what_the_options_say(
    tmp_path: Path, options: dict[str, Any], expected: tuple[Event, str, str, str]
) -> None:
    trigger = trigger_of(PlanOptions(tmp_path, **options), working_tree(tmp_path))
    assert (trigger.event, trigger.ref, trigger.branch, trigger.tag) == expected
    assert (trigger.pull_request is not None) == expected[0].startswith("pull_request")


def test_files_message_and_inputs_are_those_that_are_given(tmp_path: Path) -> None:
    options = PlanOptions(tmp_path, files="a.py, b/c.py,", message="Fix [ALL]", inputs=("A=b=c",))
    trigger = trigger_of(options, working_tree(tmp_path))
    assert trigger.changed_files == ("a.py", "b/c.py")
    assert (trigger.message, trigger.inputs) == ("Fix [ALL]", {"A": "b=c"})


def test_changed_files_decide(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").write_text("steps: [{name: s, image: i, commands: x, when: {path: 'src/**'}}]")
    assert "no changed file matches 'src/**'" in run(tmp_path, files="README.md")[1]
    assert "└─ 1  s  i" in run(tmp_path, files="README.md,src/x.py")[1]


def test_a_whole_trigger_can_be_read_from_a_file(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "trigger.json"
    file.write_text(Trigger(event=Event.PUSH, sha="0" * 40, ref="refs/heads/x", branch="x").model_dump_json())
    assert run(folder, trigger=file)[1].startswith("for push to branch 'x':")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"event": "psh"}, "there is no event 'psh'; the events are push, tag,"),
        ({"format": "xml"}, "there is no format 'xml'; the formats are text, json, dot, mermaid"),
        ({"inputs": ("A",)}, "the input 'A' is not NAME=VALUE"),
    ],
)
def test_a_wrong_command_line_is_2(folder: Path, options: dict[str, Any], sentence: str) -> None:
    code, out, err = run(folder, **options)
    assert (code, out) == (2, "")
    assert err.startswith(f"headway: {sentence}")


def test_a_trigger_that_is_none_is_2(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "trigger.json"
    code, _, err = run(folder, trigger=file)
    assert (code, err) == (2, f"headway: {file} cannot be read: No such file or directory\n")
    file.write_text('{"event": "push"}')
    assert run(folder, trigger=file)[2].startswith(f"headway: {file} is not a trigger: sha: ")
    file.write_text("[")
    assert "is not a trigger: " in run(folder, trigger=file)[2]


def test_a_folder_without_a_pipeline_is_2(tmp_path: Path) -> None:
    assert run(tmp_path)[0] == 2


def test_a_pipeline_with_errors_is_1_and_says_what_lint_says(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").write_text("steps: [{image: i, comands: x}]")
    assert run(tmp_path) == (
        1,
        "",
        ".headway.yml:1:20: error: unknown key 'comands' in step 1; did you mean 'commands'?\n",
    )


def test_a_dockerfile_alone_has_a_plan(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    assert "└─ 1  build  build Dockerfile in ." in run(tmp_path)[1]


def test_what_a_server_would_do_is_shown_and_not_what_a_laptop_would(tmp_path: Path) -> None:
    steps = "steps: [{name: s, image: i, commands: x, privileged: true, when: {local: %s}}]"
    (tmp_path / ".headway.yml").write_text(steps % "false")
    assert "└─ 1  s  i" in run(tmp_path)[1]
    (tmp_path / ".headway.yml").write_text(steps % "true")
    assert "it is for local runs only" in run(tmp_path)[1]


def test_the_verb_takes_the_options(folder: Path) -> None:
    result = CliRunner().invoke(app, ["plan", "--tag", "v1.0.0", "--format", "json", str(folder)])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["trigger"] == "tag 'v1.0.0'"


def test_the_manual_shows_what_the_verb_says(tmp_path: Path) -> None:
    page = (DOCS / "using" / "pipelines.md").read_text(encoding="utf-8")
    (tmp_path / ".headway.yml").write_text(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    shown = re.findall(r"```text plan\n(.*?)```", page, re.DOTALL)
    assert shown == [run(tmp_path, tag="v1.2.3")[1], run(tmp_path, pull_request=True)[1]]


def test_a_workflow_that_runs_on_failure_says_so(tmp_path: Path) -> None:
    steps = "steps: [{name: s, image: 'a:1', commands: x}]"
    (tmp_path / ".headway").mkdir()
    for name, keys in (
        ("test", ""),
        ("alarm", "depends_on: [test]\nwhen: {status: failure}\n"),
        ("both", "depends_on: [test]\nruns_on: [success, failure]\n"),
    ):
        (tmp_path / ".headway" / f"{name}.yml").write_text(keys + steps)
    out = run(tmp_path)[1]
    assert "workflow 'alarm' (.headway/alarm.yml), after 'test', on failure\n" in out
    assert "workflow 'both' (.headway/both.yml), after 'test', on success and failure\n" in out
    assert "workflow 'test' (.headway/test.yml)\n" in out
    jobs = {job["name"]: job["runs_after"] for job in json.loads(run(tmp_path, format="json")[1])["jobs"]}
    assert jobs == {"test": ["success"], "alarm": ["failure"], "both": ["success", "failure"]}


def test_the_steps_of_a_fragment_are_in_the_plan(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").write_text("steps:\n  - include: test.yml\n    with: {V: '3.13'}\n")
    (tmp_path / "test.yml").write_text("inputs: {V: }\nsteps: [{name: t, image: 'python:${V}', commands: x}]\n")
    code, out, err = run(tmp_path)
    assert (code, err) == (0, "")
    assert "t  python:3.13" in out
    (tmp_path / "test.yml").unlink()
    code, _, err = run(tmp_path)
    assert code == 1
    assert ".headway.yml:2:14: error: the fragment cannot be read: test.yml is not a file" in err


def test_a_fragment_of_another_repository_is_in_the_plan_and_stays_in_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    other = Repo(tmp_path / "served" / "ci.git")
    sha = other.commit({"test.yml": "steps:\n  - {name: shared, image: 'alpine:3', commands: x}\n"})
    work = tmp_path / "work"
    app = Repo(tmp_path / "app.git")
    app.commit({"README": "x"})
    subprocess.run(["git", "clone", "-q", str(app.path), str(work)], check=True)
    with git_server(other.path.parent) as server:
        subprocess.run(["git", "-C", str(work), "remote", "set-url", "origin", f"{server.url}/app.git"], check=True)
        include = f"{{repo: '{server.url}/ci.git', sha: {sha}, path: test.yml}}"
        (work / ".headway.yml").write_text(f"steps:\n  - include: {include}\n")
        status, out, _ = run(work)
        assert (status, "shared" in out) == (0, True)
    assert len(list((tmp_path / "cache" / "headway" / "fragments").glob("*.git"))) == 1
    assert "shared" in run(work)[1], "without the server, from the mirror"


def test_the_keys_of_caches_are_in_the_plan(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").write_text(
        "steps:\n  - name: test\n    image: 'node:22'\n    commands: npm test\n"
        "    cache: [npm, {key: m-checksum(a.lock), paths: node_modules}]\n"
    )
    code, out, _ = run(tmp_path)
    assert code == 0
    assert "caches npm-checksum(**/package-lock.json ...), m-checksum(a.lock)" in out
    code, out, _ = run(tmp_path, format="json")
    (step,) = json.loads(out)["jobs"][0]["steps"]
    assert step["caches"] == ["npm-checksum(**/package-lock.json ...)", "m-checksum(a.lock)"]


def test_the_files_of_secrets_are_in_the_plan_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").write_text(
        "steps:\n  - name: test\n    image: 'node:22'\n    commands: npm test\n"
        "    secrets: [{source: key, file: /run/secrets/key}]\n"
    )
    code, out, _ = run(tmp_path)
    assert (code, "secrets in /run/secrets/key" in out) == (0, True)
    code, out, _ = run(tmp_path, format="json")
    (step,) = json.loads(out)["jobs"][0]["steps"]
    assert step["secret_files"] == ["/run/secrets/key"]
