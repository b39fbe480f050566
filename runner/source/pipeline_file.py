"""Reading pipeline files from the disk."""

from pathlib import Path

from pipelines.syntax.yaml import TEXT_BYTES_MAX


def read_pipeline_file(path: Path) -> bytes:
    """A pipeline file's bytes; of one that is too long only so many that this can be told. Raises OSError."""
    with path.open("rb") as file:
        return file.read(TEXT_BYTES_MAX + 1)
