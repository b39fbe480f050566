"""Actions of GitHub Actions: tools and their images, matrices, caches, artifacts, builds and pushes."""

from typing import Any

import pytest

from tests.pipelines.importers.github.test_github import imported, of_job, of_steps


def image_of(steps: str, more: str = "") -> str:
    return str(of_steps(steps, more).step["image"])


@pytest.mark.parametrize(
    ("action", "values", "image"),
    [
        ("actions/setup-python@v5", "python-version: 3.12", "python:3.12"),
        ("actions/setup-python@v5", "python-version: 3.x", "python:3"),
        ("actions/setup-python@v5", "python-version: pypy-3.10", "pypy:3.10"),
        ("actions/setup-python@v5", "python-version: '>=3.9'", "python:3.9"),
        ("actions/setup-node@v4", "node-version: lts/*", "node:lts"),
        ("actions/setup-node@v4", "node-version: lts/jod", "node:jod"),
        ("actions/setup-node@v4", "node-version: 22.x", "node:22"),
        ("actions/setup-node@v4", "node-version: latest", "node:22"),
        ("actions/setup-go@v5", "go-version: stable", "golang:1"),
        ("actions/setup-go@v5", "go-version: ^1.21", "golang:1.21"),
        ("actions/setup-java@v4", "java-version: '1.8'", "eclipse-temurin:8-jdk"),
        ("actions/setup-dotnet@v4", "dotnet-version: 8.0.x", "mcr.microsoft.com/dotnet/sdk:8.0"),
        ("actions/setup-dotnet@v4", "dotnet-version: '6'", "mcr.microsoft.com/dotnet/sdk:6.0"),
        ("ruby/setup-ruby@v1", "ruby-version: head", "ruby:3.4"),
        ("shivammathur/setup-php@v2", "php-version: 8.3", "php:8.3-cli"),
        ("dtolnay/rust-toolchain@stable", "x: 1", "rust:1"),
        ("dtolnay/rust-toolchain@1.70.0", "x: 1", "rust:1.70.0"),
        ("actions-rs/toolchain@v1", "toolchain: nightly", "rustlang/rust:nightly"),
        ("oven-sh/setup-bun@v2", "bun-version: 1.2", "oven/bun:1.2"),
        ("denoland/setup-deno@v1", "deno-version: v1.x", "denoland/deno:1"),
    ],
)
def test_the_image_of_a_tool(action: str, values: str, image: str) -> None:
    assert image_of(f"- uses: {action}\n  with: {{{values}}}\n- run: ./t") == image


@pytest.mark.parametrize(
    ("command", "image"),
    [
        ("cargo test", "rust:1"),
        ("go test", "golang:1"),
        ("dotnet test", "mcr.microsoft.com/dotnet/sdk:9.0"),
        ("bundle install", "ruby:3.4"),
        ("composer install && npm ci", "composer:2"),
        ("mvn verify", "maven:3-eclipse-temurin-21"),
        ("gradle check", "gradle:8-jdk21"),
        ("./gradlew check", "eclipse-temurin:21-jdk"),
        ("cd x; PYTHONPATH=a pytest", "python:3"),
        ("sudo npm ci && docker build .", "node:22"),
        ("terraform plan", "hashicorp/terraform:1.13"),
        ("helm lint", "alpine/helm:3"),
        ("make && echo npm", "buildpack-deps:24.04"),
    ],
)
def test_the_image_of_commands(command: str, image: str) -> None:
    assert image_of(f"- run: {command}") == image


def test_maven_and_gradle_are_images_with_the_java_that_is_asked_for() -> None:
    java = "- uses: actions/setup-java@v4\n  with: {java-version: 17, cache: maven}\n"
    assert image_of(java + "- run: mvn verify") == "maven:3-eclipse-temurin-17"
    assert image_of(java + "- run: gradle check") == "gradle:8-jdk17"


def test_a_version_in_a_variable_of_the_file() -> None:
    steps = '- uses: actions/setup-node@v4\n  with: {node-version: "${{ env.NODE }}"}\n- run: make'
    assert image_of(steps, "env: {NODE: 20}") == "node:20"
    assert image_of(steps.replace("env.NODE", "a b")) == "node:22"
    assert image_of(steps.replace("env.NODE", "github.sha")) == "node:22"


