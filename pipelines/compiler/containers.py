"""Plans the container of a step or a service."""

from posixpath import join, normpath

from pipelines.compiler.environment_limits import Where, check_environment, check_word
from pipelines.compiler.job_input import JobInput
from pipelines.compiler.plugins.encoding import encode_all, plugin_environment, plugin_name
from pipelines.compiler.step_options.resources import plan_resources
from pipelines.environment.variables import StepIdentity, same_in_all_runs, step_environment
from pipelines.images.own_images import REMEDY, is_own_image
from pipelines.model.workflow import CommandsStep, ComposeService, PluginStep, Service
from pipelines.plan import BuiltImage, Container, EnvValue, Image, NamedImage, text
from pipelines.syntax.shell_text import ShellText

Options = CommandsStep | PluginStep | Service


def make_container(
    job: JobInput, options: Options, identity: StepIdentity, where: tuple[str | int, ...], build: int = 0
) -> Container:
    """The container of the step or service at ``where``.

    ``build`` is the number of the build step whose image it uses, or 0: ``options`` names one.
    """
    image = _image(options, build)
    if isinstance(image, NamedImage) and is_own_image(image.name):
        job.diagnostics.error(job.place(*where, "image"), f"'{image.name}' is an image of Headway's own", REMEDY)
    environment = _environment(job, options, identity)
    label = f"{'service' if identity.kind == 'service' else 'step'} '{identity.name}'"
    check_environment(job, label, environment, where, _places(options, where))
    check_word(job, label, max(options.entrypoint or (), key=len, default=""), (*where, "entrypoint"))
    return Container(
        image=image,
        environment=environment,
        entrypoint=options.entrypoint,
        directory=_directory(job, options),
        privileged=options.privileged,
        volumes=options.volumes,
        devices=options.devices,
        tmpfs=options.tmpfs,
        dns=options.dns,
        dns_search=options.dns_search,
        extra_hosts=options.extra_hosts,
        network_mode=options.network_mode,
        user=options.backend_options.docker.user,
        resources=plan_resources(job, options.resources, where, label),
    )


def _image(options: Options, build: int) -> Image:
    name = options.image.name if options.image else ""
    return NamedImage(name=name, pull=options.pull) if name and not build else BuiltImage(step=build)


def _directory(job: JobInput, options: Options) -> str:
    if options.directory:
        return normpath(join(job.workspace.checkout, options.directory))
    named = options.image is not None and options.image.name
    is_server = isinstance(options, ComposeService) or (isinstance(options, Service) and not options.commands)
    return job.workspace.checkout if named and not is_server else ""


def _environment(job: JobInput, options: Options, identity: StepIdentity) -> dict[str, EnvValue]:
    base = step_environment(job.trigger, job.context, identity, job.run_variables)
    if isinstance(options, CommandsStep) and options.sources:
        base = same_in_all_runs(base, identity.cell)
    settings = {} if isinstance(options, CommandsStep) else options.settings
    scripts = () if isinstance(options, PluginStep) else options.commands
    if isinstance(options, Service) and options.ready and options.ready.command:
        scripts = (*scripts, options.ready.command)
    return {
        **{name: text(value) for name, value in base.items()},
        **outside_values(scripts),
        **encode_all(options.environment),
        **plugin_environment(settings),
    }


def _places(options: Options, where: Where) -> dict[str, Where]:
    """Where in the file the variables of a container are."""
    settings = {} if isinstance(options, CommandsStep) else options.settings
    found: dict[str, Where] = {plugin_name(key): (*where, "settings", key) for key in settings}
    return found | {name: (*where, "environment", name) for name in options.environment}


def outside_values(scripts: tuple[ShellText, ...]) -> dict[str, EnvValue]:
    """The environment variables that carry values from outside into scripts (see ``shell_text``)."""
    return {name: text(value) for script in scripts for name, value in script.values}
