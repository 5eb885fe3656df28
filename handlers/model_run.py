"""What stands between a turn and the model's API: whether the provider is well, and whether there is money.

    enter ─▶ begin: reserve in the run's first transaction ─▶ the agent works ─▶ after a failure: what becomes of the job
      │        └─ too little is left: the job waits                        └─▶ leave: settled with whatever the outcome writes
      └─ the provider is paused: put back, at no cost

One for each run of a job whose handler runs turns. Nothing here spends a retry: what the provider or a budget keeps from
working is no failure of the job's.
"""

import asyncio
import shlex
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import structlog

from assistant.notifications import notify
from jobs_core import AnyJob, Complete, Connection, Database, Outcome, Snooze, Wait, db
from jobs_core.wake import Ready
from sessions import budgets, provider
from sessions.budgets import BudgetShort, Scope
from sessions.caps import declare_caps
from sessions.errors import BudgetExhausted, CredentialsRefused, ModelUnavailable, RateLimited, SessionsError
from sessions.events import TurnEvent

if TYPE_CHECKING:
    from assistant.agents import Agent

log = structlog.get_logger()

T = TypeVar("T")
Wake = Callable[[Iterable[Ready | None]], object]
Say = Callable[[Connection, str], Awaitable[Iterable[Ready]]]

AT_ONCE = timedelta(0)
FIRST_AGAIN_S, LAST_AGAIN_S = 2.0, 60.0
"""A job that the model did not answer tries again after half the time that it has tried so far."""
OWN_TROUBLE_AFTER = timedelta(minutes=15)
"""A job that has got no answer for so long, while others get theirs, is in trouble of its own: it spends retries."""
_COMMITTED_S = 0.05
"""A hint is sent this long after what it tells of was written, in a transaction that ends at once; too early costs a poll."""


def nobody(_: Iterable[Ready | None]) -> None:
    """Wakes nobody: workers find what goes on by their polls."""


