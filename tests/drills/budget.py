"""The last dollar: two workers race for it, a session never stops spending, the ledger is away; caps hold, all is booked.

    race      rounds of two chats and one dollar, some runs die without a word; a trigger watches what is reserved
    endless   the real CLI and a model that always calls one more tool: it stops at its cap, and goes on when more is approved
    ledger    its table is locked while the real CLI runs: no call reaches the model until it is there again

With accounts that are read and not locked, both must get the last dollar.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import simulator
from jobs_core import Connection, Database, Jobs, execute, fetch, fetch_one
from jobs_core.job import current
from sessions import BudgetExhausted, ClaudeSessions, SessionSettings, budgets
from sessions.budget_keeper import BudgetKeeper
from sessions.budgets import Scope
from sessions.caps import raise_cap, set_cap
from simulator.client import SimulatorControl
from tests.drills.report import show
from tests.drills.scripted import Scripted, fleet, say
from tests.drills.waiting import until
from tests.support.budgets import spend, watch, wrong
from tests.support.mutants import mutated
from tests.support.sessions import KEY, session_settings

DAY = Scope("day")
RESPONSE_USD = Decimal("0.20")
"""The most that one response costs, scripted or of the simulator: 20,000 tokens at 10 dollars a million."""
ENDLESS_USD = Decimal("0.50")
NOT_LOCKED = (
    ("ORDER BY id FOR UPDATE", "ORDER BY id"),
    ("FROM {schema}.budget_balances AS b", "FROM (SELECT pg_sleep(0.1)) AS slow, {schema}.budget_balances AS b"),
)
"""And a moment between the look and the reservation, so that two meet there on any machine."""
_ENDLESS = '[[tool Nothing {}]] [[usage {"input_tokens": 0, "output_tokens": 20000}]]'


@dataclass(frozen=True, slots=True)
class Plan:
    """`rounds` of the race; `real`: with the parts that need the CLI. unlocked: the mutant, of the race alone."""

    rounds: int = 50
    seed: int = 0
    real: bool = True
    unlocked: bool = False


@dataclass(slots=True)
class Report:
    """waited: chats that came short in the race, and were answered later. died: runs. endless_usd: what each approval was spent
    to. behind_ledger: calls that reached the model while the ledger was away."""

    waited: int = 0
    died: int = 0
    over_usd: float = 0.0
    endless_usd: list[str] = field(default_factory=list)
    behind_ledger: int = 0
    wrong: list[str] = field(default_factory=list)


class Spender:
    """A scripted agent that spends as the proxy lets it: a call begins whenever something of its run's cap is left."""

    def __init__(self, database: Database, rng: random.Random, report: Report) -> None:
        self._database = database
        self._rng = rng
        self._report = report

    async def answer(self, *, turn_id: UUID, account: Any, **_: Any) -> str:
        """Spend, and perhaps die."""
        spent = Decimal(0)
        while self._rng.random() < 0.85:
            if spent >= account.cap_usd:
                raise BudgetExhausted(spent, account.cap_usd)
            cost = RESPONSE_USD * self._rng.randint(1, 10) / 10
            async with self._database.connection() as conn:
                await spend(conn, turn_id, account.token, cost)
            spent += cost
        if self._rng.random() < 0.2:
            await self._die()
        return "Answered."

    async def _die(self) -> None:
        """Lose the job, as if the worker had been killed: another claims it, and nobody settles what this run held."""
        self._report.died += 1
        job = current.get()
        async with self._database.connection() as conn:
            values = {"id": job.id, "token": job.token}
            await execute(
                conn,
                "UPDATE jobs.jobs SET state = 'pending', worker_id = NULL, ready_seq = nextval('jobs.ready_seq') "
                "WHERE id = %(id)s AND token = %(token)s",
                values,
            )


