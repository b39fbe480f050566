"""A real push, through the hook, the queue and the engine, to the registry."""

import hashlib
import hmac
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.private import PASSWORD, USER, served
from tests.e2e.stack import Repository, Stack, ask, command_line, git, until

DOCKERFILE = "FROM busybox:latest\nWORKDIR /app\nCOPY . .\nRUN echo built > /built\n"
SECRET = "correct-horse-battery-staple"

PIPELINE = """\
steps:
  - name: build
    build: .
  - name: first
    environment: {{TOKEN: {{from_secret: token}}}}
    commands:
      - cat /built hello.txt
      - echo "the token is $TOKEN"
      - hostname; touch /left-behind
      - echo to-stderr >&2
  - name: second
    commands:
      - hostname; test ! -e /left-behind
      - printf 'half a line'
  - name: push
    push: {{repo: {registry}/app, tags: [latest, "1"]}}
"""


@pytest.fixture(scope="module")
def repo(stack: Stack) -> Repository:
    repo = Repository(stack, "team/app")
    stack.headway("secret", "set", "team/app", "token", stdin=SECRET)
    return repo


@pytest.fixture(scope="module")
def pushed(stack: Stack, repo: Repository) -> Any:
    """A run that has passed all steps."""
    pipeline = PIPELINE.format(registry=stack.registry.host)
    number = repo.push({"Dockerfile": DOCKERFILE, "hello.txt": "hello\n", ".headway.yml": pipeline}, "Say hello")
    return repo.ended(number) | {"pushed_sha": repo.sha}


def steps(run: Any) -> dict[str, Any]:
    return {step["name"]: step for job in run["jobs"] for step in job["steps"]}


def test_a_push_becomes_a_tested_and_pushed_image(stack: Stack, pushed: Any) -> None:
    assert (pushed["state"], pushed["sentence"]) == ("passed", "")
    assert {name: step["state"] for name, step in steps(pushed).items()} == dict.fromkeys(
        ("build", "first", "second", "push"), "passed"
    )
    built = steps(pushed)["build"]["facts"]["image_id"]
    images = steps(pushed)["push"]["facts"]["pushed"]
    assert [image["tag"] for image in images] == ["latest", "1"]
    for image in images:
        digest, manifest = stack.registry.manifest(f"{stack.registry.host}/app", image["tag"])
        assert (image["digest"], image["image_id"]) == (digest, built)
        assert manifest["config"]["digest"] == built
    assert (pushed["message"].strip(), pushed["author"]) == ("Say hello", "Ada Example")
    assert pushed["sha"] == pushed["pushed_sha"]


def test_the_log_is_what_the_step_wrote(repo: Repository, pushed: Any) -> None:
    log = repo.log(steps(pushed)["first"]).decode()
    assert "built\nhello\n" in log
    assert "the token is ********\n" in log
    assert "to-stderr\n" in log
    assert repo.log(steps(pushed)["second"]).decode().endswith("+ printf 'half a line'\nhalf a line")


def test_every_step_has_a_container_of_its_own(repo: Repository, pushed: Any) -> None:
    """The step `second` fails if it finds the file that `first` left outside the workspace."""
    assert b"test ! -e /left-behind" in repo.log(steps(pushed)["second"])
    assert steps(pushed)["second"]["exit_code"] in {0, None}


def test_a_secret_is_only_in_its_step(stack: Stack, pushed: Any) -> None:
    assert pushed["state"] == "passed"
    pages = [stack.api(f"/repos/team/app/runs/{pushed['number']}").body, stack.api("/repos/team/app/secrets").body]
    pages += [stack.api(f"/steps/{step['id']}/log").body for step in steps(pushed).values()]
    files = [path.read_bytes() for path in stack.data.rglob("*") if path.is_file()]
    assert len(files) > 5
    for where in (*pages, *files, stack.log_path.read_bytes()):
        assert SECRET.encode() not in where