def test_tools_beside_each_other() -> None:
    found = of_steps(
        """\
- uses: actions/setup-node@v4
  with: {node-version: 20}
- uses: actions/setup-python@v5
- uses: actions/setup-java@v4
- run: make"""
    )
    assert found.step["image"] == "eclipse-temurin:21-jdk"
    assert found.step["commands"][:2] == [
        "# install python\napt-get update && apt-get install -y python3 python3-pip python3-venv python-is-python3",
        "# install node\ncurl -fsSL https://deb.nodesource.com/setup_20.x | bash - && apt-get install -y nodejs",
    ]
    assert [each.partition(": ")[2] for each in found.remarks] == [
        "job 't' needs java and node: a command installs node; an image that has both is faster",
        "job 't' needs java and python: a command installs python; an image that has both is faster",
    ]
    found = of_steps("- uses: actions/setup-go@v5\n- uses: hashicorp/setup-terraform@v3\n- run: make")
    assert found.remarks == [
        "8 error: job 't' needs go and terraform, and no image is known to have both; write one that has"
    ]
    found = of_steps("- run: mvn x && ./gradlew y")
    assert (found.step["image"], found.remarks) == ("maven:3-eclipse-temurin-21", [])
    found = of_steps("- uses: actions/setup-java@v4\n- uses: actions/setup-java@v4\n- run: mvn x && gradle y && java z")
    assert (found.step["image"], found.remarks) == ("maven:3-eclipse-temurin-21", [])


@pytest.mark.parametrize(
    ("uses", "values", "commands", "cache"),
    [
        ("pnpm/action-setup@v4", "version: 9", ["npm install -g pnpm@9"], None),
        ("pnpm/action-setup@v4", "x: 1", ["npm install -g pnpm@latest"], None),
        (
            "actions/setup-node@v4",
            "cache: yarn, registry-url: 'https://npm.example.org/'",
            ["echo '//npm.example.org/:_authToken=$${NODE_AUTH_TOKEN}' >> ~/.npmrc"],
            ["yarn"],
        ),
        ("actions/setup-python@v5", "cache: poetry", [], ["pip"]),
        ("actions/setup-go@v5", "cache: false", [], None),
        ("actions/setup-go@v5", "x: 1", [], ["go"]),
        ("astral-sh/setup-uv@v6", "x: 1", ["pip install uv"], ["~/.cache/uv"]),
        ("astral-sh/setup-uv@v6", "enable-cache: false", ["pip install uv"], None),
        ("ruby/setup-ruby@v1", "bundler-cache: true", ["bundle install"], ["bundler"]),
        ("Swatinem/rust-cache@v2", "x: 1", [], ["cargo", "target"]),
        ("gradle/actions/setup-gradle@v4", "x: 1", [], ["gradle"]),
        ("gradle/gradle-build-action@v2", "arguments: build", ["./gradlew build"], ["gradle"]),
        (
            "golangci/golangci-lint-action@v7",
            "version: v2.1, args: --fix",
            ["go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.1 run --fix"],
            None,
        ),
        (
            "dtolnay/rust-toolchain@stable",
            "components: 'clippy, rustfmt'",
            ["rustup component add clippy  rustfmt"],
            None,
        ),
        (
            "extractions/setup-just@v2",
            "x: 1",
            ["curl -fsSL https://just.systems/install.sh | bash -s -- --to /usr/local/bin"],
            None,
        ),
    ],
)
def test_commands_and_caches_in_place_of_an_action(uses: str, values: str, commands: list[str], cache: Any) -> None:
    step = of_steps(f"- uses: {uses}\n  with: {{{values}}}\n- run: ./t").step
    assert [line for each in step["commands"] for line in each.split("\n")] == [*commands, "./t"]
    assert step.get("cache") == cache


def test_extensions_of_php() -> None:
    step = of_steps("- uses: shivammathur/setup-php@v2\n  with: {extensions: 'intl, :x, zip'}").step
    assert step["commands"][0].endswith("sh /usr/local/bin/install-php-extensions intl zip @composer")


@pytest.mark.parametrize(
    ("uses", "level", "text"),
    [
        ("docker/setup-buildx-action@v3", "hint", "is not needed: every build is one of BuildKit"),
        ("codecov/codecov-action@v4", "warning", "sends coverage to Codecov; it is left out; 'reports:"),
        ("actions/github-script@v7", "error", "runs JavaScript with access to GitHub's API; it is left out; write"),
        ("some/thing@v1", "error", "is not known here; it is left out; write the commands that do the same"),
        ("./.github/actions/x", "error", "is not here: the file '.github/actions/x/action.yml' cannot be read"),
    ],
)
def test_actions_without_a_counterpart(uses: str, level: str, text: str) -> None:
    found = of_steps(f"- uses: {uses}\n- run: ls")
    (remark,) = found.remarks
    assert remark.startswith(f"6 {level}: the action {uses.partition('@')[0]} {text}")


def test_a_version_that_a_file_has() -> None:
    found = of_steps("- uses: actions/setup-go@v5\n  with: {go-version-file: go.mod}\n- run: make")
    text = "the version of go is not read from go.mod; here it is the newest; write it into 'image'"
    assert found.remarks == [f"6 warning: {text}"]


def test_plugins_have_the_settings_of_their_action() -> None:
    found = of_steps(
        """\
- uses: appleboy/ssh-action@v1
  if: github.ref == 'refs/heads/main'
  with: {host: "${{ secrets.HOST }}", script: ls, url: "x/${{ secrets.A }}"}"""
    )
    assert found.workflow == {
        "when": {"event": ["push", "tag"]},
        "skip_clone": True,
        "steps": [{
            "name": "ssh-action", "image": "appleboy/drone-ssh",
            "settings": {"host": {"from_secret": "host"}, "script": "ls", "url": "x/a"},
            "when": {"event": ["push"], "branch": "main"},
        }],
    }  # fmt: skip


def test_a_matrix_of_axes() -> None:
    found = of_job(
        """\
strategy: {matrix: {python-version: ["3.12", "3.13"], os: [ubuntu-latest, windows-latest], path: [a, b]}}
runs-on: ${{ matrix.os }}
steps:
- uses: actions/setup-python@v5
  with: {python-version: "${{ matrix.python-version }}"}
- if: matrix.os == 'windows-latest'
  run: dir
- run: ./t ${{ matrix.path }} ${{ matrix.os }} ${{ matrix.none }}""".replace("runs-on: ${{", "name: ${{")
    )
    assert found.workflow["matrix"]["OS"] == ["ubuntu-latest", "windows-latest"]
    text = """\
on: push
jobs:
  t:
    runs-on: ${{ matrix.os }}
    strategy: {matrix: {python-version: ["3.12", "3.13"], os: [ubuntu-latest, windows-latest], path: [a, b]}}
    steps:
    - uses: actions/setup-python@v5
      with: {python-version: "${{ matrix.python-version }}"}
    - if: matrix.os == 'windows-latest'
      run: dir
    - run: ./t ${{ matrix.path }} ${{ matrix.os }} ${{ matrix.none }}
"""
    found = imported(text)
    assert found.workflow["matrix"] == {"PYTHON_VERSION": ["3.12", "3.13"], "MATRIX_PATH": ["a", "b"]}
    assert found.step["image"] == "python:${PYTHON_VERSION}"
    assert found.step["commands"] == ["./t ${MATRIX_PATH} ubuntu-latest "]
    why = "job 't' does not run on windows-latest here: workers run containers of Linux"
    assert found.remarks[0] == f"4 warning: {why}"


def test_a_matrix_of_combinations_and_an_image_for_each() -> None:
    found = of_job(
        """\
strategy:
  matrix:
    node: [18.x, 20.x]
    config: [{name: a, list: [1, 2]}, {name: b}]
    exclude: [{node: 18.x, config: {name: b}}]
    include: [{node: 20.x, extra: "yes"}, {node: lts/*, extra: "no"}]
continue-on-error: ${{ matrix.node == '18.x' }}
steps:
- uses: actions/setup-node@v4
  with: {node-version: "${{ matrix.node }}"}
- run: ./t ${{ matrix.config.name }}"""
    )
    assert found.workflow["matrix"] == {
        "include": [
            {"NODE": "18.x", "CONFIG_NAME": "a", "CONFIG_LIST": "1 2", "EXTRA": "", "IMAGE": "node:18"},
            {"NODE": "20.x", "CONFIG_NAME": "a", "CONFIG_LIST": "1 2", "EXTRA": "yes", "IMAGE": "node:20"},
            {"NODE": "20.x", "CONFIG_NAME": "b", "CONFIG_LIST": "", "EXTRA": "yes", "IMAGE": "node:20"},
            {"NODE": "lts/*", "CONFIG_NAME": "", "CONFIG_LIST": "", "EXTRA": "no", "IMAGE": "node:lts"},
        ]
    }
    assert found.step["image"] == "${IMAGE}"


def test_a_matrix_of_expressions_and_of_includes_alone() -> None:
    found = of_job("strategy: {matrix: {a: '${{ fromJSON(x) }}', b: [1], include: '${{ x }}'}}\nsteps: [run: ls]")
    assert [each.partition(": ")[2] for each in found.remarks] == [
        "the axis 'a' is made by an expression; it is left out; write its values",
        "'include' of a matrix is made by an expression; it is left out; write its values",
    ]
    assert "matrix" not in found.workflow
    found = of_job("strategy: {matrix: '${{ x }}'}\nsteps: [run: ls]")
    assert found.remarks == [
        "5 error: the matrix of the strategy of job 't' is made by an expression; write its values"
    ]
    found = of_job("strategy: {matrix: {include: [{a-b: 1, a_b: 2}, {a-b: 3, a_b: 4}]}}\nsteps: [run: ls]")
    assert found.workflow["matrix"] == {"include": [{"A_B": "1", "A_B_1": "2"}, {"A_B": "3", "A_B_1": "4"}]}


@pytest.mark.parametrize(("count", "remarks"), [(256, 0), (257, 1)])
def test_a_matrix_at_its_limit_and_one_past_it(count: int, remarks: int) -> None:
    found = of_job(f"strategy: {{matrix: {{a: {list(range(count))}}}}}\nsteps: [run: 'echo ${{{{ matrix.a }}}}']")
    assert len(found.workflow["matrix"]["A"]) == 256
    assert len(found.remarks) == remarks


@pytest.mark.parametrize(
    ("runner", "labels"),
    [
        ("ubuntu-24.04-arm", {"platform": "linux/arm64"}),
        ("[self-hosted, arm64]", {"platform": "linux/arm64"}),
        ("{group: a}", None),
    ],
)
def test_machines_of_other_processors(runner: str, labels: object) -> None:
    found = imported(f"on: push\njobs: {{t: {{runs-on: {runner}, steps: [run: ls]}}}}")
    assert found.workflow.get("labels") == labels


def test_machines_of_several_processors() -> None:
    found = imported(
        """\
        on: push
        jobs:
          t:
            runs-on: ${{ matrix.os }}
            strategy: {matrix: {os: [ubuntu-latest, ubuntu-24.04-arm]}}
            continue-on-error: ${{ matrix.os }}
            steps: [run: ls]
        """
    )
    assert found.workflow["labels"] == {"platform": "${PLATFORM}"}
    assert found.workflow["matrix"]["include"][1] == {"OS": "ubuntu-24.04-arm", "PLATFORM": "linux/arm64"}
    assert found.remarks == ["6 warning: 'continue-on-error' of job 't' holds for some combinations; it is left out"]


@pytest.mark.parametrize(
    ("values", "clone"),
    [
        ("fetch-depth: 0", {"depth": 0, "tags": True}),
        ("fetch-depth: 20, submodules: recursive, lfs: true", {"depth": 20, "recursive": True, "lfs": True}),
        ("fetch-depth: 1, ref: '${{ github.sha }}', token: x, path: .", None),
    ],
)
def test_settings_of_the_checkout(values: str, clone: object) -> None:
    found = of_steps(f"- uses: actions/checkout@v4\n  with: {{{values}}}\n- run: ls")
    assert found.workflow.get("clone") == ({"git": {"settings": clone}} if clone else None)
    assert (found.remarks, found.step["commands"]) == ([], ["ls"])


def test_checkouts_of_something_else() -> None:
    found = of_steps(
        """\
- uses: actions/checkout@v4
  with: {ref: gh-pages, path: web, x: 1}
- uses: actions/checkout@v4
  with: {repository: a/b, ref: v1}
- uses: actions/checkout@v4
  with: {repository: a/c, path: d}
- uses: actions/checkout@v4
  with: {repository: "${{ github.repository }}"}"""
    )
    assert [line for each in found.step["commands"] for line in each.split("\n")] == [
        "git fetch --depth 1 origin gh-pages", "git checkout FETCH_HEAD", "ln -s . web",
        "git clone --depth 1 --branch v1 https://github.com/a/b.git b",
        "git clone --depth 1 https://github.com/a/c.git d",
    ]  # fmt: skip
    assert len(found.remarks) == 3


