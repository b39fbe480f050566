"""Events of a job as a whole become its row: notes, services, pulls of images."""

from typing import assert_never

from sqlalchemy.orm import Session

from runner import events
from workers import store


def write_job_event(session: Session, fence: tuple[int, int], event: events.JobEvent) -> None:
    """Writes what happened. ``fence`` is the job's id and its attempt; raises StaleAttemptError for an old one."""
    match event:
        case events.JobNote(text=text):
            store.note_job(session, *fence, text)
        case events.ServiceChanged(name=name):
            said = {"state": event.state, "message": event.message}
            store.set_service(session, *fence, name, said, has_container=event.has_container)
        case events.ImagePullChanged(image=image):
            ended = event.seconds is not None
            store.set_pull(session, *fence, image, ended=ended, size_bytes=event.downloaded_bytes, failed=event.failed)
        case _:
            assert_never(event)
