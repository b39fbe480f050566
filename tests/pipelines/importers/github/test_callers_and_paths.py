"""What callers and actions say of folders, failures, secrets and matrices; outputs of script files; paths and tags."""

import pytest

from tests.pipelines.importers.github.test_calls import called
from tests.pipelines.importers.github.test_composite_actions import USES, action, job
from tests.pipelines.importers.github.test_github import of_steps


@pytest.mark.parametrize("use", ["run: ./t ${{ steps.s.outputs.v }}", "run: ./t ${{ Steps.S.Outputs.v }}"])
def test_a_script_file_may_write_outputs(use: str) -> None:
    found = of_steps(f"- {{id: s, run: ./version.sh}}\n- {use}")
    assert "export GITHUB_OUTPUT=/headway/s.outputs\n./version.sh" in found.step["commands"][0]
    alone = of_steps("- {id: s, run: ./version.sh}\n- {if: always(), run: './t ${{ steps.s.outputs.v }}'}")
    assert "export GITHUB_OUTPUT=/headway/s.outputs\n./version.sh" in alone.workflow["steps"][0]["commands"][0]
    assert of_steps("- {id: s, run: ./version.sh}\n- run: ls").step["commands"] == ["./version.sh", "ls"]


@pytest.mark.parametrize("folder", ["''", "", "' '", "."])
def test_an_action_without_a_folder_starts_in_the_checkout(folder: str) -> None:
    found = job(
        USES,
        "defaults: {run: {working-directory: web}}",
        a=action(f"{{run: ls, working-directory: {folder}}}"),
    )
    assert "directory" not in found.step


def test_failures_that_the_caller_of_an_action_allows() -> None:
    text = action("{run: ls, continue-on-error: false}")
    assert job(f"{{{USES}, continue-on-error: true}}", a=text).step["failure"] == "ignore"
    assert "failure" not in job(USES, a=text).step
    text = action("{run: ls, continue-on-error: true}")
    assert job(f"{{{USES}, continue-on-error: false}}", a=text).step["failure"] == "ignore"


def test_an_action_has_no_secrets() -> None:
    found = job(USES, a=action('run: "./t [${{ secrets.KEY }}]"'))
    assert found.step["commands"] == ["./t []"]
    (remark,) = found.remarks
    assert "error: the action ./.github/actions/a reads the secret 'KEY', which GitHub refuses in an action" in remark


@pytest.mark.parametrize("own", ["{matrix: {b: [1, 2]}, max-parallel: 3}", "{max-parallel: 3}"])
def test_a_called_job_keeps_how_many_run_at_once(own: str) -> None:
    found = called("strategy: {matrix: {a: [1, 2]}}", f"jobs: {{t: {{strategy: {own}, steps: [run: ls]}}}}")
    assert found.workflow["concurrency"] == 3
    assert found.workflow["matrix"]["A"] == ["1", "2"]


def test_a_cache_whose_only_path_is_an_output_is_left_out() -> None:
    cache = "uses: actions/cache@v4, with: {path: '${{ steps.s.outputs.dir }}', key: k}"
    found = of_steps(f"- {{id: s, run: ls}}\n- {{{cache}}}\n- run: pwd")
    assert "cache" not in found.step
    assert any("error: an expression has the output dir, which has no counterpart" in each for each in found.remarks)


def test_artifacts_outside_of_the_checkout_are_left_out() -> None:
    upload = "uses: actions/upload-artifact@v4"
    paths = '"${{ runner.temp }}/x\\n~/y\\n../z\\n${{ github.workspace }}/a\\n!${{ runner.temp }}/b"'
    found = of_steps(f"- run: ls\n- {{{upload}, with: {{path: {paths}}}}}")
    assert found.step["artifacts"] == ["a"]
    assert [each.partition(": ")[2].partition(";")[0] for each in found.remarks] == [
        "artifacts are files of the checkout, and /tmp/x is outside of it",
        "artifacts are files of the checkout, and /tmp/b is outside of it",
    ]
    assert "artifacts" not in of_steps(f"- run: ls\n- {{{upload}, with: {{path: /tmp/x}}}}").step
    assert (
        "artifacts" not in of_steps(f"- run: ls\n- {{{upload}, with: {{path: '${{{{ steps.s.outputs.x }}}}'}}}}").step
    )


def test_comments_among_tags_and_arguments() -> None:
    found = of_steps(
        """\
- uses: docker/build-push-action@v6
  with:
    push: true
    tags: |
      # the name of the image
      r.example.org/x:1
    build-args: |
      # none
      A=b
    labels: |
      # c=d
      e=f"""
    )
    build, pushed = found.workflow["steps"]
    assert (build["build"]["args"], build["build"]["labels"]) == ({"A": "b"}, {"e": "f"})
    assert (pushed["push"]["repo"], pushed["push"]["tags"]) == ("r.example.org/x", ["1"])


@pytest.mark.parametrize(
    ("places", "build", "what"),
    [
        ("context: a, file: ./b/Dockerfile", {"context": "a", "dockerfile": "../b/Dockerfile"}, []),
        (
            "context: a, file: ../x",
            {"context": "a"},
            ["the Dockerfile ../x is outside of the checkout; it is left out"],
        ),
        ("file: /x", {"context": "."}, ["the Dockerfile /x is outside of the checkout; it is left out"]),
        ("context: ../a", {"context": "."}, ["the context ../a is outside of the checkout; it is left out"]),
    ],
)
def test_what_a_build_may_not_read_is_left_out(places: str, build: dict[str, str], what: list[str]) -> None:
    found = of_steps(f"- {{uses: docker/build-push-action@v6, with: {{{places}}}}}")
    assert found.step["build"] == build
    assert [each.partition(": ")[2] for each in found.remarks if "outside" in each] == what