def test_caches() -> None:
    found = of_steps(
        """\
- uses: actions/cache@v4
  with:
    path: |
      ~/.cache/x/
      a/*.y
    key: ${{ runner.os }}-x-${{ hashFiles('**/a.lock', './b') }}
    restore-keys: |
      ${{ runner.os }}-x-
      ${{ runner.os }}
    save-always: true
- uses: actions/cache/save@v4
  with: {path: "~/.cache/x", key: "${{ runner.os }}-x-${{ hashFiles('**/a.lock', './b') }}", restore-keys: "Linux-x-"}
- uses: actions/cache@v4
  with: {path: a}
- run: ls"""
    )
    assert found.step["cache"] == [{"key": "x-checksum(**/a.lock, b)", "paths": ["~/.cache/x"], "restore": ["x-"]}]
    assert found.remarks == ["6 warning: a cache keeps folders, and no pattern such as a/*.y; it is left out"]


def test_artifacts_between_jobs() -> None:
    found = imported(
        """\
        on: push
        jobs:
          a:
            runs-on: ubuntu-latest
            steps:
            - run: make
            - uses: actions/upload-artifact@v4
              with: {name: dist, path: dist/, retention-days: 3}
            - uses: actions/upload-artifact@v4
              if: always()
              with: {name: log, path: "out/log.txt\\n!out/x"}
          b:
            runs-on: ubuntu-latest
            needs: a
            steps:
            - uses: actions/download-artifact@v4
              with: {name: dist, path: dist}
            - uses: actions/download-artifact@v4
              with: {name: log}
            - uses: actions/download-artifact@v4
              with: {run-id: 1}
            - run: ls
          c:
            runs-on: ubuntu-latest
            steps:
            - uses: actions/upload-artifact@v4
              if: failure()
              with: {path: "./\\n/headway/src/a*", retention-days: 0}
            - uses: actions/upload-artifact@v4
              if: github.sha
          d:
            runs-on: ubuntu-latest
            steps:
            - uses: actions/upload-artifact@v4
            - run: ls
        """
    )
    a, b, c, d = (found.texts[f".headway/ci-{name}.yml"] for name in "abcd")
    assert "      paths: [dist, out/log.txt]\n      exclude: [out/x]\n      when: always\n      expire: 3d\n" in a
    assert "mkdir -p .\n        if [ -d out/log.txt ]; then cp -r out/log.txt/. ./; else cp out/log.txt ./; fi" in b
    assert "    artifacts:\n      paths:\n        - '**'\n        - a*\n      when: failure" in c
    assert "artifacts" not in d
    assert found.remarks == [
        "16 hint: the artifact 'dist' is in dist before the first step",
        "20 error: artifacts of another run cannot be taken; this is left out",
        "20 warning: artifacts are at the paths of the checkout where they were kept; this moves none; look at the paths",  # noqa: E501 - one remark
    ]


def test_an_image_is_built_and_pushed() -> None:
    found = of_steps(
        """\
- uses: actions/checkout@v4
- uses: docker/metadata-action@v5
  id: meta
  with:
    images: |
      ghcr.io/${{ github.repository }}
      me/app
    tags: |
      type=ref,event=branch
      type=ref,event=pr
      type=semver,pattern={{version}}
      type=semver,pattern={{major}}
      type=sha
      type=sha,prefix=,format=long
      type=raw,value=latest
      type=raw,value=x,enable=false
      nightly
      type=schedule
    flavor: latest=false
- name: Build it
  uses: docker/build-push-action@v6
  with:
    context: ./web/
    file: ./web/docker/Dockerfile
    target: prod
    build-args: |
      A=1
      B="${{ github.sha }}"
    platforms: linux/amd64, linux/arm64
    pull: true
    push: ${{ github.event_name != 'pull_request' }}
    tags: ${{ steps.meta.outputs.tags }}
    labels: ${{ steps.meta.outputs.labels }}
    cache-from: type=gha
    secrets: |
      token=${{ secrets.TOKEN }}

      other=x
    ssh: default""",
        top="on: [push, pull_request]",
    )
    build, push = found.workflow["steps"]
    assert build == {
        "name": "build-it",
        "build": {
            "context": "web", "dockerfile": "docker/Dockerfile", "target": "prod", "pull": True,
            "args": {"A": "1", "B": "${CI_COMMIT_SHA}"}, "platforms": ["linux/amd64", "linux/arm64"],
            "secrets": {"token": "token"},
        },
    }  # fmt: skip
    assert push == {
        "name": "build-it-push",
        "push": {
            "repo": ["ghcr.io/${CI_REPO}", "me/app"],
            "tags": [
                "${CI_COMMIT_BRANCH@tag}", "auto", "sha-${CI_COMMIT_SHA:0:7}", "${CI_COMMIT_SHA}", "latest", "nightly",
            ],
            "image": {"build": "build-it"},
        },
        "when": {"event": ["push", "tag"]},
    }  # fmt: skip
    assert [each.partition(": ")[2] for each in found.remarks] == [
        "the tag type=schedule has no counterpart; it is left out",
        "the flavor latest=false of the tags is left out",
        "the secret 'other' of the build is no secret alone; it is left out",
        "'ssh' of the build is left out; write 'secrets' or 'ssh'",
    ]


