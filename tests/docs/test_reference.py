"""The pages that list something list all of it: settings, reasons, packages."""

import importlib
import pkgutil
import re
from functools import reduce
from pathlib import Path

import pytest
import yaml
from fastapi import APIRouter
from fastapi.routing import APIRoute

import web.api
import web.streaming
from pipelines.state import Reason
from scripts.settings_page import page
from tests.support.documents import PAGES, blocks_of, headings_of, name_of, text_of
from tests.support.paths import DOCS, ROOT
from workers.setting_names import OF_OTHERS
from workers.settings import Settings

SETTINGS = {f"HEADWAY_{name.upper()}" for name in Settings.model_fields}
SETTINGS_PAGE = DOCS / "running" / "settings.md"
PACKAGES = ("pipelines", "runner", "workers", "web")


def named_in(*paths: Path) -> set[str]:
    return {name for path in paths for name in re.findall(r"HEADWAY_[A-Z0-9_]*[A-Z0-9]", text_of(path))}


def test_the_settings_page_is_made_from_the_settings() -> None:
    assert text_of(SETTINGS_PAGE) == page(), "run `make docs`"


def test_the_settings_page_has_every_setting_and_no_other() -> None:
    assert named_in(SETTINGS_PAGE) == SETTINGS


@pytest.mark.parametrize("document", [each for each in PAGES if each.name != "CHANGELOG.md"], ids=name_of)
def test_every_setting_that_a_document_names_exists(document: Path) -> None:
    of_scripts = named_in(ROOT / "Makefile", ROOT / "docker-compose.yml", *(ROOT / "scripts").glob("*.*"))
    assert named_in(document) - SETTINGS - OF_OTHERS - of_scripts == set()


def test_the_examples_for_compose_set_settings_of_its_services() -> None:
    ours = yaml.safe_load(text_of(ROOT / "docker-compose.yml"))["services"]
    examples = [block for page in PAGES for block in blocks_of(page) if block.label == "yaml compose"]
    assert examples
    for example in examples:
        services = yaml.safe_load(example.text)["services"]
        assert set(services) <= set(ours)
        assert {name for service in services.values() for name in service["environment"]} <= SETTINGS


def calls_of_the_api() -> set[str]:
    """Every route of the API as ``GET /api/repos/NAME``, but those that are not meant for users."""
    modules = [
        importlib.import_module(found.name)
        for package in (web.api, web.streaming)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    routers = [found for module in modules if isinstance(found := getattr(module, "router", None), APIRouter)]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    calls = {f"{method} {route.path}" for route in routes if route.include_in_schema for method in route.methods or ()}
    placed = {re.sub(r"\{(?:\w+_)?(\w+?)(?::path)?\}", lambda found: found[1].upper(), call) for call in calls}
    words = {"/crons/NAME": "/crons/CRON", "/secrets/NAME": "/secrets/SECRET", "/roles/NAME": "/roles/USER"}
    return {reduce(lambda text, pair: text.replace(*pair), words.items(), call) for call in placed}


def test_the_page_of_the_api_has_every_call_and_no_other() -> None:
    page = text_of(DOCS / "using" / "api.md")
    listed = set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", page, re.MULTILINE))
    assert len(listed) > 20
    assert listed | {"GET /schema.json"} == calls_of_the_api() | {"GET /schema.json"}


def test_troubleshooting_has_a_section_for_every_reason_and_no_other() -> None:
    assert sorted(headings_of(DOCS / "running" / "troubleshooting.md", level=3)) == sorted(Reason)


def test_every_section_of_troubleshooting_says_what_to_do() -> None:
    text = text_of(DOCS / "running" / "troubleshooting.md")
    sections = re.findall(r"^### (.+)\n\n((?:(?!##).*\n)+)", text, re.MULTILINE)
    assert {heading for heading, said in sections if len(said) > 120} == set(Reason)


def test_the_architecture_names_every_sub_package() -> None:
    text = text_of(ROOT / "ARCHITECTURE.md")
    folders = {
        f"{package}/{init.parent.name}/" for package in PACKAGES for init in ROOT.glob(f"{package}/*/__init__.py")
    }
    assert len(folders) > 20
    assert {folder for folder in folders if f"`{folder}`" not in text} == set()


@pytest.mark.parametrize(
    "document", [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", DOCS / "developing" / "README.md"], ids=name_of
)
def test_every_path_that_the_developers_pages_name_exists(document: Path) -> None:
    words = (*PACKAGES, "tests", "scripts", "docs", "bench")
    paths = set(re.findall(rf"`((?:{'|'.join(words)})/[^`\s]*)`", text_of(document)))
    assert {path for path in paths if "NAME" not in path and not (ROOT / path).exists()} == set()
