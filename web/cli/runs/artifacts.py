"""`headway artifacts`: lists the files that a run has kept, or saves them as one archive."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.helpers import RunNumber, ServerOption, ServerRepoName, actor, operation_services, remote_api, say
from workers.cli.errors import report_errors

if TYPE_CHECKING:
    from collections.abc import Iterator


@report_errors
def artifacts(
    repo: ServerRepoName,
    run: RunNumber,
    archive: Annotated[
        Path | None, typer.Option("--zip", help="Save them as this zip archive, which must not be there yet.")
    ] = None,
    folder: Annotated[str, typer.Option(help="With --zip: only those below this folder.")] = "",
    server: ServerOption = "",
) -> None:
    """Lists the files that a run has kept: id, bytes, job, step, path. With --zip it saves them."""
    from web.client import actions
    from web.operations.artifacts.archives import open_archive
    from web.operations.artifacts.listing import LISTED_COUNT_MAX, list_artifacts

    with remote_api(server) as api:
        if api is not None:
            if archive is not None:
                _save(archive, actions.artifacts_zip(api, repo, run, folder))
                return
            for line in actions.artifact_lines(api, repo, run):
                say(line)
            return
    with operation_services() as services:
        if archive is not None:
            _save(archive, open_archive(services, actor(), repo, run, folder))
            return
        after_id, more = 0, True
        while more:
            found = list_artifacts(services, actor(), repo, run, LISTED_COUNT_MAX, after_id)
            for kept in found.artifacts:
                row = kept.artifact
                say(f"{row.id}\t{row.size_bytes}\t{kept.job.name}\t{kept.step_name}\t{row.path}")
            more, after_id = found.more, found.artifacts[-1].artifact.id if found.artifacts else 0


def _save(path: Path, pieces: "Iterator[bytes]") -> None:
    """Writes the file; where that fails, none is left. Raises StartError."""
    from workers.errors import StartError

    try:
        file = path.open("xb")
    except OSError as error:
        raise StartError(f"{path} cannot be made: {error.strerror}; name another file.") from None
    try:
        with file:
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StartError(f"The artifacts cannot be saved: {error}") from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise
