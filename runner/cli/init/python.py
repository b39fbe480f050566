"""Python: pip, uv, Poetry, Pipenv; pytest, tox, nox, Django and unittest; ruff, flake8 and pre-commit."""

import re

from runner.cli.init.found import Found, Step, step, version_in
from runner.cli.init.repository import Repository

_MANIFESTS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "manage.py")
_REQUIREMENTS = r"requirements(?:[-_.](?:dev|test|tests|ci))?\.txt|requirements/(?:dev|test|tests|ci)\.txt"
_EXTRAS = ("dev", "test", "tests", "testing")
NEWEST = "3.13"


def find(repository: Repository) -> Found | None:
    """The steps of a Python project at the root."""
    if not repository.has(*_MANIFESTS):
        return None
    project = repository.text("pyproject.toml")
    image = f"python:{_version(repository, project)}"
    tool, prefix, install, cache = _installation(repository, project)
    steps = _lint(repository, project, image)
    steps.append(_tests(repository, project, image, prefix, install, cache))
    return Found(f"Python with {tool}", steps)


def _version(repository: Repository, project: str) -> str:
    pinned = version_in(repository.text(".python-version"), r"(?m)^(3\.\d{1,3})", "")
    lowest = version_in(project, r"(?m)^(?:requires-python|python)\s*=\s*[\"'][^\d\"']*(3\.\d{1,3})", "")
    if pinned or not lowest:
        return pinned or NEWEST
    return lowest if re.search(rf"==\s*{re.escape(lowest)}", project) else max(lowest, NEWEST, key=_minor)


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def _installation(repository: Repository, project: str) -> tuple[str, str, list[str], str]:
    """The tool, what stands before its programs, the commands that install, and its cache."""
    if repository.has("uv.lock"):
        return "uv", "uv run ", ["pip install uv", "uv sync --locked"], "~/.cache/uv"
    if repository.has("poetry.lock") or "[tool.poetry]" in project:
        return "Poetry", "poetry run ", ["pip install poetry", "poetry install"], "pip"
    if repository.has("Pipfile"):
        return "Pipenv", "pipenv run ", ["pip install pipenv", "pipenv install --dev"], "pip"
    files = repository.matching(_REQUIREMENTS)
    commands = [f"pip install -r {path}" for path in files]
    if repository.has("setup.py", "setup.cfg") or "[project]" in project:
        extra = next((each for each in _EXTRAS if re.search(rf"(?m)^{each}\s*=\s*\[", _extras(project))), "")
        commands.append(f"pip install -e .{f'[{extra}]' if extra else ''}")
    if re.search(r"(?m)^dev\s*=\s*\[", project.partition("[dependency-groups]")[2]):
        commands.append("pip install --group dev")
    return "pip", "", commands, "pip"


def _extras(project: str) -> str:
    return project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]


def _lint(repository: Repository, project: str, image: str) -> list[Step]:
    """A step for the linters that have a configuration."""
    if repository.has(".pre-commit-config.yaml"):
        return [step("lint", image, ["pip install pre-commit", "pre-commit run --all-files"], "pip")]
    if repository.has("ruff.toml", ".ruff.toml") or "[tool.ruff" in project:
        return [step("lint", image, ["pip install ruff", "ruff check ."], "pip")]
    if repository.has(".flake8") or "[flake8]" in repository.text("setup.cfg") + repository.text("tox.ini"):
        return [step("lint", image, ["pip install flake8", "flake8"], "pip")]
    return []


def _tests(repository: Repository, project: str, image: str, prefix: str, install: list[str], cache: str) -> Step:
    declared = project + "".join(repository.text(path) for path in repository.matching(_REQUIREMENTS))
    declared += "".join(repository.text(name) for name in ("setup.py", "setup.cfg", "Pipfile", "tox.ini"))
    has_tests = bool(repository.matching(r"(?:tests?/)?(?:conftest|test_\w+)\.py|pytest\.ini|tests?/.*/test_\w+\.py"))
    if "pytest" in declared or repository.has("pytest.ini", "conftest.py", "tests/conftest.py"):
        is_declared = prefix or "pytest" in declared.replace("[tool.pytest", "")
        needed = [] if is_declared else ["pip install pytest"]
        commands = [*install, *needed, f"{prefix}pytest --junit-xml report.xml"]
        return step("test", image, commands, cache, "report.xml")
    if repository.has("tox.ini"):
        return step("test", image, ["pip install tox", "tox -e py"], "pip")
    if repository.has("noxfile.py"):
        return step("test", image, ["pip install nox", "nox"], "pip")
    if repository.has("manage.py"):
        return step("test", image, [*install, f"{prefix}python manage.py test"], cache)
    last = "python -m unittest discover" if has_tests else "python -m compileall -q ."
    return step("test", image, [*install, prefix + last], cache)
