"""Documents lead to each other: every relative link and every anchor exists, and no page is forgotten."""

import re
from pathlib import Path

import pytest

from tests.support.documents import DECISIONS, MANUAL, PAGES, anchors_of, links_of, name_of
from tests.support.paths import DOCS, ROOT


def missing_targets(page: Path) -> list[str]:
    missing = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            missing.append(link)
    return missing


def test_there_are_pages() -> None:
    assert len(PAGES) > 20
    assert sum(len(links_of(page)) for page in PAGES) > 80


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS], ids=name_of)
def test_every_relative_link_and_anchor_exists(page: Path) -> None:
    assert missing_targets(page) == []


@pytest.mark.parametrize(
    ("link", "found"), [("b.md", True), ("b.md#the-end", True), ("#a", True), ("c.md", False), ("b.md#end", False)]
)
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, link: str, found: bool) -> None:
    (tmp_path / "b.md").write_text("# B\n\n## The end\n")
    page = tmp_path / "a.md"
    page.write_text(f"# A\n\n[there]({link})\n")
    assert missing_targets(page) == ([] if found else [link])


def test_the_start_page_lists_every_page_of_the_manual() -> None:
    start = DOCS / "README.md"
    listed = {(DOCS / link).resolve() for link in links_of(start)}
    assert {name_of(page) for page in MANUAL if page != start and page.resolve() not in listed} == set()


def test_the_readme_leads_to_the_start_page() -> None:
    assert "docs/README.md" in links_of(ROOT / "README.md")


def sources() -> list[Path]:
    """What may name a document in a comment or a message."""
    packages = (path for name in ("pipelines", "runner", "workers", "web") for path in ROOT.glob(f"{name}/**/*.py"))
    return [*packages, *ROOT.glob("scripts/*.*"), ROOT / "Makefile", ROOT / "docker-compose.yml", ROOT / "Dockerfile"]


def test_every_document_that_the_code_names_exists() -> None:
    named = {name for path in sources() for name in re.findall(r"\bdocs/[\w./-]*\w", path.read_text(encoding="utf-8"))}
    assert len(named) > 3
    assert {name for name in named if not list(ROOT.glob(f"{name}*"))} == set()
