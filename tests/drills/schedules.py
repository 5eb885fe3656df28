"""Eight evaluators over two simulated years, and an oracle that is not croniter.

    200 schedules in 12 zones: gaps and folds of an hour, half an hour and two, both hemispheres, zones that changed their rules
    look ─▶ eight evaluators at once, one in twenty killed before its commit ─▶ … ─▶ the next look
            every minute around each change of a clock, with an outage of 40 minutes across it; else after hours

Time is a `now` that the evaluators are handed. Every tick that ran is one that the oracle names, and the other way round, and
each has one job. Without the lock and the unique key, and with what croniter makes of clocks that change, it must break.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import BaseModel

import schedules
from jobs_core import Connection, Database, HandlerTable, Jobs, JobType, db, fetch
from schedules import Rule, Tick, clock, cron
from schedules.evaluate import evaluate
from schedules.rules import Due, utc_name
from tests.drills.report import show
from tests.support import schedule_oracle
from tests.support.mutants import mutated

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "Australia/Lord_Howe",  # half an hour
    "Australia/Sydney",
    "Pacific/Chatham",
    "Antarctica/Troll",  # two hours
    "Africa/Casablanca",  # back in Ramadan
    "Africa/Cairo",  # has summers again since 2023
    "Asia/Almaty",  # another zone since March 2024
    "Asia/Kathmandu",
)
OUTAGE = timedelta(minutes=40)
_KILLED = 0.05
_BATCH = 10
NO_LOCK = ("    FOR NO KEY UPDATE SKIP LOCKED\n", "")

AT_EACH_CHANGE = ("5,35 0-3,23 * * *", "*/20 0-3,23 * * *")
"""Fixed times, and intervals, at which clocks change: in every zone."""
DAYS = ("* * *", "* * *", "* * 1-5", "1,15 * *", "L * *", "13 * 5", "*/2 * *", "* 3,4,9-11 0")
INTERVALS = (
    "*/15 * * * *",
    "0 * * * *",
    "30 * * * *",
    "*/20 1-3 * * *",
    "0 */2 * * *",
    "5,35 * * * 1-5",
    "*/30 2 * * *",
)
MISSED: tuple[dict[str, Any], ...] = (
    {"missed": "all", "missed_max": 1000},
    {"missed": "all", "missed_max": 3},
    {"missed": "all", "missed_window_s": 1_800},
    {"missed": "once"},
    {"missed": "skip"},
)


class Ticked(BaseModel):
    """A job that is told of its tick."""

    tick: Tick | None = None


TICKED = JobType("ticked", Ticked)


@dataclass(frozen=True, slots=True)
class Plan:
    """Simulated from `start` to `end`. around: a change of a clock it looks each minute; else it leaps up to leap_h ahead."""

    schedules: int
    start: datetime
    end: datetime
    seed: int
    around: timedelta = timedelta(minutes=75)
    leap_h: float = 6.0
    evaluators: int = 8
    locked: bool = True
    unique: bool = True
    croniters: bool = False


@dataclass(slots=True)
class Report:
    """ticks: that ran. missing, extra: by schedule, where they differ from the oracle's. doubled: ticks with several jobs."""

    looks: int = 0
    killed: int = 0
    refused: int = 0
    ticks: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    extra: dict[str, int] = field(default_factory=dict)
    doubled: int = 0

    def broken(self) -> list[str]:
        """What did not hold."""
        found = [f"{sum(self.missing.values())} ticks did not run: {self.missing}"] if self.missing else []
        found += [f"{sum(self.extra.values())} ran that are none: {self.extra}"] if self.extra else []
        found += [f"{self.doubled} ticks have two jobs"] if self.doubled else []
        return found + ([] if self.ticks else ["nothing ran"])


async def run(dsn: str, plan: Plan) -> Report:
    """Carry out the plan on a fresh migrated database."""
    rng, report, table = random.Random(plan.seed), Report(), HandlerTable()
    table.declare(TICKED)
    rules = {f"s{number}": _rule(rng, number) for number in range(plan.schedules)}
    looks = list(_looks(rng, plan))
    async with (
        Database(dsn, name="drill", max_connections=plan.evaluators + 1) as database,
        Jobs(database, table) as jobs,
    ):
        async with database.connection() as conn:
            await _begin(conn, jobs, rules, plan)
        with _mutants(plan):
            for now in looks[1:]:
                await asyncio.gather(*(_evaluator(jobs, now, rng, report) for _ in range(plan.evaluators)))
                report.looks += 1
                if report.looks % 20 == 0 or now == looks[-1]:
                    async with database.connection() as conn:
                        await _put_by(conn)
        async with database.connection() as conn:
            await _judge(conn, rules, looks, report)
    return report


