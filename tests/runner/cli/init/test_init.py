"""``headway init``: a generated repository of each kind. Each file that it writes is clean for lint and has a plan."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import PipelineFile
from pipelines.linter.linter import lint_files
from pipelines.problem import Level
from runner.cli.init.init import init_folder
from runner.cli.init.repository import Repository
from tests.support.pipelines import TRUSTED, push


def files_of(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def written(folder: Path, files: dict[str, str]) -> dict[str, Any]:
    """What ``init`` writes for these files, by the names of the steps."""
    out, err = StringIO(), StringIO()
    assert init_folder(files_of(folder, files), out, err) == 0, err.getvalue()
    text = (folder / ".headway.yml").read_bytes()
    problems = lint_files([PipelineFile(".headway.yml", text)])
    assert [str(each) for each in problems if each.level is not Level.HINT] == [], text.decode()
    assert compile_pipeline([PipelineFile(".headway.yml", text)], push(), TRUSTED).jobs
    return dict(yaml.safe_load(text))


def steps_of(folder: Path, files: dict[str, str]) -> dict[str, Any]:
    return {step["name"]: step for step in written(folder, files)["steps"]}


PYTHON = [
    ({"requirements.txt": "pytest\n"}, ["pip install -r requirements.txt", "pytest --junit-xml report.xml"], "pip"),
    (
        {"requirements.txt": "", "requirements-dev.txt": "pytest", "setup.py": "", "tests/test_a.py": ""},
        ["pip install -r requirements-dev.txt", "pip install -r requirements.txt", "pip install -e .",
         "pytest --junit-xml report.xml"],
        "pip",
    ),
    (
        {"pyproject.toml": "[project]\n[project.optional-dependencies]\ntest=['pytest']\n[dependency-groups]\ndev=[1]"},
        ["pip install -e .[test]", "pip install --group dev", "pytest --junit-xml report.xml"],
        "pip",
    ),
    ({"pyproject.toml": "[project]\n[tool.pytest.ini_options]"},
     ["pip install -e .", "pip install pytest", "pytest --junit-xml report.xml"], "pip"),
    ({"pyproject.toml": "pytest", "uv.lock": ""},
     ["pip install uv", "uv sync --locked", "uv run pytest --junit-xml report.xml"], "~/.cache/uv"),
    ({"pyproject.toml": "[tool.poetry]", "poetry.lock": "", "conftest.py": ""},
     ["pip install poetry", "poetry install", "poetry run pytest --junit-xml report.xml"], "pip"),
    ({"Pipfile": "pytest"}, ["pip install pipenv", "pipenv install --dev", "pipenv run pytest --junit-xml report.xml"],
     "pip"),
    ({"setup.py": "", "tox.ini": ""}, ["pip install tox", "tox -e py"], "pip"),
    ({"setup.py": "", "noxfile.py": ""}, ["pip install nox", "nox"], "pip"),
    ({"manage.py": "", "requirements.txt": ""}, ["pip install -r requirements.txt", "python manage.py test"], "pip"),
    ({"setup.cfg": "", "tests/test_a.py": ""}, ["pip install -e .", "python -m unittest discover"], "pip"),
    ({"setup.cfg": ""}, ["pip install -e .", "python -m compileall -q ."], "pip"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "commands", "cache"), PYTHON)
def test_python(tmp_path: Path, files: dict[str, str], commands: list[str], cache: str) -> None:
    step = steps_of(tmp_path, files)["test"]
    assert (step["commands"], step["cache"], step["image"]) == (commands, cache, "python:3.13")
    assert ("reports" in step) == any("report.xml" in each for each in commands)


@pytest.mark.parametrize(
    ("files", "image"),
    [
        ({".python-version": "3.11.4\n"}, "python:3.11"),
        ({"pyproject.toml": 'requires-python = ">=3.9"'}, "python:3.13"),
        ({"pyproject.toml": 'requires-python = ">=3.14"'}, "python:3.14"),
        ({"pyproject.toml": 'requires-python = "==3.9"'}, "python:3.9"),
    ],
)
def test_the_version_of_python(tmp_path: Path, files: dict[str, str], image: str) -> None:
    assert steps_of(tmp_path, {"setup.py": "", **files})["test"]["image"] == image


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({".pre-commit-config.yaml": ""}, "pre-commit run --all-files"),
        ({"ruff.toml": ""}, "ruff check ."),
        ({"tox.ini": "[flake8]"}, "flake8"),
    ],
)
def test_linters_of_python(tmp_path: Path, files: dict[str, str], command: str) -> None:
    assert steps_of(tmp_path, {"setup.py": "", **files})["lint"]["commands"][-1] == command


NODE = [
    ({"package-lock.json": ""}, {}, ["npm ci"], "npm", ["npm run test"]),
    ({}, {}, ["npm install"], "npm", ["npm run test"]),
    ({"pnpm-lock.yaml": ""}, {}, ["corepack enable", "pnpm install --frozen-lockfile"], "pnpm",
     ["corepack enable", "pnpm run test"]),
    ({}, {"packageManager": "pnpm@9"}, ["corepack enable", "pnpm install"], "pnpm",
     ["corepack enable", "pnpm run test"]),
    ({"yarn.lock": ""}, {}, ["yarn install --frozen-lockfile"], "yarn", ["yarn run test"]),
    ({"yarn.lock": "", ".yarnrc.yml": ""}, {}, ["corepack enable", "yarn install --immutable"], "yarn",
     ["corepack enable", "yarn run test"]),
    ({"bun.lock": ""}, {}, ["bun install --frozen-lockfile"], None, ["bun run test"]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "more", "install", "cache", "test"), NODE)
def test_node(
    tmp_path: Path, files: dict[str, str], more: dict[str, str], install: list[str], cache: str | None, test: list[str]
) -> None:
    package = {"scripts": {"test": "mocha", "lint": "eslint .", "x": 1, "build": "vite build"}, **more}
    steps = steps_of(tmp_path, {"package.json": json.dumps(package), **files})
    assert list(steps) == ["install", "lint", "test", "build"]
    assert (steps["install"]["commands"], steps["install"].get("cache")) == (install, cache)
    assert steps["test"]["commands"] == test


@pytest.mark.parametrize(
    ("package", "files", "image", "reports"),
    [
        ('{"scripts": {"test": "vitest"}}', {}, "node:22", "report.xml"),
        ('{"scripts": {"test": "jest"}, "devDependencies": {"jest-junit": "1"}}', {}, "node:22", "junit.xml"),
        ('{"scripts": {"test": "jest"}, "engines": {"node": ">=24"}}', {".nvmrc": "lts"}, "node:24", None),
        ('{"scripts": {"test": "jest"}, "engines": {"node": "999"}}', {}, "node:22", None),
        ('{"scripts": {"test": "jest"}, "engines": {"node": ">=18"}}', {".nvmrc": "v20.1\n"}, "node:20", None),
    ],
)
def test_the_runner_of_node(
    tmp_path: Path, package: str, files: dict[str, str], image: str, reports: str | None
) -> None:
    test = steps_of(tmp_path, {"package.json": package, **files})["test"]
    assert (test["image"], test.get("reports", {}).get("junit")) == (image, reports)


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"scripts": []}', '{"scripts": {"test": "no test specified"}}', "[" * 99999]
)
def test_a_package_without_scripts(tmp_path: Path, text: str) -> None:
    assert list(steps_of(tmp_path, {"package.json": text})) == ["install"]


OTHERS = [
    ({"go.mod": "module a\n\ngo 1.24.1\n"}, "golang:1.24", ["go vet ./..."],
     ["go run gotest.tools/gotestsum@latest --junitfile report.xml ./..."], "go", "report.xml"),
    ({"go.mod": "", ".golangci.yml": ""}, "golang:1",
     ["go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@latest run"],
     ["go run gotest.tools/gotestsum@latest --junitfile report.xml ./..."], "go", "report.xml"),
    ({"Cargo.toml": "", "Cargo.lock": ""}, "rust:1",
     ["rustup component add clippy rustfmt", "cargo fmt --check", "cargo clippy --locked -- -D warnings"],
     ["cargo test --locked"], ["cargo", "target"], None),
    ({"Cargo.toml": "", "rust-toolchain.toml": 'channel = "1.80"'}, "rust:1.80",
     ["rustup component add clippy rustfmt", "cargo fmt --check", "cargo clippy -- -D warnings"],
     ["cargo test"], ["cargo", "target"], None),
    ({"pom.xml": "<java.version>17</java.version>"}, "maven:3-eclipse-temurin-17", None, ["mvn -B verify"], "maven",
     "**/target/surefire-reports/TEST-*.xml"),
    ({"pom.xml": "", "mvnw": ""}, "eclipse-temurin:21-jdk", None, ["sh ./mvnw -B verify"], "maven",
     "**/target/surefire-reports/TEST-*.xml"),
    ({"build.gradle": "JavaLanguageVersion.of(17)"}, "gradle:8-jdk17", None, ["gradle check"], "gradle",
     "**/build/test-results/**/TEST-*.xml"),
    ({"build.gradle.kts": "JavaVersion.VERSION_11", "gradlew": ""}, "eclipse-temurin:11-jdk", None,
     ["sh ./gradlew check"], "gradle", "**/build/test-results/**/TEST-*.xml"),
    ({"composer.json": '"phpunit/phpunit"', "phpstan.neon": ""}, "composer:2",
     ["composer install --no-interaction", "vendor/bin/phpstan analyse"],
     ["composer install --no-interaction", "vendor/bin/phpunit --log-junit report.xml"], "composer", "report.xml"),
    ({"composer.json": '"pestphp/pest"'}, "composer:2", None,
     ["composer install --no-interaction", "vendor/bin/pest --log-junit report.xml"], "composer", "report.xml"),
    ({"composer.json": ""}, "composer:2", None, ["composer install --no-interaction", "composer validate"], "composer",
     None),
    ({"Gemfile": "gem 'rspec_junit_formatter'", ".rubocop.yml": "", ".ruby-version": "3.3.1"}, "ruby:3.3",
     ["bundle install", "bundle exec rubocop"],
     ["bundle install", "bundle exec rspec --format progress --format RspecJunitFormatter --out report.xml"],
     "bundler", "report.xml"),
    ({"Gemfile": "", ".rspec": ""}, "ruby:3.4", None, ["bundle install", "bundle exec rspec"], "bundler", None),
    ({"Gemfile": "", "bin/rails": ""}, "ruby:3.4", None, ["bundle install", "bin/rails test"], "bundler", None),
    ({"Gemfile": ""}, "ruby:3.4", None, ["bundle install", "bundle exec rake"], "bundler", None),
    ({"App.sln": "", "src/App.csproj": "<TargetFramework>net8.0</TargetFramework>"}, "mcr.microsoft.com/dotnet/sdk:8.0",
     None, ["dotnet test --logger trx --results-directory results"], "~/.nuget/packages", "results/*.trx"),
    ({"App.fsproj": "", "global.json": '"version": "10.0.1"'}, "mcr.microsoft.com/dotnet/sdk:10.0", None,
     ["dotnet test --logger trx --results-directory results"], "~/.nuget/packages", "results/*.trx"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "image", "lint", "test", "cache", "reports"), OTHERS)
def test_other_languages(
    tmp_path: Path, files: dict[str, str], image: str, lint: object, test: object, cache: object, reports: object
) -> None:
    steps = steps_of(tmp_path, files)
    assert steps.get("lint", {}).get("commands") == lint
    found = steps["test"]
    assert (found["image"], found["commands"], found["cache"]) == (image, test, cache)
    assert found.get("reports", {}).get("junit") == reports


def test_a_dockerfile_alone_is_built_and_tested(tmp_path: Path) -> None:
    found = written(tmp_path, {"Dockerfile": "FROM alpine"})
    assert [step.get("build") for step in found["steps"]] == [".", None]
    assert "image" not in found["steps"][1]
    text = (tmp_path / ".headway.yml").read_text()
    assert "# docker build of Dockerfile\n" in text
    assert text.endswith("#     tags: auto\n")


def test_nothing_is_built_where_there_is_no_dockerfile(tmp_path: Path) -> None:
    out = StringIO()
    assert init_folder(files_of(tmp_path, {"README": ""}), out, StringIO()) == 0
    assert out.getvalue() == f"wrote {tmp_path}/.headway.yml; try it: headway run\n"
    text = (tmp_path / ".headway.yml").read_text()
    assert "build" not in text
    assert "image: alpine:3" in text


def test_several_languages_and_dockerfiles(tmp_path: Path) -> None:
    files = {"package.json": '{"scripts": {"test": "x"}}', "setup.py": "", "Dockerfile": "", "web/Dockerfile": ""}
    steps = steps_of(tmp_path, {**files, "docker/Dockerfile": "", "node_modules/Dockerfile": "", ".x/Dockerfile": ""})
    assert list(steps) == ["python-test", "node-install", "node-test", "build", "build-docker", "build-web"]
    assert steps["build-docker"]["build"] == {"context": ".", "dockerfile": "docker/Dockerfile"}
    assert steps["build-web"]["build"] == "web"


def test_languages_in_folders(tmp_path: Path) -> None:
    files = {"api/go.mod": "", "web/package.json": '{"scripts": {"test": "x"}}', "web/composer.json": ""}
    steps = steps_of(tmp_path, files)
    assert list(steps) == ["api-lint", "api-test", "web-install", "web-test", "web-test-2"]
    assert {step["directory"] for step in steps.values()} == {"api", "web"}


def test_services_of_a_compose_file(tmp_path: Path) -> None:
    compose = """\
