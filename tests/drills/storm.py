"""Storms at the provider, 100 chats in each: 429, 529, a hang, streams that cannot be read, 401, no credit; no retry is spent.

    100 chats ─▶ 4 workers, 5 slots each ─▶ the storm begins ─▶ pauses, one run at a time tries ─▶ it heals ─▶ all are answered

An operator resumes after 401 and credit, as one would who has mended them. Three chats with the real CLI go through a 429 of
the simulator's besides. Where every run may try, they run into it together; where nothing is put back at no cost, retries
are spent.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString
from unittest.mock import patch

import simulator
from jobs_core import Connection, Database, Jobs, fetch_one
from sessions import ClaudeSessions, CredentialsRefused, ModelUnavailable, RateLimited, SessionsError, provider
from sessions.model_run import ModelRun
from tests.drills.report import show
from tests.drills.scripted import Scripted, fleet, say
from tests.support.sessions import KEY, session_settings

DRAINED_S = 10.0
WORKERS, SLOTS = 4, 5
_ANSWER_S, _HANG_S = 0.02, 0.3
_BEGINNING_S = 1.0
"""Those who were under way when it began meet it together."""
_PATIENCE_S = 90.0
_RETRIES = """
SELECT sum(retry_count) AS n
FROM (SELECT retry_count FROM jobs.history UNION ALL SELECT retry_count FROM jobs.jobs) AS all_jobs
"""


@dataclass(frozen=True, slots=True)
class Storm:
    """What the provider does. after_s: how long until it says so. resumed: it heals by a person's hand."""

    error: SessionsError
    after_s: float = 0.0
    resumed: bool = False


