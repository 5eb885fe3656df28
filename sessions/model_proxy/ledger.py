"""Writes the usage ledger for the proxy: before each call in its way, after it in the background, until it is written."""

import asyncio
import itertools
from decimal import Decimal
from uuid import UUID

import structlog

from jobs_core import Database, db
from sessions import metrics
from sessions.account import RunAccount, Usage
from sessions.records import fence_session
from sessions.usage import OpenCall, close_abandoned_calls, close_call, close_open_calls, open_call, spent

_TRY_AGAIN_S = 0.5
_LAST_WRITES_S = 2.0

log = structlog.get_logger()


class Ledger:
    """The ledger of one process' calls."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writes: set[asyncio.Task[None]] = set()

    async def sweep(self) -> None:
        """Close what crashed processes left open and nobody will run again."""
        async with self._database.transaction() as conn:
            await close_abandoned_calls(conn)

    async def begin_run(self, account: RunAccount, session_id: UUID, epoch: int) -> Decimal:
        """Close what earlier runs of the turn left open; returns the US dollars that this one has spent.

        Raises LeaseLost where another run has taken the session.
        """
        async with self._database.transaction() as conn:
            await fence_session(conn, session_id, epoch)
            await close_open_calls(conn, account.turn_id)
            return await spent(conn, account.turn_id, account.token)

    async def open(self, account: RunAccount, session_id: UUID, epoch: int, call: OpenCall) -> bool:
        """Record a call that is about to be made; False where another run has taken the session."""
        async with self._database.connection() as conn:
            return await open_call(conn, account, session_id, epoch, call)

    def close(self, account: RunAccount, call: OpenCall, used: Usage) -> asyncio.Task[None]:
        """Record what a call used, soon; the task ends when that is written."""
        write = asyncio.create_task(self._close(account, call, used))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        return write

    async def stop(self) -> None:
        """Wait for the last writes; a call that cannot be written now stays open, and will be estimated."""
        if self._writes:
            _, late = await asyncio.wait(self._writes, timeout=_LAST_WRITES_S)
            for write in late:
                write.cancel()

    async def _close(self, account: RunAccount, call: OpenCall, used: Usage) -> None:
        for attempt in itertools.count():
            try:
                async with self._database.connection() as conn:
                    if await close_call(conn, account, call, used):
                        metrics.count_call(call.model, used)
                return
            except Exception as error:
                if not db.will_pass(error):
                    log.exception("model_call.not_recorded", turn_id=str(account.turn_id))
                    return
                if not attempt:
                    log.warning("ledger.was_away", reason=db.describe(error))
            await asyncio.sleep(_TRY_AGAIN_S)
