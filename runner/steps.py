"""What each kind of step does. Adding a kind is a class in ``pipelines/plan.py`` and a case here."""

import time
from typing import assert_never

from pipelines.plan import BuildStep, CommandsStep, PluginStep, PushStep, SecretRef, Step, resolve
from pipelines.state import PASSED, Outcome, Reason, State
from runner import build, container
from runner.engine import Login, classify_text, is_refusal, registry_host, split_tag
from runner.errors import StepError
from runner.events import ImageBuilt, ImagePushed, InstructionChanged
from runner.job import Job
from runner.output import Lines, Output
from runner.progress import Instruction


def perform(job: Job, step: Step, output: Output) -> Outcome:
    """Does a step. Its failing is the outcome or a StepError; a MachineError means that it could not be done."""
    match step:
        case CommandsStep() | PluginStep():
            return container.run(job, step, output)
        case BuildStep():
            return _build(job, step, output)
        case PushStep():
            return _push(job, step, output)
        case _:
            assert_never(step)


def _build(job: Job, step: BuildStep, output: Output) -> Outcome:
    job.require(*((SecretRef(secret=name),) for name in step.secrets.values()))
    tag = f"headway/build:{job.assignment.key}-{job.assignment.attempt}-{step.number}"
    scratch = job.scratch / f"build-{step.number}"
    scratch.mkdir()
    request = build.BuildRequest(
        step, job.source, scratch, job.docker_config(), job.engine.host, job.assignment.secrets, tag
    )

    def tell(instruction: Instruction) -> None:
        text, error = job.redactor.mask_text(instruction.text), job.redactor.mask_text(instruction.error)
        news = InstructionChanged(step.number, instruction.index, text, instruction.cached, instruction.seconds, error)
        job.emit(news)

    timeout_s = min(step.timeout_s or job.options.step_timeout_s, job.deadline - time.monotonic())
    image_id = build.build(job.builder(), request, build.Watch(Lines(output), tell, job.cancel, timeout_s))
    if job.cancel:
        return Outcome(State.CANCELED, Reason.CANCELED, f"canceled by {job.cancel.by}")
    job.built[step.number] = image_id
    job.keep_name(tag)
    size_bytes = int((job.engine.image(image_id) or {}).get("Size", 0))
    output.note(f"built {image_id} ({size_bytes / 1e6:,.1f} MB)")
    job.emit(ImageBuilt(step.number, image_id, size_bytes))
    return PASSED


def _push(job: Job, step: PushStep, output: Output) -> Outcome:
    """Pushes to every repository under every tag; one that fails does not keep the others from being tried."""
    if step.image not in job.built:
        raise StepError(Reason.BUILD_FAILED, "there is no image to push, for its build step did not run")
    image_id = job.built[step.image]
    names = [(repo, tag) for repo in step.repos for tag in step.tags]
    if not job.options.push:
        for repo, tag in names:
            output.note(f"would push {image_id} as {repo}:{tag}")
        return Outcome(State.SKIPPED, Reason.CONDITION, "nothing is pushed from here without --push")
    job.require(step.username, step.password)
    failures = [failure for repo, tag in names if (failure := _push_one(job, step, repo, tag, output))]
    if not failures:
        return PASSED
    worst = next((failure for failure in failures if failure.state is State.BROKEN), failures[0])
    done = (
        f"; {len(names) - len(failures)} of {len(names)} names were pushed, a re-run completes them"
        if names[1:]
        else ""
    )
    return Outcome(worst.state, worst.reason, f"{worst.message}{done}")


def _push_one(job: Job, step: PushStep, repo: str, tag: str, output: Output) -> Outcome | None:
    """Pushes one name; how it failed, or None."""
    image_id, write = job.built[step.image], Lines(output)
    login = _login(job, step, repo)
    job.engine.tag(image_id, repo, tag)
    job.keep_name(f"{repo}:{tag}")
    output.note(f"pushing {image_id} as {repo}:{tag}")
    digest = ""
    try:
        for message in job.engine.push(repo, tag, login):
            if "error" in message:
                raise push_error(f"{repo}:{tag}", str(message["error"]), with_login=login is not None)
            digest = str((message.get("aux") or {}).get("Digest") or digest)
            if message.get("status") in {"Pushed", "Layer already exists"}:
                write(f"  {message.get('id', '')}: {str(message['status']).lower()}")
        if not digest:
            raise push_error(f"{repo}:{tag}", "the registry named no digest", with_login=login is not None)
    except StepError as error:
        output.note(f"{repo}:{tag} was not pushed: {error}")
        return error.outcome
    output.note(f"pushed {repo}:{tag}@{digest}")
    job.emit(ImagePushed(step.number, repo, tag, digest, image_id))
    return None


def _login(job: Job, step: PushStep, repo: str) -> Login | None:
    secrets = job.assignment.secrets
    if step.username or step.password:
        return Login(resolve(step.username, secrets), resolve(step.password, secrets))
    return job.assignment.logins.get(registry_host(repo))


def push_error(name: str, text: str, *, with_login: bool) -> StepError:
    """Why a push failed: the registry refused it, or does not answer."""
    host = registry_host(split_tag(name)[0])
    if is_refusal(text):
        hint = "check the credentials" if with_login else f"log in: headway registry login {host}"
        return StepError(Reason.PUSH_REFUSED, f"the registry {host} refused {name}: {text.strip()}; {hint}")
    known = classify_text(text)
    if known.reason is Reason.INTERNAL:
        return StepError(Reason.PUSH_REFUSED, f"the registry {host} did not take {name}: {text.strip()}")
    return known