class ModelRun:
    """One run of a job. give_up_after: of its type. wake: hears where jobs go on."""

    def __init__(self, database: Database, job: AnyJob, *, give_up_after: timedelta, wake: Wake = nobody) -> None:
        self._database = database
        self._job = job
        self._give_up_after = give_up_after
        self._wake = wake
        self._began = time.monotonic()
        self._probes = False
        self._healing: asyncio.Task[bool] | None = None
        self._turn_id: UUID | None = None
        self._own_caps: Callable[[Connection], Awaitable[None]] | None = None
        self.cap_usd: Decimal | None = None
        """What this run may spend, once it has reserved that; None: as much as it takes."""
        self.on_record = False
        """Whether its answer was found on record, so that the provider was not asked for it; for its handler to say."""

    @property
    def gives_up(self) -> bool:
        """Whether a job that is put back now would be ended for it, without a word to whoever asked."""
        return datetime.now(UTC) >= self._job.give_up_at

    async def enter(self, *, interactive: bool) -> Snooze | None:
        """What to return instead of running, while the provider is paused for all; None: go on. Raises LeaseLost."""
        async with self._database.connection() as conn:
            admission = await provider.admit(conn, self._job, interactive=interactive)
        self._probes = admission.probes
        if admission.admitted:
            return None
        return self._again(timedelta(seconds=admission.again_in_s), f"the provider is paused: {admission.reason}")

    async def begin(self, first: Callable[[], Awaitable[T]]) -> T:
        """What the run's first transaction, which calls `reserve`, comes to. Raises BudgetShort: return `wait`."""
        return await budgets.begin(self._database, first, self._wake)

    async def reserve(
        self, conn: Connection, turn_id: UUID, scopes: Iterable[Scope], agent: "Agent | None" = None
    ) -> None:
        """Reserve money for the run, last in its first transaction. Raises BudgetShort, which rolls that back.

        agent: whose row may say what a turn of it, and its day, may cost.
        """
        if agent:
            own = {Scope("turn", str(turn_id)): agent.budget.turn_usd, Scope("agent", agent.name): agent.budget.day_usd}
            caps = {scope: None if usd is None else Decimal(str(usd)) for scope, usd in own.items()}
            self._own_caps = partial(declare_caps, caps_usd=caps, set_by=f"agent {agent.name}")
            await self._own_caps(conn)
        self.cap_usd = await budgets.reserve(conn, self._job, turn_id, scopes)
        self._turn_id = turn_id

    def wait(self, short: BudgetShort, say: Say) -> Wait:
        """Let the job wait for money; the first time for just that, `say` tells whoever asked, in the same transaction."""

        async def also(conn: Connection) -> Iterable[Ready]:
            if self._own_caps:  # rolled back with all else; under those of before it might be told at once, each time
                await self._own_caps(conn)
            news = await budgets.wait_for_budget(conn, self._job, short)
            if news.to_owner:
                await _tell_owner_of_budget(conn, self._job, short)
            return await say(conn, _waits_for(short)) if news.to_who_asked else ()

        log.info("run.short_of_budget", budget=str(short.balance), needs_usd=str(short.needs_usd))
        return Wait(budgets.event_of(self._job, short), until=short.balance.ends_at, also=also)

    def on_event(self, event: TurnEvent) -> None:
        """Hears what happens in the turn: a first call of a tool shows before its end that the provider answers again."""
        told = self._healing and (not self._healing.done() or self._healing.result())
        if self._probes and not told and event.kind == "tool_call":
            self._healing = asyncio.create_task(self._answered(), name="provider answers")

    async def after(self, error: BaseException) -> Outcome | None:
        """What becomes of a job whose turn ended so; None: that is for its handler to say, who also ends those given up.

        Raises LeaseLost.
        """
        if self.gives_up:
            return None
        match error:
            case BudgetExhausted():  # the next run reserves more, or waits for it
                return Snooze(AT_ONCE, str(error), because="budget")
            case RateLimited(retry_after_s=retry_after_s):
                await self._report("limited", error, retry_after_s)
                return self._again(AT_ONCE, error)
            case CredentialsRefused():
                await self._report("refused", error)
                return self._again(AT_ONCE, error)
            case ModelUnavailable():
                return await self._unavailable(error)
        return None

    async def leave(self, outcome: Outcome) -> Outcome:
        """The outcome, with what settles this run's account in the transaction that settles the job. For every outcome."""
        if not (self._healing and await self._healing) and (self._probes or self._turn_id):
            await self._answered_or_left(outcome)
        turn_id = self._turn_id
        if turn_id is None:
            return outcome

        async def also(conn: Connection) -> Iterable[Ready] | None:
            if ready := await budgets.settle(conn, turn_id, self._job.token):  # first: it locks accounts in their order
                asyncio.get_running_loop().call_later(_COMMITTED_S, self._wake, ready)
            return await outcome.also(conn) if outcome.also else None

        return replace(outcome, also=also)

    async def _unavailable(self, error: ModelUnavailable) -> Outcome | None:
        now = await self._report("failed", error)
        if now is None or now.state != "open":
            return self._again(AT_ONCE if now else timedelta(seconds=FIRST_AGAIN_S), error)
        tried = now.now - (self._job.give_up_at - self._give_up_after)
        began_at = now.now - timedelta(seconds=time.monotonic() - self._began)
        if tried > OWN_TROUBLE_AFTER and now.succeeded_at and now.succeeded_at > began_at:
            return None
        again_in_s = min(max(tried.total_seconds() / 2, FIRST_AGAIN_S), LAST_AGAIN_S)
        return self._again(timedelta(seconds=again_in_s), error)

    def _again(self, after: timedelta, why: object) -> Snooze:
        return Snooze(after, str(why), because="rate_limited")

    async def _report(
        self, trouble: provider.Trouble, error: SessionsError, retry_after_s: float | None = None
    ) -> provider.Provider | None:
        """How the provider does now; None: the database was away, and another run will tell."""
        try:
            async with self._database.connection() as conn:
                return await provider.report(
                    conn, self._job, trouble, str(error), retry_after_s=retry_after_s, alarm=_tell_owner_of_stop
                )
        except Exception as away:
            if not db.will_pass(away):
                raise
            log.warning("provider.not_told", error=db.describe(away))
            return None

    async def _answered_or_left(self, outcome: Outcome) -> None:
        if isinstance(outcome, Complete) and self._turn_id and not self.on_record:
            await self._answered()
        elif self._probes:
            await self._tell(provider.leave)

    async def _answered(self) -> bool:
        return await self._tell(partial(provider.answered, probes=self._probes))

    async def _tell(self, verb: Callable[[Connection, AnyJob], Awaitable[bool]]) -> bool:
        """Tell how the provider did; False: that could not be written, so a later run tells, or takes the probe over."""
        try:
            async with self._database.connection() as conn:
                wakes = await verb(conn, self._job)
        except Exception as away:
            if not db.will_pass(away):
                raise
            log.warning("provider.not_told", error=db.describe(away))
            return False
        if wakes:
            self._wake([None])
        return True


async def _tell_owner_of_budget(conn: Connection, job: AnyJob, short: BudgetShort) -> None:
    scope = Scope(short.balance.scope, short.balance.key)
    await notify(
        conn,
        user_id=None,
        title=f"A budget is used up: {short.balance}",
        body=f"Job {job.id} waits: {short}. Approve more: ./jobs budget raise {shlex.quote(str(scope))} --by 5",
        category="budget",
        severity="warning",
    )


async def _tell_owner_of_stop(conn: Connection, reason: str) -> None:
    await notify(
        conn,
        user_id=None,
        title="The provider of the models refuses us",
        body=f"All agents' jobs wait. {reason}. Mend it, then ./jobs provider resume; one job tries every 3 minutes by itself.",
        category="provider",
        severity="error",
    )


def _waits_for(short: BudgetShort) -> str:
    """What whoever asked is told: no amounts, which are not everybody's to know."""
    whose = {"day": "today's budget", "user": "your budget"}.get(
        short.balance.scope, f"the {short.balance.scope}'s budget"
    )
    by_itself = f" at {short.balance.ends_at:%Y-%m-%d %H:%M} UTC, or" if short.balance.ends_at else ""
    return f"This waits: {whose} is used up. It goes on{by_itself} when more is approved."
