"""``actions/checkout``, and actions that build or publish what is in the checkout."""

import re
from posixpath import normpath

from pipelines.importers.github import docker
from pipelines.importers.github.reading import ImageBuild, Reading, with_text
from pipelines.importers.github.scripts import Run
from pipelines.importers.keys import Keys
from pipelines.importers.yaml_text import Value

_OF_CHECKOUTS = (
    *("token", "ssh-key", "persist-credentials", "clean", "fetch-tags", "show-progress", "set-safe-directory"),
    *("ssh-strict", "filter", "github-server-url", "allow-unsafe-pr-checkout"),
)
_OF_PYPI = ("user", "skip-existing", "skip_existing", "verbose", "print-hash", "attestations", "verify-metadata")
_OWN_REF = re.compile(r"github\.(?:sha|ref|head_ref|event\.pull_request\.head|event\.after)|^main$|^master$")


def checkout(reading: Reading, inputs: Keys, run: Run) -> None:
    """The checkout of the repository, or a clone of another."""
    repository = inputs.text("repository")
    if repository and "github.repository" not in repository and "head.repo.full_name" not in repository:
        folder = inputs.text("path") or repository.rpartition("/")[2]
        ref = f" --branch {inputs.text('ref')}" if inputs.text("ref") else ""
        reading.add(with_text(run, f"git clone --depth 1{ref} https://github.com/{repository}.git {folder}", {}))
        text = f"{repository} is cloned without a login"
        reading.texts.remarks.warning(run.place, text, "give git one if it is private")
        return
    reading.clone = {**(reading.clone or {}), **_clone_settings(inputs)}
    ref, path = inputs.text("ref"), normpath(inputs.text("path") or ".")
    if ref and not _OWN_REF.search(ref):
        reading.add(with_text(run, f"git fetch --depth 1 origin {ref}\ngit checkout FETCH_HEAD", {}))
    if path != ".":
        reading.add(with_text(run, f"ln -s . {path}", {}))
    for key in _OF_CHECKOUTS:
        inputs.take(key)
    inputs.remark_rest()


def _clone_settings(inputs: Keys) -> dict[str, Value]:
    found: dict[str, Value] = {}
    depth = inputs.text("fetch-depth")
    if depth == "0":
        found |= {"depth": 0, "tags": True}
    elif depth.isdigit() and depth != "1":
        found["depth"] = int(depth[:9])
    if inputs.text("submodules") in {"true", "recursive"}:
        found["recursive"] = True
    if inputs.text("lfs") == "true":
        found["lfs"] = True
    inputs.take("sparse-checkout"), inputs.take("sparse-checkout-cone-mode")
    return found


def metadata(reading: Reading, inputs: Keys, run: Run) -> None:
    """Names of an image, for the builds after it."""
    reading.meta[run.step_id] = docker.names_of(inputs, reading.texts)


def build(reading: Reading, inputs: Keys, run: Run) -> None:
    """An image that is built, and perhaps pushed."""
    images = docker.images_of(inputs, reading.texts, reading.meta)
    reading.parts.append(ImageBuild(run.name, images, run.condition, run.place))


def publish(reading: Reading, inputs: Keys, run: Run) -> None:
    """An upload to PyPI, by twine."""
    folder = inputs.text("packages-dir") or inputs.text("packages_dir") or "dist"
    url = inputs.text("repository-url") or inputs.text("repository_url")
    password = inputs.text("password")
    if not password:
        text = "PyPI trusts no run of this server by itself; its token is the secret pypi_token here"
        reading.texts.remarks.warning(run.place, text, "store it: headway secret set pypi_token")
    for key in _OF_PYPI:
        inputs.take(key)
    inputs.remark_rest()
    options = f" --repository-url {url}" if url else ""
    made = with_text(run, f"pip install twine\ntwine upload --skip-existing{options} {folder.rstrip('/')}/*", {})
    token = password or "${{ secrets.PYPI_TOKEN }}"
    made.env = (*run.env, ("TWINE_USERNAME", "__token__", run.place), ("TWINE_PASSWORD", token, run.place))
    if not reading.tools:
        reading.tools.append(("python", ""))
    reading.add(made)
