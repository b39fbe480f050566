"""Resolves the images that a Dockerfile names, before BuildKit does: to an id, once, and only to what the job may use.

BuildKit takes an image of that name from the engine, also one that another job tagged or pulled.
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pipelines.images import own_images
from pipelines.images.build_values import cache_images
from pipelines.plan import BuildStep
from pipelines.state import Reason
from runner.builds.add_sources import Base, Variables, added_files
from runner.builds.command import BuildRequest, dockerfile_of
from runner.builds.dockerfile import (
    DOCKERFILE_BYTES_MAX,
    IMAGES_COUNT_MAX,
    DockerfileImages,
    images_of,
    is_official,
    platform_arguments,
    separates,
)
from runner.builds.expansion import EXPANDED_BYTES_MAX
from runner.builds.remote_files import RemoteFile, remote_files
from runner.cleanup.borrowed_tags import is_borrowed
from runner.errors import StepError, with_prefix
from runner.execution.host_access import check_downloads
from runner.execution.job.job import Job
from runner.images.requirements import ImageRequirement
from runner.logs.output import Write

API_WITH_CONTEXTS = (1, 42)
_FRONTEND_HINT = "use `# syntax=docker/dockerfile:1`, or leave the line out"
_NATIVE = frozenset({"", "$BUILDPLATFORM", "${BUILDPLATFORM}", "$TARGETPLATFORM", "${TARGETPLATFORM}"})


def separated(job: Job, request: BuildRequest, write: Write) -> BuildRequest:
    """The request, with its images pinned and kept apart from builds of others. Raises StepError if that cannot be."""
    step, path = request.step, dockerfile_of(request)
    data = path.read_bytes()
    if len(data) > DOCKERFILE_BYTES_MAX:
        raise _invalid(f"the Dockerfile has more than {DOCKERFILE_BYTES_MAX:,} bytes", "make it shorter")
    machine = f"linux/{job.engine.connection.version.arch}"
    native = not set(step.platforms) - {machine}
    known = platform_arguments(machine) if native else None
    # Bytes that are not UTF-8 stay apart: BuildKit compares bytes.
    text = data.decode(errors="surrogateescape")
    found = images_of(text, step.args, step.target, known)
    _check(job, step, found)
    own = replace(request.separation, scope=job.assignment.isolation.build_scope, dockerfile=path)
    pins = _Pins(job, step, write, machine)
    pins.check_access((*(image.name for image in found.images), found.syntax))
    readable = native and separates(found.syntax)
    complete = readable and not found.unclear and all(image.platform in _NATIVE for image in found.images)
    contexts = pins.of_all(found) if readable else {}
    for arguments in _of_platforms(machine, step.platforms):
        pins.check_sources(added_files(text, Variables(step.args, arguments, pins.bases(found))))
    if _can_pin(job, found) and (complete or not step.pull):
        own = replace(own, contexts=contexts, syntax=pins.syntax(found.syntax))
        step = step.model_copy(update={"pull": False})  # the newest images are here
    own = replace(own, caches=pins.of_caches(step.cache_from))
    allowed = (*(image.name for image in found.images), found.syntax)
    return replace(
        request,
        step=step,
        separation=own,
        check_image=partial(pins.check_resolved, allowed=allowed, only=complete),
        check_add=pins.check_add,
    )


def _of_platforms(machine: str, platforms: Iterable[str]) -> list[dict[str, str]]:
    """The arguments of the platforms of a build, each once."""
    found: list[dict[str, str]] = []
    for target in dict.fromkeys(platforms or (machine,)):
        arguments = platform_arguments(machine, target)
        found += [] if arguments in found else [arguments]
    return found


def _check(job: Job, step: BuildStep, found: DockerfileImages) -> None:
    scope, untrusted = job.assignment.isolation.build_scope, job.assignment.access.untrusted
    if len(found.images) > IMAGES_COUNT_MAX:
        raise _invalid(f"the Dockerfile names more than {IMAGES_COUNT_MAX} images", "use fewer")
    if found.expanded_bytes > EXPANDED_BYTES_MAX:
        raise _too_long("the Dockerfile")
    names = (
        *(image.name for image in found.images),
        found.syntax,
        *(name for entry in step.cache_from for name in cache_images(entry)),
    )
    _refuse_own("the Dockerfile", names)
    if untrusted and not separates(found.syntax):
        raise _invalid(f"an untrusted build cannot use the frontend {found.syntax}", _FRONTEND_HINT)
    if untrusted and found.unclear:
        raise _invalid(
            f"an untrusted build cannot use the image {found.unclear[0]}", "write its name without variables"
        )
    outdated = is_official(found.syntax) and not separates(found.syntax)
    if scope and found.caches and outdated:
        raise _invalid(f"the frontend {found.syntax} shares cache mounts with other repositories", _FRONTEND_HINT)


def _base(image: dict[str, Any]) -> Base:
    config = image.get("Config") or {}
    pairs = (entry.partition("=") for entry in config.get("Env") or ())
    return Base({name: value for name, _, value in pairs}, tuple(config.get("OnBuild") or ()))


def _refuse_own(who: str, names: Iterable[str]) -> None:
    if ours := next((name for name in names if own_images.is_own_image(name)), None):
        raise _invalid(f"{who} names {ours}, an image of Headway's own", "name an image of a registry")


def _invalid(message: str, hint: str) -> StepError:
    return StepError(Reason.INVALID_PIPELINE, f"{message}; {hint}")


def _too_long(what: str) -> StepError:
    limit = f"{EXPANDED_BYTES_MAX:,} bytes"
    return _invalid(f"the variables of {what} can grow it to more than {limit}", "repeat no variable in its own value")


def _can_pin(job: Job, found: DockerfileImages) -> bool:
    """Clients and engines since Docker 23 can."""
    api = tuple(int(part) for part in job.engine.connection.version.api.split("."))
    return job.builder().metadata and api >= API_WITH_CONTEXTS and separates(found.syntax)


def _is_stage(name: str, stages: Collection[str]) -> bool:
    return name.lower() in stages or name.isdigit()


class _Pins:
    """Private names of images, for one build: each points to what a name meant when the build began."""

    def __init__(self, job: Job, step: BuildStep, write: Write, machine: str) -> None:
        self._job = job
        self._deadline_s = job.time_for(step).deadline
        self._step = step
        self._write = write
        self._machine = machine
        self._count = 0
        self._looked_up: set[str] = set()
        self._private: set[str] = set()
        self._bases: dict[str, Base] = {}

    def of_all(self, found: DockerfileImages) -> Mapping[str, str]:
        """The private name of each image. Images for other machines keep their names."""
        waiting = [image.name for image in found.images if image.platform in {*_NATIVE, self._machine}]
        foreign = [name for name in dict.fromkeys(waiting) if not self._job.named.image(name, self._step)]
        self._job.images.prefetch(map(self._required, foreign))
        pins: dict[str, str] = {}
        while waiting:
            name = waiting.pop()
            if name not in pins:
                image = self._fetched(name)
                self._bases[name] = _base(image)
                pins[name] = self._pin(image) if self._may_rename(name, found.stages) else ""
                waiting += [each for each in self._of_triggers(image) if not _is_stage(each, found.stages)]
        return {name: pin for name, pin in pins.items() if pin}

    def bases(self, found: DockerfileImages) -> dict[tuple[str, str], Base]:
        """What is known of the base images, after ``of_all``."""
        native = {*_NATIVE, self._machine}
        images = (image for image in found.images if image.platform in native and image.name in self._bases)
        return {(image.name, image.platform): self._bases[image.name] for image in images}

    def _of_triggers(self, image: dict[str, Any]) -> list[str]:
        """The images that the ONBUILD instructions of a base image name. Raises StepError if they may not be run."""
        names: list[str] = []
        # Each by itself, as BuildKit reads them: one cannot continue another.
        triggers = _base(image).triggers
        for trigger in triggers:
            self.check_add(trigger)
            names += [each.name for each in images_of(f"FROM scratch\n{trigger}", {}).images]
        if images_of("\n".join(["FROM scratch", *triggers]), {}).expanded_bytes > EXPANDED_BYTES_MAX:
            raise _too_long("an ONBUILD instruction of a base image")
        _refuse_own("ONBUILD of a base image", names)
        return names

    def check_add(self, instruction: str) -> None:
        """Raises StepError for an instruction, of a base image or as BuildKit runs it, that must not download."""
        self.check_sources(remote_files(instruction))

    def check_sources(self, files: Sequence[RemoteFile]) -> None:
        """Raises StepError for a source of ADD that the engine must not download."""
        check_downloads(files, self._job.assignment.access, self._job.engine)

    def _may_rename(self, name: str, stages: Collection[str]) -> bool:
        """False for an image with the name of a stage: BuildKit would put the image in place of the whole stage."""
        if own_images.canonical(name).removesuffix(":latest") not in stages:
            return True
        held = self._job.engine.image(name)
        if held and is_borrowed(held, name):
            raise _invalid(f"the image {name} is being pushed by another job", f"name the stage {name} otherwise")
        return False

    def syntax(self, name: str) -> str:
        """The private name of the frontend's image; empty for the engine's own."""
        return self._pin(self._fetched(name)) if name else ""

    def of_caches(self, entries: tuple[str, ...]) -> tuple[str, ...]:
        """``cache_from`` with private names of the images that the engine has. An entry has one name at most."""
        pinned = []
        for entry in entries:
            name = next(iter(cache_images(entry)), "")
            here = self._job.images.here(name, self._write) if name else None
            if here:
                pin = self._pin(here)
                pinned.append((f"type=registry,ref={pin}" if "=" in entry else pin) if pin else entry)
            elif name and self._job.engine.image(name):
                self._write(f"not used as a cache: {name} is being pushed by another job")
            else:
                pinned.append(entry)
        return tuple(pinned)

    def check_resolved(self, name: str, allowed: Collection[str], *, only: bool) -> None:
        """Raises StepError for an image that BuildKit looks up and that this build may not use.

        With ``only`` all images were known before: one that is not ``allowed`` means that the Dockerfile was read
        otherwise than BuildKit reads it.
        """
        own = own_images.is_own_image(name)
        known = self._private if own else {*allowed, *self._looked_up}
        if own_images.canonical(name) in {own_images.canonical(each) for each in known}:
            return
        held = self._job.engine.image(name)
        if only or own or (held and is_borrowed(held, name)):
            message = f"BuildKit uses the image {name}, which was not found in the Dockerfile, so it was not checked"
            raise _invalid(message, "write the name of each image without variables, quotes and escapes")
        self.check_access((name,))

    def check_access(self, names: tuple[str, ...]) -> None:
        """Raises StepError if an image is one that only others have a login for. (It may be used without a pin.)"""
        for name in names:
            if self._job.images.is_guarded(name):
                self._fetched(name)

    def _required(self, name: str) -> ImageRequirement:
        return self._job.named.required(name, self._step, newest=self._step.pull)

    def _fetched(self, name: str) -> dict[str, Any]:
        self._looked_up.add(name)
        own = self._job.named.image(name, self._step)
        if own and (image := self._job.engine.image(own)):
            self._write(f"{name} is the image that an earlier step of this job made")
            return image
        try:
            return self._job.images.get(self._required(name), self._write, self._deadline_s)
        except StepError as error:
            raise with_prefix(error, "a base image of the build: ") from error

    def _pin(self, image: dict[str, Any]) -> str:
        if f"{image.get('Os', '')}/{image.get('Architecture', '')}" != self._machine:
            return ""
        assignment = self._job.assignment
        self._count += 1
        tag = f"{assignment.key}-{assignment.attempt}-{self._step.number}-base{self._count}-{secrets.token_hex(8)}"
        self._job.untag_at_end(f"{own_images.BUILD_REPO}:{tag}")
        self._job.engine.tag(str(image["Id"]), own_images.BUILD_REPO, tag)
        self._private.add(f"{own_images.BUILD_REPO}:{tag}")
        return f"{own_images.BUILD_REPO}:{tag}"
