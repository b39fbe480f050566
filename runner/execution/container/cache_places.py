"""Where the folders of caches are in a step's container: by its variables, its user's home, and where it starts."""

from posixpath import join, normpath

from pipelines.plan import CommandsStep, PluginStep
from pipelines.state import Reason
from pipelines.step_options.caches import CacheFolder
from runner.errors import StepError
from runner.execution.job.job import Job

_ROOT = frozenset({"", "0", "root"})


class CachePlaces:
    """Where the folders of caches are in a step's container."""

    def __init__(self, job: Job, step: CommandsStep | PluginStep, image: str, user: str) -> None:
        self._own = job.environment(step.container.environment)
        self._image = job.images.environment_of(image)
        self._start = step.container.directory or str(job.images.config_of(image).get("WorkingDir") or "/")
        name = user.partition(":")[0]
        self.user = "" if name in _ROOT else name

    def target(self, folder: CacheFolder) -> str:
        """The absolute path of the folder. Raises StepError where it is not known."""
        return normpath(join(self._start, self._home(self._base(folder)), folder.below))

    def _base(self, folder: CacheFolder) -> str:
        if folder.variable:
            image = {} if folder.leads else self._image
            value = self._own.get(folder.variable) or image.get(folder.variable) or ""
            if value.startswith("/"):
                return value
        return folder.path

    def _home(self, path: str) -> str:
        if not path.startswith("~/"):
            return path
        home = self._own.get("HOME") or self._image.get("HOME") or ("" if self.user else "/root")
        if not home.startswith("/"):
            hint = "write its absolute path, or HOME in `environment`"
            message = f"the folder {path!r} of its cache is below the home of user {self.user!r}, which is not known"
            raise StepError(Reason.INVALID_PIPELINE, f"{message}; {hint}")
        return join(home, path[2:])

    def variables(self, folders: tuple[CacheFolder, ...]) -> dict[str, str]:
        """The variables that lead tools to the folders."""
        return {folder.variable: folder.path for folder in folders if folder.leads}