async def run(dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan on a fresh migrated database."""
    report = Report()
    with mutated(*NOT_LOCKED) if plan.unlocked else nullcontext():
        async with Database(dsn, name="drill") as database:
            async with database.connection() as conn:
                await watch(conn)
            await _race(dsn, database, plan, report)
            report.wrong += [f"{name}: {rows[0]}" for name, rows in (await _wrong(database)).items()]
    if plan.real:
        with simulator.running(api_key=KEY) as sim:
            settings = session_settings(sim, folder, turn_cap_usd=ENDLESS_USD, daily_cap_usd="none")
            await _endless(dsn, sim, settings, report)
            await sim.reset()
            await _without_ledger(dsn, sim, settings, report)
    return report


async def _wrong(database: Database) -> dict[str, Any]:
    async with database.connection() as conn:
        await budgets.sweep(conn)
        return {**await wrong(conn), **await _unbooked(conn)}


async def _race(dsn: str, database: Database, plan: Plan, report: Report) -> None:
    """Each round leaves one dollar of the day to two chats; a person approves it, or both wait for one."""
    spender = Spender(database, random.Random(plan.seed), report)
    agents = Scripted(spender.answer)
    async with fleet(dsn, agents, workers=2, slots=1, resources=_keeper) as jobs, database.connection() as conn:
        for number in range(plan.rounds):
            allowed = await _spent(conn) + 1
            async with conn.transaction():
                await set_cap(conn, DAY, allowed, set_by="the drill")
            for chat in range(2):
                await say(jobs, f"{number}.{chat}")
            await until(lambda: _idle(conn), f"round {number}: all have answers, or wait")
            over = await _spent(conn) - allowed
            report.over_usd = max(report.over_usd, float(over))
            if over >= 2 * RESPONSE_USD:
                report.wrong.append(f"round {number}: spent {over} more than was allowed")
            await _approve(conn, jobs, report)


async def _approve(conn: Connection, jobs: Jobs, report: Report) -> None:
    """Approve more until all who wait have their answers."""
    while waiting := await _count(conn, "SELECT count(*) AS n FROM jobs.jobs WHERE state = 'waiting'"):
        report.waited += waiting
        async with conn.transaction():
            ready = await raise_cap(conn, DAY, Decimal(2), for_good=True, set_by="the drill")
        jobs.notifier.wake(ready)
        await until(lambda: _idle(conn), "who waited goes on")


async def _endless(dsn: str, sim: SimulatorControl, settings: SessionSettings, report: Report) -> None:
    """A model that never stops, twice to its cap."""
    await sim.script(_ENDLESS, times=1_000)
    async with (
        fleet(dsn, lambda database: ClaudeSessions(database, settings), workers=1, slots=1) as jobs,
        jobs.database.connection() as conn,
    ):
        async with conn.transaction():
            await set_cap(conn, DAY, None, set_by="the drill")
            await set_cap(conn, Scope("turn"), ENDLESS_USD, set_by="the drill")
        job_id = await say(jobs, "Go on for ever.")
        for approved in (1, 2):
            await until(lambda: _waits(conn, job_id), "the turn waits for more")
            (turn,) = await fetch(conn, "SELECT id FROM jobs.turns WHERE job_id = %(id)s", {"id": job_id})
            spent = await _spent(conn, turn["id"])
            report.endless_usd.append(str(spent))
            if not 0 <= spent - approved * ENDLESS_USD < RESPONSE_USD:
                report.wrong.append(f"endless: spent {spent} of {approved * ENDLESS_USD}")
            async with conn.transaction():
                ready = await raise_cap(conn, Scope("turn", str(turn["id"])), ENDLESS_USD, set_by="the drill")
            jobs.notifier.wake(ready)
        await sim.script("[[text Done.]]")
        await until(lambda: _idle(conn), "it is answered, or waits")


async def _without_ledger(dsn: str, sim: SimulatorControl, settings: SessionSettings, report: Report) -> None:
    """The ledger goes away in the middle of a turn: what is asked then reaches no model, and is asked when it is back."""
    prompt = "[[tool Nothing {}]] [[hold here]] [[then]] [[text Done.]]"
    async with (
        fleet(dsn, lambda database: ClaudeSessions(database, settings), workers=1, slots=1) as jobs,
        jobs.database.connection() as conn,
        await jobs.database.connect("ledger") as ledger,
    ):
        job_id = await say(jobs, prompt)
        first = await sim.wait_for_request(prompt[:20], holding="here")
        async with ledger.transaction():
            await execute(ledger, "LOCK TABLE jobs.usage")
            await sim.release("here")
            await until(
                lambda: _blocked(conn, 2), "the end of one call and the beginning of the next wait for the ledger"
            )
            report.behind_ledger = len(await sim.requests(after=first.number))
        await until(lambda: _ended(conn, job_id), "it goes on when the ledger is back")
        if report.behind_ledger:
            report.wrong.append("a call was made that the ledger did not know of")


def _keeper(database: Database) -> list[Any]:
    settings = SessionSettings(turn_cap_usd="none", daily_cap_usd="none")
    return [BudgetKeeper(database, settings, lambda _: None)]


async def _unbooked(conn: Connection) -> dict[str, Any]:
    booked = await _count(conn, "SELECT sum(spent_usd) * 1000000 AS n FROM jobs.budget_accounts WHERE scope = 'day'")
    spent = int(await _spent(conn) * 1_000_000)
    return {} if booked == spent else {"unbooked": [f"{spent} millionths in the ledger, {booked} booked"]}


async def _spent(conn: Connection, turn_id: UUID | None = None) -> Decimal:
    sql = "SELECT coalesce(sum(cost_usd), 0) AS usd FROM jobs.usage WHERE %(turn)s::uuid IS NULL OR turn_id = %(turn)s"
    (row,) = await fetch(conn, sql, {"turn": turn_id})
    return Decimal(row["usd"])


async def _count(conn: Connection, sql: Any) -> int:
    row = await fetch_one(conn, sql)
    return int(row["n"] or 0) if row else 0


async def _idle(conn: Connection) -> bool:
    return not await _count(conn, "SELECT count(*) AS n FROM jobs.jobs WHERE state <> 'waiting'")


async def _waits(conn: Connection, job_id: int) -> bool:
    sql = "SELECT FROM jobs.jobs WHERE id = %(id)s AND state = 'waiting'"
    return await fetch_one(conn, sql, {"id": job_id}) is not None


async def _ended(conn: Connection, job_id: int) -> bool:
    return await fetch_one(conn, "SELECT FROM jobs.history WHERE id = %(id)s", {"id": job_id}) is not None


async def _blocked(conn: Connection, backends: int) -> bool:
    sql = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND relation = 'jobs.usage'::regclass"
    return await _count(conn, sql) >= backends


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill budget [--short]`: as it is, then with accounts that are not locked; 0 when one held, the other not."""
    from tests.drills.main import in_fresh_databases, parse

    options = parse("budget", arguments, seed=random.randrange(10_000))
    broken = 0
    for how, dsn, log in in_fresh_databases("locked", "unlocked"):
        mutant = how == "unlocked"
        plan = Plan(rounds=10 if options.short else 50, seed=options.seed, real=not mutant, unlocked=mutant)
        report = asyncio.run(run(dsn, plan, log.parent / how))
        found = report.wrong
        if mutant:
            found = [] if any("passed" in what for what in found) else ["unlocked, no cap was passed"]
        broken += show(plan, report, found)
    return broken
