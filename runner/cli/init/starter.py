"""The text of a first pipeline file."""

from typing import NamedTuple

from pipelines.importers.workflow_files import FileNames
from pipelines.importers.yaml_text import Commented, Value, yaml_text
from runner.cli.init import compiled, node, python, scripted, services
from runner.cli.init.found import Found, Step
from runner.cli.init.repository import Repository

_LANGUAGES = (
    *(python.find, node.find, compiled.find_go, compiled.find_rust, compiled.find_java),
    *(scripted.find_php, scripted.find_ruby, compiled.find_dotnet),
)
_FOLDERS_COUNT_MAX = 100
_FOUND_COUNT_MAX = 5
_HEAD = (
    "The first pipeline of this repository: look at each command. Reference: docs/using/pipelines.md",
    "Try it with `headway run`; `headway lint` checks it.",
)
_PUSH = """
# - name: push             # exactly the image that was built
#   push:
#     repo: registry.example.com/team/app
#     tags: auto
"""


class Starter(NamedTuple):
    """The text, and the names of what was found."""

    text: str
    titles: list[str]


def starter_of(repository: Repository) -> Starter:
    """The first pipeline file of a repository."""
    languages = _languages(repository)
    needed = services.find(repository)
    steps = _steps(languages, needed.environment)
    builds = _builds(repository)
    if not steps:
        steps = [_placeholder(with_image=not builds)]
        order = [*builds, *steps]
    else:
        order = [*steps, *builds]
    workflow: dict[str, Value] = {"when": {"event": ["push", "pull_request", "manual"]}}
    if needed.services and languages:
        workflow["services"] = list[Value](needed.services)
    workflow["steps"] = order
    titles = [found.title + (f" in {found.folder}" if found.folder else "") for found in languages]
    titles += [str(service["name"]) for service in needed.services if languages]
    titles += [f"{len(builds)} Dockerfile{'s' if len(builds) > 1 else ''}"] if builds else []
    return Starter(yaml_text(workflow, _HEAD) + (_PUSH.lstrip("\n") if builds else ""), titles)


def _languages(repository: Repository) -> list[Found]:
    """The languages at the root; where it has none, those of the folders in it."""
    here = [found for find in _LANGUAGES if (found := find(repository)) is not None]
    if here:
        return here
    below = [(name, repository.below(name)) for name in repository.folders[:_FOLDERS_COUNT_MAX]]
    return [
        found._replace(folder=name) for name, part in below for find in _LANGUAGES if (found := find(part)) is not None
    ][:_FOUND_COUNT_MAX]


def _placeholder(*, with_image: bool) -> Value:
    commands: list[Value] = ['echo "put your test command here"']
    made: dict[str, Value] = {"name": "test", **({"image": "alpine:3"} if with_image else {}), "commands": commands}
    text = "choose an image that has your tools" if with_image else "without 'image', it runs in the image just built"
    return Commented((text,), made)


def _steps(languages: list[Found], environment: dict[str, Value]) -> list[Value]:
    """The steps of all languages; where there are several, each step has the name of its own."""
    found: list[Value] = []
    names = FileNames()
    for language in languages:
        word = language.folder or language.title.split()[0].strip(".").lower()
        prefix = f"{word}-" if len(languages) > 1 else ""
        for number, step in enumerate(language.steps):
            made: Step = {**step, "name": names.of(f"{prefix}{step['name']}")}
            if language.folder:
                made["directory"] = language.folder
            if environment and step["name"] == "test":
                made["environment"] = environment
            comments = (language.title, *language.comments) if number == 0 else ()
            found.append(Commented(comments, made) if comments else made)
    return found


def _builds(repository: Repository) -> list[Value]:
    """A build of each Dockerfile."""
    found: list[Value] = []
    names = FileNames()
    for path in repository.matching(r"(?:[^/]+/){0,2}Dockerfile")[:5]:
        folder = path.rpartition("/")[0]
        name = f"build-{folder.replace('/', '-')}" if folder else "build"
        is_of_root = folder in {"docker", "deploy", ".docker", "build", "ci", "docker/app"}
        build: Value = {"context": ".", "dockerfile": path} if is_of_root else folder or "."
        found.append(Commented((f"docker build of {path}",), {"name": names.of(name), "build": build}))
    return found
