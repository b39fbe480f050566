"""Hints about caches that builds write outside of the image."""

import pytest

from pipelines.context import PipelineFile
from pipelines.images import cache_export
from pipelines.linter.linter import ANY_REPO, lint_files


@pytest.mark.parametrize(
    ("entry", "is_told"),
    [
        ("type=inline", False),
        ("type=INLINE", False),
        ("'type=registry,ref=r.example/a:cache'", True),
        ("'type=local,dest=cache'", True),
        ("'mode=max,type=gha'", True),
        ("r.example/a:cache", True),
    ],
)
def test_a_cache_outside_of_the_image_needs_the_containerd_store(entry: str, is_told: bool) -> None:
    text = f"steps:\n  - {{name: app, build: {{context: ., cache_to: [{entry}]}}}}\n"
    said = [str(each) for each in lint_files([PipelineFile(".headway.yml", text.encode())], ANY_REPO)]
    assert sum(cache_export.NEED in each for each in said) == is_told