def test_a_failing_test_pushes_nothing(stack: Stack) -> None:
    repo = Repository(stack, "team/failing")
    pipeline = PIPELINE.format(registry=stack.registry.host).replace("/app, tags", "/no, tags")
    pipeline = pipeline.replace("printf 'half a line'", "exit 3")
    pipeline = pipeline.replace("environment: {TOKEN: {from_secret: token}}", "")
    run = repo.ended(repo.push({"Dockerfile": DOCKERFILE, "hello.txt": "x", ".headway.yml": pipeline}))
    assert (run["state"], run["reason"]) == ("failed", "exit_code")
    assert run["sentence"] == "step 'second': exited with 3"
    assert steps(run)["second"]["exit_code"] == 3
    assert steps(run)["push"]["state"] == "skipped"
    assert not stack.registry.has(f"{stack.registry.host}/no", "latest")


def test_a_broken_pipeline_file_shows_every_problem_with_its_place(stack: Stack) -> None:
    repo = Repository(stack, "team/invalid")
    run = repo.ended(repo.push({".headway.yml": "steps:\n  - name: a\n    comands: [x]\n  - nme: b\n"}))
    assert (run["state"], run["reason"]) == ("failed", "invalid_pipeline")
    places = [(problem["file"], problem["line"]) for problem in run["problems"]]
    assert (".headway.yml", 3) in places
    assert (".headway.yml", 4) in places
    assert any("did you mean 'commands'?" in str(problem) for problem in run["problems"])


def test_a_commit_with_nothing_to_run_says_what_to_add(stack: Stack) -> None:
    repo = Repository(stack, "team/empty")
    run = repo.ended(repo.push({"README": "nothing here"}))
    assert (run["state"], run["reason"]) == ("failed", "no_pipeline")
    assert "headway init" in run["sentence"]


def test_a_dockerfile_alone_is_built_and_pushed(stack: Stack) -> None:
    repo = Repository(stack, "team/zero", "--push-repo", f"{stack.registry.host}/zero")
    run = repo.ended(repo.push({"Dockerfile": "FROM busybox:latest\n"}))
    assert run["state"] == "passed", run["sentence"]
    assert stack.registry.has(f"{stack.registry.host}/zero", "latest")


def test_a_dockerfile_instruction_that_fails_is_named_with_its_line(stack: Stack) -> None:
    repo = Repository(stack, "team/nobuild")
    run = repo.ended(repo.push({"Dockerfile": "FROM busybox:latest\nRUN echo before\nRUN echo oops; exit 4\n"}))
    assert (run["state"], run["reason"]) == ("failed", "build_failed")
    assert "RUN echo oops; exit 4" in run["sentence"]
    assert "Dockerfile:3" in run["sentence"]


def test_hostile_names_are_escaped(stack: Stack) -> None:
    repo = Repository(stack, "team/hostile")
    message = """"quotes" 'and'\n\n<script>alert(1)</script> $(touch /tmp/pwned) `id` --upload-pack=x \\n %s"""
    branch = "a$(touch${IFS}pwned);<b>&'x"
    files = {'-rf "$(id)"\nname': "x", ".headway.yml": "steps: [{name: a, image: busybox, commands: [ls]}]"}
    run = repo.ended(repo.push(files, message, branch))
    assert run["state"] == "passed", run["sentence"]
    assert (run["branch"], run["message"].strip()) == (branch, message)
    assert not Path("/tmp/pwned").exists()
    headers = {"Authorization": f"Bearer {stack.token}"}
    page = ask(f"{stack.url}/repos/team/hostile/runs/{run['number']}", headers=headers)
    assert page.status == 200
    assert b"&lt;script&gt;alert(1)" in page.body
    assert b"<script>alert(1)" not in page.body


def test_a_wrong_signature_and_an_unknown_repository_get_the_same_answer(stack: Stack, pushed: Any) -> None:
    body = json.dumps({"ref": "refs/heads/main", "before": "0" * 40, "after": pushed["sha"]}).encode()
    headers = {"Content-Type": "application/json", "X-Headway-Signature": "sha256=" + "0" * 64}
    before = len(stack.api("/repos/team/app/runs").json)
    wrong = ask(f"{stack.url}/hooks/team/app", method="POST", body=body, headers=headers)
    unknown = ask(f"{stack.url}/hooks/team/nobody", method="POST", body=body, headers=headers)
    assert (wrong.status, wrong.body) == (unknown.status, unknown.body) == (404, unknown.body)
    assert len(stack.api("/repos/team/app/runs").json) == before


