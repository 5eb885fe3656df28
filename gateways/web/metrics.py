"""/metrics, as Prometheus text: what the processes of this host counted, and what stands in the database.

    counted (jobs_core/counted.py) ─────────────────────────────────────────────────────────┐
    each room's look ─ one connection, 2 s a statement at most ─▶ kept for 5 s ─▶ families ──┴▶ page
                          └─ away, or too slow ─▶ no such gauges: jobs_database_up, jobs_gauges_read say so

The page is answered in any case, and within seconds: a number that is not known is left out, and never an old one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import structlog
from fastapi import Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import Metric

import assistant.metrics
import gateways.metrics
import jobs_core.metrics
import schedules.metrics
import sessions.metrics
from gateways.web.shared import Shared
from jobs_core import Connection, Database, db, execute, statement
from jobs_core.counted import VARIABLE, Counted, Given, page_of
from jobs_core.gauges import Gauge, Value, families
from jobs_core.ready_times import ReadyTimes

log = structlog.get_logger()

KEPT_S = 5.0
"""However many ask, and how often, the database is asked once in this time."""
ANSWERED_S = 5.0
"""What a look may take, with the wait for a connection; Prometheus waits ten."""

OWN = (
    Gauge("jobs_database_up", "Whether the database answered: without it no gauge of what stands there is shown."),
    Gauge("jobs_gauges_read", "Whether the gauges of this room could be read.", ("room",)),
    Gauge("jobs_gauges_age_seconds", "Since the gauges were read, or, while they cannot be, since they last were."),
    Gauge("jobs_gauges_look_seconds", "How long the reading of a room's gauges took.", ("room",)),
)
GAUGES = (
    *OWN,
    *jobs_core.metrics.GAUGES,
    *schedules.metrics.GAUGES,
    *sessions.metrics.GAUGES,
    *assistant.metrics.GAUGES,
    *gateways.metrics.GAUGES,
)

Look = Callable[[Connection], Awaitable[Sequence[Value]]]


async def metrics(request: Request) -> Response:
    """All metrics, at the time of asking."""
    counts, stands = await request.app.state.counts(), await request.app.state.stands.metrics()
    return Response(counts + page_of(Given(stands)), media_type=CONTENT_TYPE_LATEST)


async def counts() -> bytes:
    """What was counted, as text."""
    try:
        return await asyncio.to_thread(page_of, Counted())
    except OSError as error:
        log.warning("metrics.counts_gone", error=str(error), meaning=f"see to the folder {VARIABLE}, and start anew")
        return b""


class Stands:
    """What stands in a database, read when somebody asks. rooms: who reads what."""

    def __init__(self, database: Database, rooms: Mapping[str, Look] | None = None) -> None:
        self._database = database
        self._rooms = rooms or {
            "jobs_core": partial(jobs_core.metrics.look, times=ReadyTimes()),
            "schedules": schedules.metrics.look,
            "sessions": sessions.metrics.look,
            "assistant": assistant.metrics.look,
            "gateways": gateways.metrics.look,
        }
        self._look = Shared(self._look_anew)
        self._values: list[Value] = []
        self._looked_s = self._good_s = float("-inf")

    async def metrics(self) -> list[Metric]:
        """All gauges that are known."""
        if time.monotonic() - self._looked_s > KEPT_S:
            # Not asyncio.timeout: a cancelled statement on a connection that stalls comes back only 10 s later.
            await asyncio.wait({asyncio.ensure_future(self._look())}, timeout=ANSWERED_S)
        now_s = time.monotonic()
        known = self._values if now_s - self._looked_s <= KEPT_S else [Value("jobs_database_up", (), 0)]
        age = [Value("jobs_gauges_age_seconds", (), now_s - self._good_s)] if self._good_s > float("-inf") else []
        return families(GAUGES, [*known, *age])

    async def _look_anew(self) -> None:
        values = list[Value]()
        try:
            async with self._database.connection() as conn:
                for room, look in self._rooms.items():
                    values += await _look_at(conn, room, look)
        except Exception as error:  # noqa: BLE001 - whatever it is, the page says that nothing is known
            log.warning("metrics.database_away", error=db.describe(error))
            values = []
        up = any(one.gauge == "jobs_gauges_read" and one.value for one in values)
        self._looked_s = time.monotonic()
        self._good_s = self._looked_s if up else self._good_s
        self._values = [*values, Value("jobs_database_up", (), int(up))]


async def _look_at(conn: Connection, room: str, look: Look) -> list[Value]:
    """What one room says, and whether it could be read: a room whose tables are not as this code knows them hides no other."""
    began_s = time.monotonic()
    try:
        async with conn.transaction():
            await execute(conn, statement("jobs_core", "metrics/bound"))
            values = [*await look(conn), Value("jobs_gauges_read", (room,), 1)]
    except Exception as error:  # noqa: BLE001 - likewise
        log.warning("metrics.not_read", room=room, error=db.describe(error))
        return [Value("jobs_gauges_read", (room,), 0)]
    return [*values, Value("jobs_gauges_look_seconds", (room,), time.monotonic() - began_s)]
