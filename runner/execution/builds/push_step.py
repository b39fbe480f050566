"""A push step: pushes the image to every repository under every tag, with the registry logins of the job."""

from functools import partial

from pipelines.images.own_images import is_own_image
from pipelines.plan import PushStep, resolve
from pipelines.state import PASSED, Outcome, Reason, State
from runner.docker.containers.specs import Login
from runner.docker.references import registry_host
from runner.errors import CanceledError, StepError
from runner.events import ImagePushed
from runner.execution.job.job import Job
from runner.images.push import Pusher, push_image
from runner.images.tags_file import read_tags
from runner.logs.output import Lines, Output


def push(job: Job, step: PushStep, output: Output) -> Outcome:
    """Pushes to every repository under every tag. If one push fails, the others are tried all the same."""
    if step.image not in job.built:
        raise StepError(Reason.BUILD_FAILED, "there is no image to push: its build step did not run")
    image_id = job.built[step.image]
    written = read_tags(job.workspace_base, job.source, step.tags_file) if step.tags_file else ()
    tags = dict.fromkeys((*step.tags, *written))
    names = [(repo, tag) for repo in step.repos for tag in tags]
    job.give_names(step, (f"{repo}:{tag}" for repo, tag in names), image_id)
    if not job.options.push:
        for repo, tag in names:
            output.note(f"would push {image_id} as {repo}:{tag}")
        return Outcome(State.SKIPPED, Reason.CONDITION, "`headway run` pushes only with --push")
    if not job.assignment.access.push:
        why = f"an untrusted run pushes nothing ({job.assignment.access.untrusted})"
        return Outcome(State.FAILED, Reason.PUSH_REFUSED, f"{why}; push the commit to a branch of the repository")
    if ours := next((repo for repo in step.repos if is_own_image(repo)), None):
        raise StepError(Reason.INVALID_PIPELINE, f"{ours} is a name of Headway's own; push to a repository of yours")
    job.require(step.username, step.password)
    failures = _push_all(job, step, names, output)
    if not failures:
        return PASSED
    worst = next((failure for failure in failures if failure.state is State.BROKEN), failures[0])
    done = f"; {len(names) - len(failures)} of {len(names)} names were pushed, a re-run completes them"
    return Outcome(worst.state, worst.reason, f"{worst.message}{done if names[1:] else ''}")


def _push_all(job: Job, step: PushStep, names: list[tuple[str, str]], output: Output) -> list[Outcome]:
    """Pushes every name, and returns how those ended that were not pushed."""
    limit, unreachable, failures = job.time_for(step), set[str](), list[Outcome]()
    check, folder, retry_s = partial(job.check_time, limit), job.assignment.folder, job.options.registry_retry_s
    for repo, tag in names:
        # A registry that did not serve one name for all of the time is asked once for each of the others.
        again_s = 0 if registry_host(repo) in unreachable else retry_s
        pusher = Pusher(job.engine, folder, check, job.untag_at_end, again_s)
        if failure := _push_one(job, step, pusher, repo, tag, output):
            failures.append(failure)
            if failure.reason is Reason.REGISTRY_UNREACHABLE:
                unreachable.add(registry_host(repo))
    return failures


def _push_one(job: Job, step: PushStep, pusher: Pusher, repo: str, tag: str, output: Output) -> Outcome | None:
    """Pushes one name. Returns the outcome if it failed, else None."""
    image_id, login = job.built[step.image], _login(job, step, repo)
    output.note(f"pushing {image_id} as {repo}:{tag}")
    try:
        digest = push_image(pusher, image_id, repo, tag, login, Lines(output))
    except CanceledError:
        raise
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
