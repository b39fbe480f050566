"""How many files a pipeline may have, and how large they are together: at the limit and one past it."""

import pytest

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import PipelineFile
from pipelines.importers.running import compile_own_files
from pipelines.linter.linter import lint_files
from pipelines.parser.file_limits import FILES_BYTES_MAX, FILES_COUNT_MAX, too_many_files
from pipelines.problem import InvalidPipelineError
from tests.support.pipelines import CONTEXT, push

STEPS = b"when: {branch: none}\nsteps: [{name: a, image: x, commands: ls}]\n"


def files_of(count: int, text: bytes = STEPS) -> list[PipelineFile]:
    return [PipelineFile(f".headway/{number:03}.yml", text) for number in range(count)]


@pytest.mark.slow
def test_a_pipeline_with_as_many_files_as_are_allowed_is_planned() -> None:
    assert len(compile_pipeline(files_of(FILES_COUNT_MAX), push(), CONTEXT).left_out) >= FILES_COUNT_MAX


def test_a_pipeline_has_so_many_files_and_no_more() -> None:
    many = files_of(FILES_COUNT_MAX + 1)
    assert too_many_files([file.path for file in many[1:]]) is None
    with pytest.raises(InvalidPipelineError, match="this pipeline has 257 files, and at most 256 are run"):
        compile_pipeline(many, push(), CONTEXT)
    assert ["257 files" in each.message for each in lint_files(many)] == [True]


@pytest.mark.parametrize("over", [0, 1])
def test_the_files_of_a_pipeline_have_only_so_many_bytes_together(over: int) -> None:
    size = FILES_BYTES_MAX // 8
    files = files_of(8, STEPS + b"#" * (size - len(STEPS)))
    files[-1] = PipelineFile(files[-1].path, files[-1].text + b"#" * over)
    if over:
        with pytest.raises(InvalidPipelineError, match="have 2,097,153 bytes, and at most 2,097,152 are run"):
            compile_pipeline(files, push(), CONTEXT)
        assert ["2,097,153 bytes" in each.message for each in lint_files(files)] == [True]
    else:
        assert compile_pipeline(files, push(), CONTEXT).left_out


@pytest.mark.parametrize("over", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_file_of_drone_has_so_many_pipelines_and_no_more(over: int) -> None:
    one = "kind: pipeline\nname: p{}\ntrigger: {{branch: [none]}}\nsteps: [{{name: a, image: x, commands: [ls]}}]\n"
    text = "---\n".join(one.format(number) for number in range(256 + over))
    files = [PipelineFile(".drone.yml", text.encode())]
    if over:
        with pytest.raises(InvalidPipelineError, match="this file has 257 pipelines, and at most 256 are read"):
            compile_own_files(files, push(), CONTEXT)
    else:
        assert compile_own_files(files, push(), CONTEXT).left_out
