"""Holds accounts: each that is free is taken, connected and worked for, until it is lost, refused, or this process is to end.

    look, each second ─▶ a free one ─ lease ─▶ connect ─▶ take in │ reconcile │ send ─▶ … ─▶ disconnect ─▶ let go
      ▲                                                                    │
      ├── lost: somebody else has it · refused: somebody must log in ◀─────┤   (the other accounts go on)
      └── 5 s later: Telegram was not reached for 30 s, others may ◀───────┘

Every process is the standby of all others.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from assistant.settings import AssistantSettings, MediaSettings
from gateways.telegram.accounts import put_out_of_use
from gateways.telegram.client import KEY_REFUSED, UNREACHABLE_S, Client, refusal
from gateways.telegram.door import Door
from gateways.telegram.errors import AccountLost, KeyRefused, Unreachable
from gateways.telegram.ingress import Ingress
from gateways.telegram.lease import Held, Keeper, acquire, release
from gateways.telegram.media import message_of
from gateways.telegram.reconcile import Reconcile
from gateways.telegram.session import load_session
from gateways.telegram.settings import TelegramSettings
from jobs_core import Database, Jobs, db
from jobs_core.tasks import end_task

log = structlog.get_logger()

LOOK_S = 1.0
"""Between two looks for free accounts: with the lease, what a hand-over takes."""
OTHERS_FIRST_S = 5.0
"""For so long an account is left to others that this process could not reach Telegram with."""
_AFTER_A_DEFECT_S = 5.0
_DISCONNECT_S = 2.0

Serve = Callable[[Held, Client], Awaitable[None]]
"""Sends what is owed by an account, until it is cancelled; comes back when nothing of it goes on."""


class Gateway:
    """Holds accounts, of those named, or all."""

    def __init__(
        self,
        database: Database,
        jobs: Jobs,
        settings: TelegramSettings,
        people: AssistantSettings,
        media: MediaSettings,
        *,
        serve: Serve,
        names: Sequence[str] | None = None,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._settings = settings
        self._serve = serve
        self._names = names
        self._people = people
        self._media = media
        self._holding: dict[str, asyncio.Task[None]] = {}
        self._left_until_s = dict[str, float]()
        """Accounts that others may take first."""

    async def run(self) -> None:
        """Hold what can be held, until cancelled; then everything is disconnected and let go."""
        try:
            while True:
                await self.run_once()
                await asyncio.sleep(LOOK_S)
        finally:
            await asyncio.gather(*(end_task(task) for task in self._holding.values()))

    async def run_once(self) -> None:
        """Take what is free."""
        self._holding = {name: task for name, task in self._holding.items() if not task.done()}
        now_s = time.monotonic()
        self._left_until_s = {name: until_s for name, until_s in self._left_until_s.items() if until_s > now_s}
        try:
            async with self._database.connection() as conn:
                free = await acquire(conn, self._names, besides=[*self._holding, *self._left_until_s])
        except Exception as error:
            if not db.will_pass(error):
                raise
            log.warning("database.away", error=db.describe(error))
            return
        for held in free:
            self._holding[held.name] = asyncio.create_task(self._hold(held), name=f"telegram {held.name}")

    async def _hold(self, held: Held) -> None:
        """Hold one account, from its lease to letting it go."""
        log.info("telegram.held", account=held.name)
        keeping = asyncio.create_task(Keeper(self._database, held).run())
        working = asyncio.create_task(self._work(held))
        try:
            await asyncio.wait({keeping, working}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end_task(working)
            await end_task(keeping)
            try:
                for task in (keeping, working):
                    if not task.cancelled() and (error := task.exception()):
                        await self._ended(held, error)
            finally:
                await self._let_go(held)

    async def _work(self, held: Held) -> None:
        """Connect, and work for the account until something ends."""
        async with self._database.connection() as conn:
            session = await load_session(conn, held)
        door = Door(held, self._jobs, self._settings, self._people, self._media)
        ingress = Ingress(self._database, door, session)
        reconcile = Reconcile(self._database, held, ingress)
        client = Client(held, session, on_batch=ingress.put, on_reconnect=reconcile.hurry)
        try:
            await _connect(client)
            if not session.get_update_states():  # never held before: from here on nothing is lost
                ingress.put([], client.states)
            log.info("telegram.connected", account=held.name)
            await _until_one_ends(
                ingress.run(client.answer, partial(message_of, client)),
                reconcile.run(client),
                self._serve(held, client),
                client.ended(),
            )
        finally:
            await _disconnect(client, held)

    async def _ended(self, held: Held, error: BaseException) -> None:
        """What is done about it that an account is held no more."""
        if isinstance(error, AccountLost):
            log.warning("telegram.lost", account=held.name, why=str(error))
        elif isinstance(error, KeyRefused):
            log.error("telegram.refused", account=held.name, state=error.state, said=error.said)
            await self._put_out_of_use(held, error)
        elif isinstance(error, Unreachable):
            self._left_until_s[held.name] = time.monotonic() + OTHERS_FIRST_S
            log.warning(
                "telegram.unreachable", account=held.name, meaning="another process may take it; else this one tries on"
            )
        elif isinstance(error, OSError) or (isinstance(error, Exception) and db.will_pass(error)):
            log.warning("telegram.disconnected", account=held.name, error=db.describe(error))
        else:
            log.error("telegram.broke", account=held.name, exc_info=error)
            await asyncio.sleep(_AFTER_A_DEFECT_S)

    async def _put_out_of_use(self, held: Held, error: KeyRefused) -> None:
        try:
            async with self._database.transaction() as conn:
                await put_out_of_use(conn, held.name, held.login, error)
        except Exception as away:
            if not db.will_pass(away):
                raise
            log.warning(
                "database.away", error=db.describe(away), meaning="Telegram is asked once more, and refuses again"
            )

    async def _let_go(self, held: Held) -> None:
        try:
            async with self._database.connection() as conn:
                await release(conn, held)
        except Exception as error:  # noqa: BLE001 - then the lease runs out
            log.warning("telegram.not_released", account=held.name, error=db.describe(error))


async def _connect(client: Client) -> None:
    """Connect. Raises KeyRefused, Unreachable."""
    connecting = asyncio.ensure_future(client.connect())
    try:
        await asyncio.wait({connecting}, timeout=UNREACHABLE_S)
        if not connecting.done():
            raise Unreachable(f"Telegram could not be reached for {UNREACHABLE_S:g} s")
        connecting.result()
    except KEY_REFUSED as error:
        raise refusal(error) from None
    finally:
        await end_task(connecting)
    client.look_for_missed()


async def _disconnect(client: Client, held: Held) -> None:
    done, _ = await asyncio.wait({asyncio.ensure_future(client.disconnect())}, timeout=_DISCONNECT_S)
    if not done:
        log.warning("telegram.not_disconnected", account=held.name, meaning="nothing goes out by it all the same")


async def _until_one_ends(*works: Awaitable[None]) -> None:
    """Return, or raise as it did, when the first of these ends; the others have ended then, too."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await asyncio.gather(*(end_task(task) for task in tasks))