services:
  db: {image: "postgis/postgis:16-3.4", environment: {POSTGRES_PASSWORD: secret}}
  cache: {image: "redis:${V}"}
  other: {image: "redis:6"}
  app: {build: .}
  mail: {image: mailhog/mailhog}
  list: [a]
"""
    sample = "DATABASE_URL=postgresql+psycopg://app:pw@localhost/app\nREDIS_URL='redis://x'\nX=http://a\n"
    sample += "AMQP=amqp://x\nDATABASE_URL=mysql://x\n"
    files = {"requirements.txt": "pytest", "compose.yaml": compose, ".env.example": sample}
    found = written(tmp_path, files)
    assert found["services"] == [
        {"name": "db", "image": "postgis/postgis:16-3.4", "environment": {"POSTGRES_PASSWORD": "test"},
         "ready": "pg_isready -U postgres"},
        {"name": "cache", "image": "redis:7", "ready": "redis-cli ping"},
        {"name": "rabbitmq", "image": "rabbitmq:4", "ready": {"port": 5672}},
    ]  # fmt: skip
    assert found["steps"][0]["environment"] == {
        "DATABASE_URL": "postgresql+psycopg://postgres:test@db/postgres",
        "REDIS_URL": "redis://cache:6379/0",
        "AMQP": "amqp://guest:guest@rabbitmq:5672/",
    }


@pytest.mark.parametrize("compose", ["", "a", "services: [", "services: [a]"])
def test_a_compose_file_that_cannot_be_read(tmp_path: Path, compose: str) -> None:
    assert "services" not in written(tmp_path, {"go.mod": "", "docker-compose.yml": compose})


def test_files_of_another_system_are_imported(tmp_path: Path) -> None:
    files = {".drone.yml": "kind: pipeline\nname: a\nsteps: [{name: t, image: alpine, commands: [ls]}]", "go.mod": ""}
    out, err = StringIO(), StringIO()
    assert init_folder(files_of(tmp_path, files), out, err) == 0
    assert out.getvalue() == f"wrote {tmp_path}/.headway/a.yml\n"
    assert not (tmp_path / ".headway.yml").exists()
    assert init_folder(tmp_path, out, err) == 1
    assert err.getvalue().endswith(f"headway: {tmp_path}/.headway already exists\n")


def test_a_file_that_cannot_be_imported_does_not_stop_it(tmp_path: Path) -> None:
    out, err = StringIO(), StringIO()
    assert init_folder(files_of(tmp_path, {".gitlab-ci.yml": "a: 1", "go.mod": ""}), out, err) == 0
    assert out.getvalue() == f"wrote {tmp_path}/.headway.yml for Go; try it: headway run\n"
    assert "nothing could be imported" in err.getvalue()


def test_a_folder_that_is_not_there_or_cannot_be_written(tmp_path: Path) -> None:
    err = StringIO()
    assert init_folder(tmp_path / "gone", StringIO(), err) == 2
    assert err.getvalue() == f"headway: {tmp_path}/gone is not a folder\n"


def test_an_existing_file_stays(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").symlink_to(tmp_path / "nowhere")
    err = StringIO()
    assert init_folder(tmp_path, StringIO(), err) == 1
    assert err.getvalue() == f"headway: {tmp_path}/.headway.yml already exists\n"


def test_links_out_of_the_repository_and_what_is_no_file_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("go 1.20")
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "go.mod").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder)
    found = Repository(folder)
    assert (found.text("go.mod"), found.text("none")) == ("", "")
    assert found.files == {"go.mod"}


@pytest.mark.parametrize(("count", "seen"), [(5, True), (6, False)])
def test_files_at_the_limit_and_one_past_it(tmp_path: Path, count: int, seen: bool) -> None:
    files_of(tmp_path, {f"a{number}": "" for number in range(count - 1)} | {"z": ""})
    assert Repository(tmp_path, entries_count_max=5).has("z") == seen


def test_folders_that_cannot_be_read_are_empty(tmp_path: Path) -> None:
    assert Repository(tmp_path / "gone").files == frozenset()
    files_of(tmp_path, {"a/b/c/d": "", "a/b/c2": ""})
    assert Repository(tmp_path).files == {"a/b/c2"}
