"""What a run must write while Postgres is away: said again until it answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from jobs_core import db

log = structlog.get_logger()

T = TypeVar("T")

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0


async def repeat_while_away(database: db.Database, verb: Callable[[db.Connection], Awaitable[T]]) -> T:
    """`verb` on a connection, again and again while Postgres is away, in failover or chose it as a victim.

    An earlier call may have been committed, and its answer lost: `verb` must bear that. Raises what Postgres refuses it with.
    """
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            async with database.connection() as conn:
                return await verb(conn)
        except Exception as error:
            if not db.will_pass(error):
                raise
            log.warning("database.away", error=db.describe(error))
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
