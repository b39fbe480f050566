"""Which system a file is of, what is wrong with it as a whole, and a file of Drone that runs as it is."""

import pytest

from pipelines.context import PipelineFile
from pipelines.importers.importing import import_files, system_of
from pipelines.importers.running import compile_own_files
from pipelines.problem import InvalidPipelineError
from pipelines.syntax.diagnostics import PROBLEMS_COUNT_MAX
from pipelines.syntax.yaml import TEXT_BYTES_MAX
from tests.support.imports import Import
from tests.support.pipelines import CONTEXT, push

DRONE = "kind: pipeline\nsteps:\n- {name: t, image: alpine, commands: [ls]}\n"


@pytest.mark.parametrize(
    ("path", "text", "system"),
    [
        ("a/.drone.yml", "", "drone"),
        (".drone.release.yaml", "", "drone"),
        (".gitlab-ci.yml", "", "gitlab"),
        ("ci/build.gitlab-ci.yml", "", "gitlab"),
        ("/x/.github/workflows/a.yaml", "", "github"),
        ("x.yml", DRONE, "drone"),
        ("x.yml", "pipeline:\n", "drone"),
        ("x.yml", "on: push\njobs:\n", "github"),
        ("x.yml", "jobs:\n  a:\n'on': push\n", "github"),
        ("x.yml", "stages: [a]\n", "gitlab"),
        ("x.yml", "a:\n  script: ls\n", "gitlab"),
        ("x.yml", "steps: []\n", ""),
    ],
)
def test_the_system_of_a_file(path: str, text: str, system: str) -> None:
    assert system_of(path, text) == system


def _remarks(data: bytes, system: str = "", path: str = "x.yml") -> list[str]:
    imported = import_files([PipelineFile(path, data)], system)
    assert imported.files == ()
    assert imported.failed
    return [str(remark) for remark in imported.remarks]


def test_a_file_of_no_system() -> None:
    hint = "name the system with --from, or another file"
    assert _remarks(b"a: b") == [f"x.yml:1:1: error: this is no file of Drone, GitLab CI or GitHub Actions; {hint}"]
    (text,) = _remarks(b"a: b", "drone")
    assert (
        text == f"x.yml:1:1: error: this is no file of Drone: it has no 'kind: pipeline', and no map 'pipeline'; {hint}"
    )
    assert _remarks(b"", "drone") == [text]
    assert _remarks(b"--- 3\n---\nkind: thing\n", "drone") == [
        "x.yml:3:1: error: a document of kind 'thing' is no pipeline; it is left out"
    ]


def test_a_file_that_is_no_yaml() -> None:
    (text,) = _remarks(b"kind: pipeline\na: [")
    assert "this is not YAML" in text
    (text,) = _remarks(b"\xff", "drone")
    assert "UTF-8" in text


def test_a_file_at_the_limit_and_one_byte_past_it() -> None:
    rest = TEXT_BYTES_MAX - len(DRONE)
    assert len(import_files([PipelineFile("x.yml", (DRONE + "#" * rest).encode())]).files) == 1
    (text,) = _remarks((DRONE + "#" * (rest + 1)).encode())
    assert "524,288 bytes" in text


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["kind: pipeline", "a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 9)]
    (text,) = _remarks("\n".join(lines).encode())
    assert "more than 50000 values" in text


def test_more_remarks_than_are_kept() -> None:
    keys = "\n".join(f"x{number}: 1" for number in range(PROBLEMS_COUNT_MAX))
    found = Import("drone", f"{DRONE}{keys}")
    assert found.remarks[-1] == f"1 error: there are more than {PROBLEMS_COUNT_MAX} remarks; the others are left out"
    fewer = Import("drone", f"{DRONE}{keys.rpartition(chr(10))[0]}")
    assert len(fewer.remarks) == PROBLEMS_COUNT_MAX - 1


def test_without_a_way_to_read_others_nothing_is_included() -> None:
    (remark, *_) = _remarks(b"include: a.yml", path=".gitlab-ci.yml")
    assert remark == ".gitlab-ci.yml:1:10: error: the file 'a.yml' cannot be read; it is left out"


def test_two_files_that_would_be_one() -> None:
    text = b"on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [run: ls]}}"
    imported = import_files([PipelineFile(f"{folder}/.github/workflows/ci.yml", text) for folder in "ab"])
    assert [file.path for file in imported.files] == [".headway/ci.yml"]
    (remark,) = imported.remarks
    hint = "import it alone"
    assert str(remark) == (
        f"b/.github/workflows/ci.yml:1:1: error: another file became .headway/ci.yml already; it is left out; {hint}"
    )


def test_a_file_of_drone_runs_as_it_is() -> None:
    plan = compile_own_files([PipelineFile(".drone.yml", DRONE.encode())], push(), CONTEXT)
    assert [(job.name, [step.name for step in job.steps]) for job in plan.jobs] == [("default", ["t"])]
    assert plan.warnings == ()


def test_what_may_differ_is_a_warning_of_the_plan() -> None:
    text = DRONE + "node_selector: {a: b}\nx: 1\nanchors: [1]\n"
    plan = compile_own_files([PipelineFile(".drone.yml", text.encode())], push(), CONTEXT)
    assert [(each.file, each.line) for each in plan.warnings] == [(".drone.yml", 4), (".drone.yml", 5)]


def test_what_is_missing_stops_the_run() -> None:
    with pytest.raises(InvalidPipelineError, match="a pipeline of type 'exec' runs without containers"):
        compile_own_files([PipelineFile(".drone.yml", (DRONE + "type: exec\n").encode())], push(), CONTEXT)


def test_a_mistake_in_what_was_imported_says_where_to_see_it() -> None:
    text = DRONE.replace("commands: [ls]", "commands: [ls], depends_on: [x]")
    with pytest.raises(InvalidPipelineError) as raised:
        compile_own_files([PipelineFile(".drone.yaml", text.encode())], push(), CONTEXT)
    (problem,) = raised.value.problems
    assert problem.file == ".headway/default.yml"
    assert problem.hint.endswith("`headway import .drone.yaml` writes this file")


def test_mistakes_in_files_of_our_own_stay_as_they_are() -> None:
    with pytest.raises(InvalidPipelineError) as raised:
        compile_own_files(
            [PipelineFile(".headway.yml", b"steps: [{name: t, image: a, comands: [ls]}]")], push(), CONTEXT
        )
    assert "headway import" not in str(raised.value)
