"""All errors of a file are reported at once, without those that only follow from another."""

from tests.support.pipelines import problems_of


def places(text: str) -> list[list[str]]:
    return [problem.split(":")[:2] for problem in problems_of(text)]


def test_wrong_values_do_not_hide_what_is_wrong_elsewhere() -> None:
    text = """
    services:
      db: {image: [a], volumes: [/a:/b]}
    steps:
      a: {image: i, commands: [x, {b: c}], depends_on: [nothing]}
      b: {image: i, commands: x, timeout: 5}
      c: {push: {tags: x}, depends_on: [b, nobody]}
      d: {image: i, commands: x, privileged: true, when: {event: pusch}}
      e: {commands: x}
    """
    assert [problem.split(": ", 2)[2].split(";")[0] for problem in problems_of(text)] == [
        "'image': an image's name, or {build: STEP}, is wanted here, not a list",
        "'volumes' in service 'db' needs trust in 'volumes', which this repository does not have",
        "'commands': a text is wanted here, not a map",
        "step 'a' depends on 'nothing', which is not a step here",
        "'timeout': a time is wanted here, not '5'",
        "'repo' is missing or empty in step 'c'",
        "step 'c' depends on 'nobody', which is not a step here",
        "'privileged' in step 'd' needs trust in 'security', which this repository does not have",
        "'event': 'pusch' is not an event",
        "step 'e' has no image",
    ]


def test_a_misspelt_key_is_no_missing_image_as_well() -> None:
    assert places("steps: [{name: a, imag: i, commands: x}]") == [["1", "19"]]
    assert places("steps: [{name: a, comands: x}]") == [["1", "19"]]


def test_a_wrong_build_is_no_missing_image_as_well() -> None:
    text = "steps: {app: {build: [x]}, test: {commands: x}, publish: {push: {repo: a/b}}}"
    (problem,) = problems_of(text)
    assert problem.startswith("1:22: error: 'build': a folder, or a map with 'context' and the like, is wanted here,")


def test_invalid_steps_hide_all_other_errors() -> None:
    assert len(problems_of("steps: [{image: i, commands: x}, text]")) == 1
    assert len(problems_of("steps: {a: }")) == 1
