"""Secrets that a step gets as files, as its plan has them: their places, never their values."""

from posixpath import dirname

from pydantic import BaseModel, ConfigDict

DEFAULT_MODE = 0o400
FILES_COUNT_MAX = 20
PATH_BYTES_MAX = 255
FILES_BYTES_MAX = 1024 * 1024
"""All files of a step together."""
FOLDER_BYTES_MAX = 4 * FILES_BYTES_MAX
"""What a folder in memory holds: the files, and what tools write beside them."""


class SecretFile(BaseModel):
    """One file: the content is that of ``secret``. Its folder is in memory, and is there for this container alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    secret: str
    path: str
    mode: int = DEFAULT_MODE

    @property
    def folder(self) -> str:
        """The folder that it is in."""
        return dirname(self.path)