STORMS = {
    "429": Storm(RateLimited("429, retry-after: 1", retry_after_s=1.0)),
    "529": Storm(ModelUnavailable("529 overloaded")),
    "hang": Storm(ModelUnavailable("said nothing"), after_s=_HANG_S),
    "malformed": Storm(ModelUnavailable("unknown: the stream could not be read")),
    "401": Storm(CredentialsRefused("401 invalid x-api-key"), resumed=True),
    "credit": Storm(CredentialsRefused("400 credit balance is too low"), resumed=True),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs` in each of `storms`, which last `storm_s`. mutant: all_try, or counted."""

    jobs: int = 100
    storm_s: float = 3.0
    storms: tuple[str, ...] = tuple(STORMS)
    real: int = 3
    mutant: str = ""


@dataclass(slots=True)
class Report:
    """drained_s: from healing to the last answer, of each storm. asked: calls of the model in storms; at_once: how many tried
    together, after the beginning. retries: spent."""

    drained_s: dict[str, float] = field(default_factory=dict)
    asked: int = 0
    at_once: int = 0
    retries: int = 0
    left: int = 0
    real_asked: int = 0

    def broken(self, slack: float = 1.0) -> list[str]:
        """What did not hold."""
        late = [f"{name}: drained after {s} s" for name, s in self.drained_s.items() if s > DRAINED_S * slack]
        found = [f"{self.retries} retries were spent"] if self.retries else []
        found += [f"{self.at_once} runs tried at once"] if self.at_once > 1 else []
        found += [f"{self.left} chats were not answered"] if self.left else []
        return late + found


class Provider:
    """The model, as all runs meet it."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._storm: Storm | None = None
        self._met_at = 0.0
        self._trying = 0

    def begin(self, storm: Storm) -> None:
        """From now on."""
        self._storm, self._met_at = storm, 0.0

    def heal(self) -> None:
        """It answers."""
        self._storm = None

    async def answer(self, **_: Any) -> str:
        """An answer, or the storm's error."""
        if self._storm is None:
            await asyncio.sleep(_ANSWER_S)
            return "Answered."
        storm, now = self._storm, time.monotonic()
        self._met_at = self._met_at or now
        self._report.asked += 1
        self._trying += 1
        if now > self._met_at + storm.after_s + _BEGINNING_S:
            self._report.at_once = max(self._report.at_once, self._trying)
        try:
            await asyncio.sleep(storm.after_s + _ANSWER_S)
        finally:
            self._trying -= 1
        raise storm.error


async def run(dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan on a fresh migrated database."""
    report = Report()
    model = Provider(report)
    with _mutated(plan.mutant):
        async with fleet(dsn, Scripted(model.answer), workers=WORKERS, slots=SLOTS) as jobs:
            for name in plan.storms:
                await _one(jobs, model, name, plan, report)
                if report.left:
                    break
    if plan.real and not report.left:
        await _with_the_real_cli(dsn, plan, report, folder)
    return report


async def _one(jobs: Jobs, model: Provider, name: str, plan: Plan, report: Report) -> None:
    """One storm, from its first victim to the last answer."""
    storm = STORMS[name]
    model.begin(storm)
    for number in range(plan.jobs):
        await say(jobs, f"{name} {number}")
    await asyncio.sleep(plan.storm_s)
    model.heal()
    healed_at = time.monotonic()
    async with jobs.database.connection() as conn:
        if storm.resumed and await provider.resume(conn):
            jobs.notifier.wake_all()
        await _drained(conn, report)
    report.drained_s[name] = round(time.monotonic() - healed_at, 2)


async def _drained(conn: Connection, report: Report) -> None:
    """Wait until no job is left; what they cost."""
    until = time.monotonic() + _PATIENCE_S
    while (left := await _count(conn, "SELECT count(*) AS n FROM jobs.jobs")) and time.monotonic() < until:
        if await _count(conn, _RETRIES):
            break
        await asyncio.sleep(0.05)
    failed = "SELECT count(*) AS n FROM jobs.history WHERE state <> 'complete'"
    report.left = left + await _count(conn, failed)
    report.retries = await _count(conn, _RETRIES)


async def _count(conn: Connection, sql: LiteralString) -> int:
    row = await fetch_one(conn, sql)
    return int(row["n"] or 0) if row else 0


async def _with_the_real_cli(dsn: str, plan: Plan, report: Report, folder: Path) -> None:
    """A 429 with retry-after, as the API sends it, through the CLI and the model proxy."""
    with simulator.running(api_key=KEY) as sim:
        await sim.script("[[error 429 retry-after=2 Slow down]]")

        def agents(database: Database) -> ClaudeSessions:
            return ClaudeSessions(database, session_settings(sim, folder))

        async with fleet(dsn, agents, workers=1, slots=plan.real) as jobs:
            for number in range(plan.real):
                await say(jobs, f"[[text Answer {number}.]]")
            await sim.wait_for_request(outcome="failed")
            await asyncio.sleep(plan.storm_s)
            report.real_asked = len(await sim.requests())
            await sim.reset()
            healed_at = time.monotonic()
            async with jobs.database.connection() as conn:
                await _drained(conn, report)
            report.drained_s["the real CLI"] = round(time.monotonic() - healed_at, 2)


@contextmanager
def _mutated(mutant: str) -> Iterator[None]:
    async def admitted(*_: object, **__: object) -> provider.Admission:
        return provider.Admission(admitted=True)

    async def nothing(*_: object) -> None:
        """Nobody is kept back; or nothing of a failure is known to be the provider's."""

    with ExitStack() as stack:
        if mutant == "all_try":
            stack.enter_context(patch.object(provider, "admit", admitted))
            stack.enter_context(patch.object(provider, "_hold_back", nothing))
        if mutant == "counted":
            stack.enter_context(patch.object(ModelRun, "after", nothing))
        yield


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill storm [--short]`: as it is, and with the mutants; 0 when it held and both broke."""
    from tests.drills.main import in_fresh_databases, parse

    options = parse("storm", arguments, seed=random.randrange(10_000))
    broken = 0
    for how, dsn, log in in_fresh_databases("as_it_is", "all_try", "counted"):
        mutant = "" if how == "as_it_is" else how
        storms = ("429", "529") if options.short or mutant else tuple(STORMS)
        plan = Plan(storms=storms, mutant=mutant, real=0 if mutant else 3, storm_s=2.5 if mutant else 3.0)
        report = asyncio.run(run(dsn, plan, log.parent / how))
        found = report.broken()
        if mutant:
            found = [] if any(word in " ".join(found) for word in ("at once", "retries")) else [f"{how} broke nothing"]
        broken += show(plan, report, found)
    return broken
