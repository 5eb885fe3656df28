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
    """The streams that are open at a door."""

    def __init__(self) -> None:
        self.open = 0
        self.closed = False

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
    streams: Streams = request.app.state.streams
    if streams.open >= MOST_STREAMS:
        message = f"{MOST_STREAMS} watch jobs through this door already; try again later"
        raise Refused(503, "too_many_streams", message, headers={"Retry-After": "5"})
    watch = Watch(job_id, Cursor.parse(last_event_id, field="Last-Event-ID") if last_event_id else None)
    if watch.ended:
        return Response(status_code=204)
    async with context.database.connection() as conn:
        first = await watch.look(conn)
    if first is None:
        raise Refused(404, "no_such_job", f"There is no job {job_id}", field="job_id")
    return StreamingResponse(_stream(context.database, watch, first, streams), media_type="text/event-stream")


async def _stream(database: Database, watch: Watch, first: Sequence[JobEvent], streams: Streams) -> AsyncIterator[str]:
    streams.open += 1
    try:
        yield _FIRST + _as_text(first)
        sent_s = time.monotonic()
        async for events in follow(database, watch, on_away=_note_away):
            if streams.closed:
                return
            if events or time.monotonic() - sent_s >= HEARTBEAT_S:
                yield _as_text(events) or _HEARTBEAT
                sent_s = time.monotonic()
    finally:
        streams.open -= 1


def _as_text(events: Sequence[JobEvent]) -> str:
    return "".join(f"id: {event.id}\nevent: {event.kind}\ndata: {_as_json(event)}\n\n" for event in events)


def _as_json(event: JobEvent) -> str:
    about: dict[str, Any] = {"at": event.at and event.at.isoformat(), "text": event.text, "about": event.about}
    return json.dumps(about)  # on one line: JSON escapes line breaks


def _note_away(error: Exception) -> None:
    log.warning("database.away", error=db.describe(error))