def _rule(rng: random.Random, number: int) -> Rule:
    zone, how = ZONES[number % len(ZONES)], MISSED[number // len(ZONES) % len(MISSED)] | {"overlap": "queue"}
    if number < len(AT_EACH_CHANGE) * len(ZONES):
        return Rule(zone=zone, cron=AT_EACH_CHANGE[number // len(ZONES)], **how)
    if rng.random() < 0.25:
        return Rule(zone=zone, cron=rng.choice(INTERVALS), **how)
    minutes = ",".join(map(str, sorted(rng.sample(range(0, 60, 5), rng.choice((1, 1, 2))))))
    hours = ",".join(map(str, sorted(rng.sample((0, 0, 1, 1, 2, 2, 3, 9, 23), rng.choice((1, 1, 2))))))
    return Rule(zone=zone, cron=f"{minutes} {hours} {rng.choice(DAYS)}", **how)


def _looks(rng: random.Random, plan: Plan) -> Iterator[datetime]:
    """When there is a look, from the start on: each minute around changes of a clock, but for an outage; else after hours."""
    changes = {at for zone in ZONES for at in schedule_oracle.changes(zone, plan.start, plan.end)}
    now = plan.start
    yield now
    for change in [*sorted(changes), plan.end]:
        while (left := change - plan.around - now) > timedelta(0):
            now += min(timedelta(hours=rng.uniform(plan.leap_h / 2, plan.leap_h)), left)
            yield now
        away = change - rng.uniform(0.2, 0.8) * min(OUTAGE, plan.around)
        while now < min(change + plan.around, plan.end):
            now += OUTAGE if abs(now - away) < timedelta(seconds=30) else timedelta(seconds=rng.uniform(30, 59))
            yield now


async def _begin(conn: Connection, jobs: Jobs, rules: dict[str, Rule], plan: Plan) -> None:
    """Put the schedules in as they would have been at the start."""
    await conn.execute("CREATE TABLE made (schedule_id bigint, slot text)")
    if not plan.unique:
        await conn.execute("ALTER TABLE jobs.schedule_ticks DROP CONSTRAINT schedule_ticks_pkey")
    for name, rule in rules.items():
        await schedules.put(conn, jobs.table, name=name, job_type=TICKED.name, input={}, rule=rule, source="drill")
        at = {"name": name, "start": plan.start, "next": rule.upcoming(plan.start, 1)[0]}
        await db.execute(
            conn, "UPDATE jobs.schedules SET seen_until = %(start)s, next_at = %(next)s WHERE name = %(name)s", at
        )


async def _evaluator(jobs: Jobs, now: datetime, rng: random.Random, report: Report) -> None:
    """Evaluate until nothing is due for this one; what is killed, or refused by the unique key, is done again by somebody."""
    due = True
    while due:
        killed = rng.random() < _KILLED
        try:
            async with jobs.database.connection() as conn, conn.transaction(force_rollback=killed):
                due = (await evaluate(conn, jobs, now=now, batch=_BATCH)).schedules > 0
            report.killed += killed and due
        except (db.UniqueViolation, *db.Retryable):
            report.refused += 1


async def _put_by(conn: Connection) -> None:
    """Note the jobs that there are, and take them out of the queue, as if they had run and their history were over."""
    async with conn.transaction():
        await conn.execute(
            """WITH gone AS (DELETE FROM jobs.jobs RETURNING input -> 'tick' AS tick)
            INSERT INTO made SELECT (tick ->> 'schedule_id')::bigint, tick ->> 'slot' FROM gone"""
        )
        await conn.execute("DELETE FROM jobs.lanes")


async def _judge(conn: Connection, rules: dict[str, Rule], looks: Sequence[datetime], report: Report) -> None:
    crons = {name: schedule_oracle.Cron(str(rule.cron)) for name, rule in rules.items()}
    for zone in ZONES:
        schedule_oracle.walk(zone, [crons[name] for name in rules if rules[name].zone == zone], looks[0], looks[-1])
    made = Counter[tuple[str, str]]()
    for row in await fetch(conn, "SELECT name, slot FROM made JOIN jobs.schedules ON id = schedule_id"):
        made[row["name"], row["slot"]] += 1
    report.ticks, report.doubled = len(made), sum(times > 1 for times in made.values())
    for name, rule in rules.items():
        expected = schedule_oracle.run(rule, crons[name].ticks, looks)
        ran = {slot for schedule, slot in made if schedule == name}
        label = f"{rule.zone} {rule.cron} {rule.missed}"
        if missing := expected - ran:
            report.missing[label] = len(missing)
        if extra := ran - expected:
            report.extra[label] = len(extra)


@contextmanager
def _mutants(plan: Plan) -> Iterator[None]:
    with ExitStack() as stack:
        if not plan.locked:
            stack.enter_context(mutated(NO_LOCK))
        if plan.croniters:
            for name in ("_by_wall", "_by_interval"):
                stack.enter_context(mock.patch(f"schedules.rules.{name}", _croniters))
        yield


def _croniters(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[Due]:
    """What croniter says when it is handed times with a zone."""
    ticks = croniter(expression, after.astimezone(zone))
    while True:
        at = ticks.get_next(datetime)
        slot = (
            utc_name(at.astimezone(UTC))
            if cron.is_interval(expression)
            else f"{clock.wall_of(at, zone):%Y-%m-%dT%H:%M}"
        )
        yield Due(slot, at.astimezone(UTC))


PLANS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without the unique key": {"unique": False},
    "without the lock": {"locked": False, "evaluators": 4},
    "without either": {"locked": False, "unique": False, "evaluators": 4},
    "croniter's own": {"croniters": True},
}
"""The first three must hold; the others must break."""
MUST_BREAK = ("without either", "croniter's own")
SHORT = (datetime(2024, 3, 29, tzinfo=UTC), datetime(2024, 4, 8, tzinfo=UTC))
"""Europe and Troll go on, Santiago, Sydney, Chatham and Lord Howe back."""
LONG = (datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill schedules [--short]`: two years, then with guards taken out over weeks; 0 when each did as it must."""
    from tests.drills.main import in_fresh_databases, parse

    options = parse("schedules", arguments, seed=random.randrange(10_000))
    broken = 0
    for how, dsn, _ in in_fresh_databases(*PLANS):
        long = how == "as it is" and not options.short
        plan = Plan(200 if long else 48, *(LONG if long else SHORT), options.seed, **PLANS[how])
        report = asyncio.run(run(dsn, plan))
        found = report.broken()
        if how in MUST_BREAK:
            found = [] if found else [f"{how}, nothing broke"]
        broken += show(plan, report, found)
    return broken
