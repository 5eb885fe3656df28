"""What happens to a job, as server-sent events: from the start, or from where `Last-Event-ID` says, until the job has ended.

    id: 7.2.120.4.31
    event: log
    data: {"at": "…", "text": "half of it", "about": {…}}

A client that lost its connection sends the last id it got, and misses nothing and gets nothing twice; one that has seen the end
is answered 204, by which a browser's EventSource knows to stop. No connection to the database is held between two looks.
"""

import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import structlog
from fastapi import Header, Path, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Id
from jobs_core import Database, db
from jobs_core.watch import Cursor, JobEvent, Watch, follow

log = structlog.get_logger()

HEARTBEAT_S = 15.0
"""A comment after so long without an event: proxies close what is silent, and a client that has gone is noticed by it."""
MOST_STREAMS = 200
"""Of one door at once: each looks up to four times a second."""
_RETRY_MS = 1_000
_FIRST = f"retry: {_RETRY_MS}\n\n"
_HEARTBEAT = ": nothing new\n\n"


class Streams:
    """The streams that are open at a door, MOST_STREAMS of them at most."""

    def __init__(self) -> None:
        self._open = 0
        self.closed = False

    def enter(self) -> None:
        """Count one more, until `leave`. Raises Refused where there are too many."""
        if self._open >= MOST_STREAMS:
            message = f"{MOST_STREAMS} watch jobs through this door already; try again later"
            raise Refused(503, "too_many_streams", message, headers={"Retry-After": "5"})
        self._open += 1

    def leave(self) -> None:
        """One has ended."""
        self._open -= 1

    def close(self) -> None:
        """End all of them at their next look: the door closes, and clients come back elsewhere."""
        self.closed = True


async def stream(
    request: Request,
    context: Here,
    job_id: Annotated[Id, Path()],
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The events; 404 where there is no such job, 503 where too many watch."""
    watch = Watch(job_id, Cursor.parse(last_event_id, field="Last-Event-ID") if last_event_id else None)
    if watch.ended:
        return Response(status_code=204)
    streams: Streams = request.app.state.streams
    first: list[JobEvent] | None = None
    streams.enter()
    try:
        async with context.database.connection() as conn:
            first = await watch.look(conn)
    finally:
        if first is None:
            streams.leave()
    if first is None:
        raise Refused(404, "no_such_job", f"There is no job {job_id}", field="job_id")
    return _Stream(streams, _texts(context.database, watch, first, streams))


class _Stream(StreamingResponse):
    """Leaves when it has ended, whether or not its first event was sent."""

    def __init__(self, streams: Streams, texts: AsyncIterator[str]) -> None:
        super().__init__(texts, media_type="text/event-stream")
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave()


async def _texts(database: Database, watch: Watch, first: Sequence[JobEvent], streams: Streams) -> AsyncIterator[str]:
    yield _FIRST + _as_text(first)
    sent_s = time.monotonic()
    async for events in follow(database, watch, on_away=_note_away):
        if streams.closed:
            return
        if events or time.monotonic() - sent_s >= HEARTBEAT_S:
            yield _as_text(events) or _HEARTBEAT
            sent_s = time.monotonic()


def _as_text(events: Sequence[JobEvent]) -> str:
    return "".join(f"id: {event.id}\nevent: {event.kind}\ndata: {_as_json(event)}\n\n" for event in events)


def _as_json(event: JobEvent) -> str:
    about: dict[str, Any] = {"at": event.at and event.at.isoformat(), "text": event.text, "about": event.about}
    return json.dumps(about)  # on one line: JSON escapes line breaks


def _note_away(error: Exception) -> None:
    log.warning("database.away", error=db.describe(error))
