"""Listens for requests to open shells in the steps of the job that this process runs."""

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

import structlog
from redis import Redis, RedisError

from pipelines.plan import CommandsStep, JobPlan
from runner.docker.client import Engine
from runner.threads import in_this_context
from workers.jobs.context import WorkerContext
from workers.jobs.leftovers import job_key
from workers.jobs.shells.session import ShellSession, StepContainer
from workers.secrets.vault import Vault
from workers.shells.limits import SHELLS_OF_JOB_MAX, SHELLS_OPENED_BY_JOB_MAX
from workers.shells.messages import OpenRequest, channel_of, request_in
from workers.store.jobs import leases
from workers.streaming.redis_stream import connect

_log = structlog.get_logger()
_POLL_S = 0.25
_BACK_OFF_S = 1.0
TOO_MANY = f"This job has {SHELLS_OF_JOB_MAX} shells at once, which is the limit. Close one of them."
TOO_OFTEN = f"This job has opened {SHELLS_OPENED_BY_JOB_MAX} shells, which is the limit."


def shells_of(context: WorkerContext, claim: leases.Claim, plan: JobPlan) -> AbstractContextManager[object]:
    """Opens shells in the steps of this job while the block lasts, unless a setting forbids it."""
    if not context.settings.step_shells:
        return nullcontext()
    redis = connect(context.settings.redis_url)
    key = job_key(context.installation, claim.key)
    return ShellHost(redis, context.vault, context.engine(), claim, key, plan)


class ShellHost:
    """Opens shells in the steps of one job while the block lasts; ends them with it.

    Everything happens in threads that the job does not wait for. ``redis`` is this object's own client.
    """

    def __init__(
        self, redis: Redis, vault: Vault, engine: Engine, claim: leases.Claim, key: str, plan: JobPlan
    ) -> None:
        self._redis, self._vault, self._engine = redis, vault, engine
        self._job_id, self._attempt, self._key = claim.job_id, claim.attempt, key
        self._directories: Mapping[int, str] = {
            step.number: step.container.directory for step in plan.steps if isinstance(step, CommandsStep)
        }
        self._stop = threading.Event()
        self._seen: set[str] = set()
        self._open: list[threading.Thread] = []
        self._thread = threading.Thread(
            target=in_this_context(self._listen), name=f"shells-{claim.job_id}", daemon=True
        )

    def __enter__(self) -> Self:
        """Starts to listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends all shells, and does not wait for that."""
        self._stop.set()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                self._take_requests()
            except RedisError as error:
                _log.warning("no shell can be opened while Redis does not answer", error=str(error))
                self._stop.wait(_BACK_OFF_S)
        for thread in self._open:
            thread.join()
        self._redis.close()

    def _take_requests(self) -> None:
        with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
            pubsub.subscribe(channel_of(self._job_id))
            while not self._stop.is_set():
                message = pubsub.get_message(timeout=_POLL_S)
                data = message["data"] if message else b""
                request = request_in(self._vault, self._job_id, self._attempt, data)
                # The web server repeats a request until it is answered.
                if request is not None and request.shell not in self._seen:
                    self._take(request)

    def _take(self, request: OpenRequest) -> None:
        self._open = [thread for thread in self._open if thread.is_alive()]
        where = StepContainer(self._engine, self._key, request.step, self._directories.get(request.step, ""))
        session = ShellSession(self._redis, self._vault, where, request, self._stop)
        if len(self._seen) >= SHELLS_OPENED_BY_JOB_MAX:
            session.refuse(TOO_OFTEN)
            return
        self._seen.add(request.shell)
        if len(self._open) >= SHELLS_OF_JOB_MAX:
            session.refuse(TOO_MANY)
            return
        name = f"shell-{self._job_id}-{request.step}"
        thread = threading.Thread(target=in_this_context(session.run), name=name, daemon=True)
        self._open.append(thread)
        thread.start()