def test_a_repeated_delivery_finds_the_same_run(stack: Stack) -> None:
    repo = Repository(stack, "team/twice")
    run = repo.ended(repo.push({".headway.yml": "steps: [{name: a, image: busybox, commands: [date]}]"}))
    body = json.dumps({"ref": "refs/heads/main", "before": "0" * 40, "after": repo.sha}).encode()
    secret = stack.headway("repo", "hook", "team/twice")
    key = re.search(r"Secret\s+(\S+)", secret)
    assert key is not None
    signature = "sha256=" + hmac.new(key[1].encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Headway-Signature": signature, "X-Headway-Delivery": "once"}
    first = ask(f"{stack.url}/hooks/team/twice", method="POST", body=body, headers=headers)
    again = ask(f"{stack.url}/hooks/team/twice", method="POST", body=body, headers=headers)
    assert (first.status, again.status) == (202, 200)
    assert first.json["run"] == again.json["run"] == run["number"] + 1
    assert len(stack.api("/repos/team/twice/runs").json) == 2


def test_a_run_can_be_re_run(stack: Stack) -> None:
    repo = Repository(stack, "team/again")
    number = repo.push({".headway.yml": "steps: [{name: a, image: busybox, commands: [echo hi]}]"})
    first = repo.ended(number)
    answer = stack.api(f"/repos/team/again/runs/{number}/rerun", method="POST")
    assert answer.status in {200, 201, 202}, answer.body
    second = repo.ended(number + 1)
    assert (first["state"], second["state"]) == ("passed", "passed")
    assert second["sha"] == first["sha"]


def test_the_command_line_shows_no_secret(stack: Stack, repo: Repository) -> None:
    """While a step with a secret runs, no process of this machine has it in its command line."""
    pipeline = """\
steps:
  - name: wait
    image: busybox
    environment: {TOKEN: {from_secret: token}}
    commands: [echo "$TOKEN" | wc -c, sleep 2]
"""
    number = repo.push({".headway.yml": pipeline})
    repo.running(number, "wait", "29")
    shown = "\n".join(command_line(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit())
    assert "redis-server" in shown
    assert SECRET not in shown
    show = ["docker", "ps", "--all", "--no-trunc", "--format", "{{.Labels}} {{.Command}}"]
    labels = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    assert "headway.job" in labels
    assert SECRET not in labels
    assert repo.ended(number)["state"] == "passed"


def test_a_private_repository_is_cloned_with_its_login(stack: Stack) -> None:
    repo = Repository(stack, "team/private")
    files = {".headway.yml": "steps: [{name: a, image: busybox, commands: [ls]}]"}
    git(repo.bare, "config", "receive.updateServerInfo", "true")
    with served(stack.folder) as address:
        hook = repo.bare / "hooks" / "post-receive"
        url = f"{address}/{repo.bare.name}"
        stack.headway("repo", "add", url, "--name", "team/private", "--replace", "--hook-file", str(hook))
        refused = repo.ended(repo.push(files))
        assert (refused["state"], refused["reason"]) == ("broken", "clone_failed")
        assert url in refused["sentence"]
        stack.headway("repo", "login", "team/private", "--username", USER, stdin=PASSWORD)
        allowed = repo.ended(repo.push(files))
        assert allowed["state"] == "passed", allowed["sentence"]
    until("the workspace is removed", lambda: not stack.left_behind())  # files must not vanish while they are read
    leaks = [path for path in stack.data.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert leaks == []


def test_skip_ci_in_the_commit_message_skips_all_jobs(stack: Stack) -> None:
    repo = Repository(stack, "team/skip")
    files = {".headway.yml": "steps: [{name: a, image: busybox, commands: [ls]}]"}
    number = repo.push(files, "Fix a typo [skip ci]")
    run = repo.ended(number)
    assert (run["state"], run["reason"], steps(run)) == ("passed", "condition", {})
    assert "the commit's message asks for it" in run["sentence"]
    stack.api(f"/repos/team/skip/runs/{number}/rerun", method="POST")
    assert list(steps(repo.ended(number + 1))) == ["a"]
