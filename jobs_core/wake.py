"""Wake-ups: hints that a queue has a ready job of some type. The poll is the truth; a hint that is lost costs one poll.

    create, settle, promote ─ commit ─▶ Notifier ─ coalesced ─▶ NOTIFY [queue, job type] ─▶ Listener ─▶ the worker looks
    a job waits for one worker ─▶ Notifier ─▶ NOTIFY [queue, job type, worker id] ─▶ just that one looks for it
    a pause has ended ─▶ Notifier ─▶ NOTIFY null ─▶ every worker looks for everything

NOTIFY is never sent inside the transaction that inserts: it serialises all commits, and a stuck listener fails them.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

import structlog
from psycopg.pq import TransactionStatus

from jobs_core import db
from jobs_core.connections import ServerConnection
from jobs_core.statements import schema

log = structlog.get_logger()

_RECONNECT_S = 1.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.05
"""Between two NOTIFYs of a process, twice as long each time while more keeps coming: each takes a lock on the whole cluster as
it commits, and a busy worker needs none."""
_NOT_BEHIND_A_POOLER = "workers look for jobs each second; hints come by DATABASE_DIRECT_URL"
_RECYCLE_S = 600.0  # a connection that only listens is made anew now and then: some died without a sign elsewhere


class Ready(NamedTuple):
    """Where a job stands ready; worker_id: it waits for that worker, and nobody else need look (sticky.py)."""

    queue: str
    job_type: str
    worker_id: int | None = None


_CANCELS = "cancels"
"""A hint that somebody has asked for runs to be cancelled."""


def _channel() -> str:
    return f"{schema()}_wake"


class Notifier:
    """Sends one NOTIFY per queue and type for all wakes that came while the last was under way."""

    def __init__(self, database: db.Database) -> None:
        self._database = database
        self._waiting = set[Ready | str | None]()
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self.on_cancels: Callable[[], object] = _nobody_runs
        self.on_wake: Callable[[Ready | None], object] = _nobody
        """Hears of each at once (None: all): a worker in this process needs no NOTIFY, and gets none while that is jammed."""

    async def __aenter__(self) -> Self:
        self._database.on_commit.append(self.wake)
        self._task = asyncio.create_task(self._run(), name="notifier")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._database.on_commit.remove(self.wake)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._send()

    def wake_all(self) -> None:
        """Ask every worker for a look at everything; call it after the commit that ended a pause."""
        self.wake([None])

    def wake(self, ready: Iterable[Ready | None]) -> None:
        """Ask for a look at these; call it after the commit that made jobs ready there."""
        for one in ready:
            self._waiting.add(one)
            self.on_wake(one)
        if self._waiting:
            self._something.set()

    def tell_of_cancels(self) -> None:
        """Ask the workers to look for runs to cancel."""
        self.on_cancels()
        self._waiting.add(_CANCELS)
        self._something.set()

    async def _run(self) -> None:
        pause_s = _PAUSE_S
        while True:
            await self._something.wait()
            await self._send()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S) if self._waiting else _PAUSE_S

    async def _send(self) -> None:
        self._something.clear()
        hints, self._waiting = sorted(map(_hint, self._waiting)), set()
        if not hints:
            return
        try:
            async with self._database.connection() as conn:
                await db.execute(
                    conn,
                    "SELECT pg_notify(%(channel)s, hint) FROM unnest(%(hints)s::text[]) AS hint",
                    {"channel": _channel(), "hints": hints},
                )
        except Exception as error:  # noqa: BLE001 - a hint that is lost costs one poll; a notifier that died would cost all
            if not self._failing:
                log.warning("wake.failed", error=db.describe(error), meaning="workers find jobs by their polls for now")
            self._failing = True
        else:
            self._failing = False


def wake_after_commit(conn: db.Connection, ready: Iterable[Ready]) -> None:
    """Have the process' notifier told of these when the caller's transaction commits, for verbs whose caller wakes nobody.

    Of a connection that is not of a Database with a notifier nobody is told: those jobs are found by a poll.
    """
    if not isinstance(conn, ServerConnection):
        return
    if conn.info.transaction_status == TransactionStatus.IDLE:  # each statement was committed as it ended
        if conn.on_commit:
            conn.on_commit([*ready])
    else:
        conn.made = conn.made.union(ready)


class Listener:
    """Calls `on_wake` with each hint, and with None when it has connected (it may have missed some); `on_cancels` likewise."""

    def __init__(
        self,
        database: db.Database,
        on_wake: Callable[[Ready | None], None],
        on_cancels: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._on_wake = on_wake
        self._on_cancels = on_cancels
        self.listening = False
        """Whether hints come at all; while they do not, poll more often."""

    async def run(self) -> None:
        """Listen until cancelled, on a connection of its own, which is made anew if it breaks; behind a pooler, do not."""
        while True:
            try:
                if not await self._listen_once():
                    log.warning("listen.off", why="a pooler", meaning=_NOT_BEHIND_A_POOLER)
                    return
            except Exception as error:  # noqa: BLE001 - hints must come again, whatever broke
                log.warning("listen.failed", error=db.describe(error))
                await asyncio.sleep(_RECONNECT_S)
            finally:
                self.listening = False

    async def _listen_once(self) -> bool:
        """Until the connection is to be made anew; False: it cannot be listened on, the backend behind it is not ours alone."""
        async with await self._database.connect("listen") as conn:
            if conn.pooled:
                return False
            await conn.execute(f"LISTEN {_channel()}")
            self.listening = True
            self._on_wake(None)
            self._on_cancels()
            async for notify in conn.notifies(timeout=_RECYCLE_S):
                if notify.payload == json.dumps(_CANCELS):
                    self._on_cancels()
                else:
                    self._on_wake(_ready(notify.payload))
        return True


def _hint(one: Ready | str | None) -> str:
    return json.dumps(one[:2] if isinstance(one, Ready) and one.worker_id is None else one)


def _ready(hint: str) -> Ready | None:
    """None for `null`, and for a hint that another version may have sent: look for everything."""
    try:
        queue, job_type, *worker = json.loads(hint)
    except (ValueError, TypeError):
        return None
    return Ready(queue, job_type, *worker[:1])


def _nobody(_: Ready | None) -> None:
    """No worker in this process."""


def _nobody_runs() -> None:
    """Likewise."""
