"""Secrets as files in the pipeline file: their plan, and what a mistake says."""

import pytest

from pipelines.model.json_schema import schema
from pipelines.plan import CommandsStep, PluginStep, SecretRef
from pipelines.step_options.secret_files import FILES_COUNT_MAX, PATH_BYTES_MAX, SecretFile
from tests.support.pipelines import TRUSTED, job_of, plan_of, problems_of, step_of


def of(text: str) -> tuple[SecretFile, ...]:
    step = step_of(f"steps: [{{name: s, image: i, commands: x, secrets: {text}}}]")
    assert isinstance(step, CommandsStep)
    return step.secret_files


def wrong(text: str, more: str = "") -> list[str]:
    return problems_of(f"steps: [{{name: s, image: i, commands: x, secrets: {text}{more}}}]", context=TRUSTED)


def test_a_secret_is_a_file_for_the_user_of_the_step() -> None:
    (file,) = of("[{source: NPM_TOKEN, file: /run/secrets/npm}]")
    assert file == SecretFile(secret="npm_token", path="/run/secrets/npm", mode=0o400)
    assert (file.folder, of("{source: a, file: /s//./b}")[0].path) == ("/run/secrets", "/s/b")


@pytest.mark.parametrize("mode", ["440", "0440", "'0o440'", "0o440"])
def test_a_mode_is_in_digits_to_the_base_8(mode: str) -> None:
    assert of(f"[{{source: a, file: /s/a, mode: {mode}}}]")[0].mode == 0o440


@pytest.mark.parametrize("mode", ["4444", "480", "rw", "'00'"])
def test_another_mode_is_refused(mode: str) -> None:
    (problem,) = wrong(f"[{{source: a, file: /s/a, mode: {mode}}}]")
    assert "is no mode of a file, which has three digits from 0 to 7; write for example 0400" in problem


def test_a_mode_that_is_no_text_is_refused() -> None:
    (problem,) = wrong("[{source: a, file: /s/a, mode: [4]}]")
    assert "a list" in problem


def test_plugins_have_files_too() -> None:
    step = step_of("steps: [{name: s, image: i, settings: {a: b}, secrets: [{source: a, file: /s/a}]}]")
    assert isinstance(step, PluginStep)
    assert step.secret_files == (SecretFile(secret="a", path="/s/a"),)


def test_old_names_beside_files_are_variables() -> None:
    plan = plan_of("steps: [{name: s, image: i, commands: x, secrets: [old, {source: a, file: /s/a}]}]")
    (step,) = plan.jobs[0].steps
    assert isinstance(step, CommandsStep)
    assert step.container.environment["OLD"] == (SecretRef(secret="old"),)
    assert step.secret_files == (SecretFile(secret="a", path="/s/a"),)
    assert [problem.message for problem in plan.warnings] == ["'secrets' is an old key"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("secrets/a", "it is not the absolute path of a file"),
        ("//s/a", "it is not the absolute path of a file"),
        ("/s/", "it is not the absolute path of a file"),
        ("/s/../etc/a", "'..' leaves the folder in which it is"),
        ("/a", "its folder is in memory, and would hide / of the image"),
        ("/etc/a", "its folder is in memory, and would hide /etc of the image"),
        ("/etc/ssl/a", "its folder is in memory, and would hide /etc/ssl of the image"),
        ("/tmp/a", "its folder is in memory, and would hide /tmp of the image"),
        ("/root/a", "its folder is in memory, and would hide /root of the image"),
        ("/home/me/a", "its folder is in memory, and would hide /home/me of the image"),
        ("/usr/local/a", "its folder is in memory, and would hide /usr/local of the image"),
        ("/headway/src/a", "its folder is in memory, and would hide /headway"),
        ("/headway/a", "its folder is in memory, and would hide /headway"),
        ("/.headway/a", "its folder is in memory, and would hide /.headway"),
        ("'/s:t/a'", "without colons, commas, quotes and backslashes"),
        ('"/s\\n/a"', "without colons, commas, quotes and backslashes"),
    ],
)
def test_a_file_hides_nothing_of_the_image_and_the_checkout(path: str, why: str) -> None:
    (problem,) = wrong(f"[{{source: a, file: {path}}}]")
    assert why in problem
    assert "cannot be the file of a secret" in problem
    assert problem.endswith("; write for example file: /run/secrets/NAME")


def test_a_workspace_below_the_folder_is_not_hidden() -> None:
    text = (
        "workspace: {base: /work/own}\nsteps: [{name: s, image: i, commands: x, secrets: {source: a, file: /work/a}}]"
    )
    assert "would hide /work/own" in problems_of(text)[0]


@pytest.mark.parametrize("path", ["/root/.ssh/id", "/home/me/.ssh/id", "/secrets/a", "/var/run/secrets/a"])
def test_folders_of_their_own_are_fine(path: str) -> None:
    assert of(f"[{{source: a, file: {path}}}]")[0].path == path


def test_a_path_may_be_so_long_and_no_longer() -> None:
    longest = "/s/" + "a" * (PATH_BYTES_MAX - 3)
    assert of(f"[{{source: a, file: {longest}}}]")[0].path == longest
    assert f"at most {PATH_BYTES_MAX} bytes" in wrong(f"[{{source: a, file: {longest}b}}]")[0]


def test_a_step_may_have_so_many_files_and_no_more() -> None:
    files = [f"{{source: a, file: /s/{index}}}" for index in range(FILES_COUNT_MAX + 1)]
    assert len(of(f"[{', '.join(files[:-1])}]")) == FILES_COUNT_MAX
    (problem,) = wrong(f"[{', '.join(files)}]")
    assert f"step 's' has {FILES_COUNT_MAX + 1} files of secrets, and at most {FILES_COUNT_MAX} are possible" in problem


def test_two_secrets_cannot_be_in_one_place() -> None:
    twice = wrong("[{source: a, file: /s/a}, {source: b, file: /s//a}]")
    assert [problem.partition(": error: ")[2] for problem in twice] == [
        "step 's' has two secrets in the file '/s//a'; name another file"
    ]
    below = wrong("[{source: a, file: /s/a}, {source: b, file: /s/a/b}]")
    assert "'/s/a' is a file and a folder of secrets in step 's'" in below[0]


@pytest.mark.parametrize(
    ("more", "key"),
    [
        (", tmpfs: ['/s:size=1m']", "tmpfs"),
        (", volumes: ['data:/s/:ro']", "volumes"),
        (", cache: /s", "cache"),
    ],
)
def test_the_folder_is_for_secrets_alone(more: str, key: str) -> None:
    (problem,) = wrong("[{source: a, file: /s/a}]", more)
    assert f"the folder of '/s/a' is in memory, for secrets alone, but '{key}' of step 's' has it too" in problem


def test_other_mounts_beside_it_are_fine() -> None:
    assert wrong("[{source: a, file: /s/a}]", ", tmpfs: [/t], volumes: ['data:/u', /v], cache: [/w, here]") == []


def test_what_no_step_could_have_is_reported() -> None:
    native = (
        "{name: s, image: woodpeckerci/plugin-docker-buildx, settings: {repo: a/b}, secrets: {source: a, file: /s/a}}"
    )
    (problem,) = problems_of(f"steps: [{native}]")
    assert "step 's' has no files of secrets: it builds or pushes an image; `secrets` of a `build` are" in problem
    clone = (
        "clone: [{name: c, image: i, commands: x, secrets: {source: a, file: /s/a}}]\nsteps: [{image: i, commands: x}]"
    )
    (problem,) = problems_of(clone)
    assert "step 'c' has no files of secrets: it makes the checkout" in problem


@pytest.mark.parametrize("text", ["[{file: /s/a}]", "[{source: '', file: /s/a}]"])
def test_a_file_needs_a_name(text: str) -> None:
    assert len(wrong(text)) == 1


def test_other_steps_are_named_what_they_can_have() -> None:
    step = "{name: b, build: ., secrets: [{source: a, file: /s/a}]}"
    assert (
        "'secrets' does not go with 'build' in step 'b'; only steps with a container have it"
        in problems_of(f"steps: [{step}]")[0]
    )


def test_a_step_without_a_name_is_reported_by_its_number() -> None:
    files = "[{source: a, file: /s/a}, {source: b, file: /s/a}]"
    (problem,) = problems_of(f"steps: [{{image: i, commands: x, secrets: {files}}}]")
    assert "step 'step-0' has two secrets" in problem


def test_the_schema_has_both_spellings() -> None:
    entry = schema()["$defs"]["CommandsStep"]["properties"]["secrets"]
    assert {"$ref": "#/$defs/SecretFile"} in entry["anyOf"]
    assert any(choice.get("deprecated") for choice in entry["anyOf"])


def test_every_step_has_its_own() -> None:
    text = (
        "steps: [{name: a, image: i, commands: x, secrets: {source: a, file: /s/a}}, {name: b, image: i, commands: x}]"
    )
    first, second = job_of(text).steps
    assert isinstance(first, CommandsStep)
    assert isinstance(second, CommandsStep)
    assert (len(first.secret_files), second.secret_files) == (1, ())
