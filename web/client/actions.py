"""What commands ask of a server in place of the installation on this machine. Each returns what the command prints."""

from collections.abc import Iterator, Mapping, Sequence

from web.client.api import Api, repo_path, run_path
from workers.errors import StartError
from workers.triggers.manual import InvalidRequestError, inputs_from

ARTIFACTS_COUNT_MAX = 1000  # of one answer


def start(api: Api, repo: str, request: Mapping[str, object], input_lines: Sequence[str]) -> str:
    """Starts a run, and returns its address."""
    try:
        inputs = inputs_from(input_lines)
    except InvalidRequestError as error:
        raise StartError(str(error)) from None
    given = {name: value for name, value in request.items() if value}
    return str(api.post(f"{repo_path(repo)}/runs", {**given, "inputs": inputs})["url"])


def rerun(api: Api, repo: str, number: int, request: Mapping[str, object]) -> str:
    """Runs it again, and returns the new run's address."""
    return str(api.post(f"{run_path(repo, number)}/rerun", request)["url"])


def approve(api: Api, repo: str, number: int, *, reject: bool) -> str:
    """Lets the run go on, or cancels it, and returns its address."""
    api.post(f"{run_path(repo, number)}/{'cancel' if reject else 'approve'}")
    return str(api.get(run_path(repo, number))["url"])


def artifact_lines(api: Api, repo: str, number: int) -> Iterator[str]:
    """The files that a run has kept: id, bytes, job, step, path."""
    after: int | None = 0
    while after is not None:
        found = api.get(f"{run_path(repo, number)}/artifacts", {"after": after, "limit": ARTIFACTS_COUNT_MAX})
        for each in found["artifacts"]:
            yield "\t".join(map(str, (each["id"], each["size_bytes"], each["job"], each["step"], each["path"])))
        after = found["next_after"]


def artifacts_zip(api: Api, repo: str, number: int, folder: str) -> Iterator[bytes]:
    """The files of a run, or of a folder of them, as one archive."""
    return api.pieces(f"{run_path(repo, number)}/artifacts.zip", {"folder": folder} if folder else {})