def test_names_of_an_image_that_the_file_has() -> None:
    found = of_steps(
        """\
- uses: docker/build-push-action@v6
  if: github.ref == 'refs/heads/main'
  with:
    context: "{{defaultContext}}"
    no-cache: true
    push: true
    labels: "a=${{ github.sha }}"
    tags: |
      host:5000/app:${{ github.sha }}, host:5000/app
      me/app:${{ github.ref_name }}
      ${{ secrets.USER }}/app
- uses: docker/build-push-action@v6
  with: {tags: a, push: false}
- uses: docker/build-push-action@v6
  if: github.actor == 'x'
  with: {tags: a, push: "${{ github.ref == 'refs/heads/main' }}"}
- uses: docker/build-push-action@v6
  with: {tags: a, push: "${{ a b }}"}"""
    )
    first, *pushes = found.workflow["steps"][:4]
    assert first["build"] == {"context": ".", "no_cache": True, "labels": {"a": "${CI_COMMIT_SHA}"}}
    assert [(each["push"]["repo"], each["push"]["tags"]) for each in pushes] == [
        ("host:5000/app", ["${CI_COMMIT_SHA}", "latest"]),
        ("me/app", ["${CI_COMMIT_TAG:-${CI_COMMIT_BRANCH}}"]),
        ("user/app", ["latest"]),
    ]
    assert all(each["when"] == {"event": ["push"], "branch": "main"} for each in pushes)
    assert [each["name"] for each in found.workflow["steps"][4:]] == ["build-2", "build-3", "build-3-push", "build-4"]
    assert found.workflow["steps"][6]["when"] == {
        "event": ["push"], "branch": "main", "evaluate": 'CI_PIPELINE_AUTHOR == "x"',
    }  # fmt: skip
    assert [each.partition(": ")[2] for each in found.remarks] == [
        "a secret cannot be a part of this value: the name 'user' stands in its place; write the value",
        "the condition of the push cannot be taken over, for 'b'; it is never pushed",
    ]


def test_defaults_of_the_names_of_an_image() -> None:
    found = of_steps(
        """\
- {uses: docker/metadata-action@v5, id: m, with: {images: "a,b", x: 1}}
- {uses: docker/build-push-action@v6, with: {push: true, tags: "${{ steps.m.outputs.tags }}"}}"""
    )
    push = found.workflow["steps"][1]["push"]
    assert (push["repo"], push["tags"]) == (["a", "b"], ["${CI_COMMIT_BRANCH@tag}", "auto"])


def test_a_job_that_calls_docker_has_a_daemon() -> None:
    found = of_steps("- run: docker compose up -d")
    assert found.workflow["services"] == [
        {"name": "docker", "image": "docker:28-dind", "privileged": True, "environment": {"DOCKER_TLS_CERTDIR": ""}}
    ]
    assert found.step["environment"] == {"DOCKER_HOST": "tcp://docker:2375"}
    assert "the repository needs to be trusted" in found.remarks[0]


def test_packages_are_published_by_twine() -> None:
    found = of_steps(
        """\
- uses: pypa/gh-action-pypi-publish@release/v1
- uses: pypa/gh-action-pypi-publish@release/v1
  with: {password: "${{ secrets.TEST }}", repository-url: "https://x.example.org/legacy/", packages-dir: out/, x: 1}"""
    )
    assert found.step["image"] == "python:3"
    first, second = (each.split("\n") for each in found.step["commands"])
    assert first[-2] == "twine upload --skip-existing dist/*"
    assert second[-2] == "twine upload --skip-existing --repository-url https://x.example.org/legacy/ out/*"
    assert found.step["environment"] == {"PYPI_TOKEN": {"from_secret": "pypi_token"}, "TEST": {"from_secret": "test"}}
    assert [each.partition(": ")[2].partition(";")[0] for each in found.remarks] == [
        "PyPI trusts no run of this server by itself",
        "'x' of 'with' of pypa/gh-action-pypi-publish has no counterpart",
    ]
