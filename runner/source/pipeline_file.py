"""Reads pipeline files from the disk."""

from pathlib import Path

from pipelines.syntax.yaml import TEXT_BYTES_MAX


def read_pipeline_file(path: Path) -> bytes:
    """The bytes of a pipeline file; of one above the size limit only one byte more than the limit. Raises OSError."""
    with path.open("rb") as file:
        return file.read(TEXT_BYTES_MAX + 1)
