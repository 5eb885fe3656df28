"""What stands between a turn and the model's API: whether the provider is well, and whether there is money.

    enter ─▶ begin: reserve in the run's first transaction ─▶ the agent works ─▶ heard, or after: what becomes of the job
      │        └─ too little is left: the job waits                                └─▶ leave: settled with whatever outcome
      └─ the provider is paused: put back, at no cost

One for each run of a job whose handler runs turns: chats' and those that ask agents. Nothing here spends a retry: what the
provider or a budget keeps from working is no failure of the job's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import structlog

from jobs_core import AnyJob, Connection, Database, Outcome, Snooze, Wait, db
from jobs_core.steps import Waiting
from jobs_core.wake import Ready
from sessions import budgets, provider
from sessions.budgets import BudgetShort, Scope
from sessions.errors import BudgetExhausted, CredentialsRefused, ModelUnavailable, RateLimited, SessionsError
from sessions.events import TurnEvent
from sessions.store import is_answered

if TYPE_CHECKING:
    from sessions.runner import TurnEnd

log = structlog.get_logger()

T = TypeVar("T")
Wake = Callable[[Iterable[Ready | None]], object]
Say = Callable[[Connection, str], Awaitable[Iterable[Ready]]]

AT_ONCE = timedelta(0)
DATABASE_PAUSE = timedelta(seconds=1)
FIRST_AGAIN_S, LAST_AGAIN_S = 2.0, 60.0
"""A job that the model did not answer tries again after half the time that it has tried so far."""
OWN_TROUBLE_AFTER = timedelta(minutes=15)
"""A job that has got no answer for so long, while others get theirs, is in trouble of its own: it spends retries."""
_COMMITTED_S = 0.05
"""A hint is sent this long after what it tells of was written, in a transaction that ends at once; too early costs a poll."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """How the owner hears of what no run can mend, each in the transaction that writes it: the rooms above know how."""

    budget_used_up: Callable[[Connection, AnyJob, BudgetShort], Awaitable[object]]
    provider_refuses: Callable[[Connection, str], Awaitable[object]]


def nobody(_: Iterable[Ready | None]) -> None:
    """Wakes nobody: workers find what goes on by their polls."""


class ModelRun:
    """One run of a job. give_up_after: of its type. wake: hears where jobs go on."""

    def __init__(
        self, database: Database, job: AnyJob, *, give_up_after: timedelta, alarms: Alarms, wake: Wake = nobody
    ) -> None:
        self.job = job
        self._database = database
        self._give_up_after = give_up_after
        self._alarms = alarms
        self._wake = wake
        self._began = time.monotonic()
        self._admitted = False
        self._probes = False
        self._healing: asyncio.Task[bool] | None = None
        self._turn_id: UUID | None = None
        self._declare: Callable[[Connection], Awaitable[None]] | None = None
        self.cap_usd: Decimal | None = None
        """What this run may spend, once it has reserved that; None: as much as it takes."""
        self.ended_as: Snooze | Wait | None = None
        """What ended the run of a handler that asked an agent."""

    @property
    def gives_up(self) -> bool:
        """Whether a job that is put back now would be ended for it, without a word to whoever asked."""
        return datetime.now(UTC) >= self.job.give_up_at

    async def enter(self, *, interactive: bool) -> Snooze | None:
        """What to return instead of running, while the provider is paused for all; None: go on. Raises LeaseLost.

        interactive: somebody waits for the answer. A run that was let in once is not asked again.
        """
        if self._admitted:
            return None
        async with self._database.connection() as conn:
            admission = await provider.admit(conn, self.job, interactive=interactive)
        self._admitted, self._probes = admission.admitted, admission.probes
        if admission.admitted:
            return None
        return self._again(timedelta(seconds=admission.again_in_s), f"the provider is paused: {admission.reason}")

    async def begin(self, first: Callable[[], Awaitable[T]]) -> T:
        """What the run's first transaction, which calls `reserve`, comes to. Raises BudgetShort: return `wait`."""
        return await budgets.begin(self._database, first, self._wake)

    async def reserve(
        self,
        conn: Connection,
        session_id: UUID,
        turn_id: UUID,
        scopes: Iterable[Scope],
        *,
        began: bool,
        declare: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        """Reserve money for the run, last in its first transaction; for an answer that is on record, none is needed.

        session_id: Claude's, which the turn is in. began: by an earlier run. declare: writes caps that are the handler's to
        say, before. Raises BudgetShort, which rolls all of it back.
        """
        if declare:
            await declare(conn)
        self._declare = declare
        try:
            self.cap_usd = await budgets.reserve(conn, self.job, turn_id, scopes)
        except BudgetShort:
            if not (began and await is_answered(conn, session_id, turn_id)):
                raise
            self.cap_usd = Decimal(0)  # no call is made; were there one, the proxy would refuse it
        else:
            self._turn_id = turn_id

    def wait(self, short: BudgetShort, say: Say | None = None) -> Wait:
        """Let the job wait for money; the first time for just that, `say` tells whoever asked, in the same transaction."""

        async def also(conn: Connection) -> Iterable[Ready]:
            if self._declare:  # rolled back with all else; under those of before it might be told at once, each time
                await self._declare(conn)
            news = await budgets.wait_for_budget(conn, self.job, short)
            if news.to_owner:
                await self._alarms.budget_used_up(conn, self.job, short)
            return await say(conn, _waits_for(short)) if say and news.to_who_asked else ()

        log.info("run.short_of_budget", budget=str(short.balance), needs_usd=str(short.needs_usd))
        return Wait(budgets.event_of(self.job, short), until=short.balance.ends_at, also=also)

    def on_event(self, event: TurnEvent) -> None:
        """Hears what happens in the turn: a first call of a tool shows before its end that the provider answers again."""
        told = self._healing and (not self._healing.done() or self._healing.result())
        if self._probes and not told and event.kind == "tool_call":
            self._healing = asyncio.create_task(self._answered(), name="provider answers")

    async def heard(self, end: "TurnEnd") -> None:
        """Hears how a turn ended: the provider has answered, unless all of it was on record."""
        if end.source == "recorded" and not end.used.calls:
            await self._let_another_probe()
            return
        if not (self._healing and await self._healing):
            self._healing = asyncio.create_task(self._answered(), name="provider answered")
            await self._healing

    async def after(self, error: BaseException) -> Snooze | None:
        """What becomes of a job whose turn ended so; None: that is for its handler to say, who also ends those given up.

        Raises LeaseLost.
        """
        if db.will_pass(error):
            return Snooze(DATABASE_PAUSE, reason=f"the database was away: {db.describe(error)}")
        put_back = None if self.gives_up else await self._met(error)
        if put_back is None:
            await self._let_another_probe()
        return put_back

    async def _met(self, error: BaseException) -> Snooze | None:
        match error:
            case BudgetExhausted():  # the next run reserves more, or waits for it
                return Snooze(AT_ONCE, str(error), because="budget")
            case RateLimited() | CredentialsRefused():
                await self._report("limited" if isinstance(error, RateLimited) else "refused", error)
                return self._again(AT_ONCE, error)
            case ModelUnavailable():
                return await self._unavailable(error)
        return None

    def ends(self, outcome: Snooze | Wait) -> Waiting:
        """What to raise out of a handler's asking: it ends the run so, and that stands whatever the handler makes of it."""
        self.ended_as = outcome
        return Waiting(outcome)

    async def leave(self, outcome: Outcome) -> Outcome:
        """The outcome, with what settles this run's account in the transaction that settles the job. For every outcome."""
        await self._let_another_probe()
        turn_id = self._turn_id
        if turn_id is None:
            return outcome

        async def also(conn: Connection) -> Iterable[Ready] | None:
            if ready := await budgets.settle(conn, turn_id, self.job.token):  # first: it locks accounts in their order
                asyncio.get_running_loop().call_later(_COMMITTED_S, self._wake, ready)
            return await outcome.also(conn) if outcome.also else None

        return replace(outcome, also=also)

    async def _let_another_probe(self) -> None:
        """Of a run that was to probe and has got no answer. At once: its handler may go on for long, and others may not ask."""
        if self._probes and not (self._healing and await self._healing) and await self._tell(provider.leave):
            self._admitted = self._probes = False

    async def _unavailable(self, error: ModelUnavailable) -> Snooze | None:
        now = await self._report("failed", error)
        if now is None or now.state != "open":
            return self._again(AT_ONCE if now else timedelta(seconds=FIRST_AGAIN_S), error)
        tried = now.now - (self.job.give_up_at - self._give_up_after)
        began_at = now.now - timedelta(seconds=time.monotonic() - self._began)
        if tried > OWN_TROUBLE_AFTER and now.succeeded_at and now.succeeded_at > began_at:
            return None
        again_in_s = min(max(tried.total_seconds() / 2, FIRST_AGAIN_S), LAST_AGAIN_S)
        return self._again(timedelta(seconds=again_in_s), error)

    def _again(self, after: timedelta, why: object) -> Snooze:
        return Snooze(after, str(why), because="rate_limited")

    async def _report(self, trouble: provider.Trouble, error: SessionsError) -> provider.Provider | None:
        """How the provider does now; None: the database was away, and another run will tell."""
        retry_after_s = error.retry_after_s if isinstance(error, RateLimited) else None
        try:
            async with self._database.connection() as conn:
                return await provider.report(
                    conn,
                    self.job,
                    trouble,
                    str(error),
                    retry_after_s=retry_after_s,
                    alarm=self._alarms.provider_refuses,
                )
        except Exception as away:
            if not db.will_pass(away):
                raise
            log.warning("provider.not_told", error=db.describe(away))
            return None

    async def _answered(self) -> bool:
        return await self._tell(partial(provider.answered, probes=self._probes))

    async def _tell(self, verb: Callable[[Connection, AnyJob], Awaitable[bool]]) -> bool:
        """Tell how the provider did; False: that could not be written, so a later run tells, or takes the probe over."""
        try:
            async with self._database.connection() as conn:
                wakes = await verb(conn, self.job)
        except Exception as away:
            if not db.will_pass(away):
                raise
            log.warning("provider.not_told", error=db.describe(away))
            return False
        if wakes:
            self._wake([None])
        return True


def _waits_for(short: BudgetShort) -> str:
    """What whoever asked is told: no amounts, which are not everybody's to know."""
    whose = {"day": "today's budget", "user": "your budget"}.get(
        short.balance.scope, f"the {short.balance.scope}'s budget"
    )
    by_itself = f" at {short.balance.ends_at:%Y-%m-%d %H:%M} UTC, or" if short.balance.ends_at else ""
    return f"This waits: {whose} is used up. It goes on{by_itself} when more is approved."
