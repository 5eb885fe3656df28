"""R24: calls wait for approval, and everybody decides about each at once, while the runs that go on are lost.

    each race ─▶ two deciders, each with one of: approve, edit, reject, expire, supersede, cancel, time, a wrong digest, a wrong
                 person; some click 50 times
              ─▶ workers go on; a run is struck before the call, before its tool, after it, or taken over and woken
              ─▶ one decision, at most one execution, by the run that is recorded, with exactly what was approved

The SQL, the handler and the gatekeeper are the real ones; the CLI is scripted, and its tool writes an independent log of
effects. Mutants: without the comparison of the state, or of the digest, with nothing recorded before the tool, without the
fence; on each the same races must break.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from assistant import actions, chats
from assistant.action import Action
from assistant.chats import CHAT_TURN, ChatTurnInput
from handlers import chat_turn
from jobs_core import AnyJob, Database, HandlerTable, Jobs, LeaseLost, Snooze, execute, fetch
from jobs_core.claim import claim, start
from jobs_core.job import current
from jobs_core.leases import register
from jobs_core.settle import settle
from jobs_core.upkeep import promote_due
from jobs_core.waits import go_on
from tests.drills.approvals_races import EFFECTS, Agents, Race, Struck, Zombie, decide, drawn, judged, last_word
from tests.drills.main import in_fresh_databases, parse
from tests.drills.report import count, show
from tests.support.mutants import NO_FENCE, mutated

WORKERS = 6
AT_ONCE = 12
_IDLE_S = 0.02
_LONGEST_NAP_S = 0.05

MUTANTS: dict[str, tuple[str, str]] = {
    "no_compare": ("AND state = 'pending' AND digest = %(digest)s", "AND digest = %(digest)s"),
    "no_digest": ("AND digest = %(digest)s\n", "AND %(digest)s::text IS NOT NULL\n"),
    "not_recorded": ("CASE state WHEN 'approved' THEN 'executing' ELSE 'unknown' END", "'approved'"),
    "unfenced": NO_FENCE,
}
SHOWN_BY: dict[str, dict[str, Any]] = {
    "no_compare": {"deeds": ("approve", "reject")},
    "no_digest": {"deeds": ("wrong digest", "wrong digest")},
    "not_recorded": {"deeds": ("approve", "edit"), "strike": "ran", "changes": False},
    "unfenced": {"deeds": ("approve", "approve"), "strike": "zombie", "changes": False},
}
"""What happens in each race that is to show a mutant."""


@dataclass(frozen=True, slots=True)
class Plan:
    """So many races; `mutant`: what is taken out. within_s: how long a race may take to come to its end."""

    races: int
    seed: int
    mutant: str = ""
    within_s: float = 120.0


@dataclass(slots=True)
class Report:
    """ended: actions by the state they ended in. refused: zombies that were. broken: what did not hold, and how often."""

    ended: dict[str, int] = field(default_factory=dict)
    executed: int = 0
    struck: int = 0
    refused: int = 0
    broken: dict[str, int] = field(default_factory=dict)


async def run(dsn: str, plan: Plan) -> Report:
    """Carry out the plan on a fresh migrated database."""
    rng, report = random.Random(plan.seed), Report()
    with mutated(MUTANTS[plan.mutant]) if plan.mutant else nullcontext():
        async with (
            Database(dsn, name="drill", max_connections=24) as database,
            Drill.working(database, report) as drill,
        ):
            room = asyncio.Semaphore(AT_ONCE)
            races = [replace(drawn(number, rng), **SHOWN_BY.get(plan.mutant, {})) for number in range(plan.races)]
            await asyncio.gather(*(drill.race(race, room, plan.within_s) for race in races))
            async with database.connection() as conn:
                count(
                    report.ended, [one["state"] for one in await fetch(conn, "SELECT state FROM jobs.pending_actions")]
                )
                report.executed = len(await fetch(conn, "SELECT FROM effects"))
    return report


class Drill:
    """`race`: one chat from its first message to its end; meanwhile the workers of `working` run all that is ready."""

    def __init__(self, jobs: Jobs, races: dict[str, Race], report: Report) -> None:
        self._jobs = jobs
        self._races = races
        self._report = report
        self._zombies = set[asyncio.Task[None]]()

    @classmethod
    @asynccontextmanager
    async def working(cls, database: Database, report: Report) -> AsyncIterator["Drill"]:
        """A drill whose workers work until the end of the block."""
        races, table = dict[str, Race](), HandlerTable()
        chat_turn.register(table, database=database, sessions=Agents(database, races))  # type: ignore[arg-type]  # scripted
        async with Jobs(database, table) as jobs:
            drill = cls(jobs, races, report)
            async with database.connection() as conn:
                await execute(conn, EFFECTS)
            workers = [asyncio.create_task(work()) for work in (*[drill._work] * WORKERS, drill._upkeep)]
            try:
                yield drill
            finally:
                for worker in workers:
                    worker.cancel()
                for ended in await asyncio.gather(*workers, return_exceptions=True):
                    if isinstance(ended, Exception):
                        raise ended

    async def race(self, race: Race, room: asyncio.Semaphore, within_s: float) -> None:
        """Have it asked, decided and ended; then judge."""
        async with room:
            self._races[race.name] = race
            async with self._jobs.database.transaction() as conn:
                words = f"{race.name} clean up"
                said = await chats.receive(
                    conn, self._jobs, session_id=None, channel="web", message=words, user_id=None
                )
            try:
                async with asyncio.timeout(within_s):
                    action = await self._asked(said.session_id)
                    await decide(self._jobs, race, action)
                    await self._ended(race, action)
            except TimeoutError:
                count(self._report.broken, [f"did not end in {within_s:g} s"])
                return
            async with self._jobs.database.connection() as conn:
                count(self._report.broken, await judged(conn, race, action.id))

    async def _asked(self, chat: str) -> Action:
        while True:
            async with self._jobs.database.connection() as conn:
                if action := await actions.pending_in(conn, chat):
                    return action
            await asyncio.sleep(_IDLE_S)

    async def _ended(self, race: Race, action: Action) -> None:
        """Until the chat has no job left; who never decided gets rejected, and who asked for a cancel asks again."""
        await last_word(self._jobs, race, action)
        lane = {"lane": f"turn:{action.session_id}"}
        while True:
            async with self._jobs.database.connection() as conn:
                if not await fetch(conn, "SELECT FROM jobs.jobs WHERE lane = %(lane)s LIMIT 1", lane):
                    break
            if "cancel" in race.deeds:
                await self._jobs.cancel(action.job_id)
            await asyncio.sleep(2 * _IDLE_S)
        await asyncio.gather(*self._zombies)  # what they may still do belongs to the verdict

    async def _upkeep(self) -> None:
        while True:
            async with self._jobs.database.connection() as conn:
                await go_on(conn, batch=100)
                await promote_due(conn)
            await asyncio.sleep(_IDLE_S)

    async def _work(self) -> None:
        """A worker without a process."""
        async with self._jobs.database.connection() as conn:
            worker_id = await register(conn, queues=["chat"], job_types=[CHAT_TURN.name], slots=1, lease_s=3600)
        while True:
            async with self._jobs.database.connection() as conn:
                claimed = await claim(conn, worker_id=worker_id, queues=["chat"], job_types=[CHAT_TURN.name], slots=1)
                for job in claimed:
                    await start(conn, job)
            for job in claimed:
                await self._run(job)
            if not claimed:
                await asyncio.sleep(_IDLE_S)

    async def _run(self, job: AnyJob) -> None:
        job.input = ChatTurnInput.model_validate_json(job.input)
        current.set(job)
        handle, zombie = self._jobs.table.handler(CHAT_TURN.name), None
        try:
            outcome = await handle(job)
        except LeaseLost:
            return
        except Struck as struck:
            self._report.struck += 1
            outcome = Snooze(timedelta(0), because="drained")  # as if it was rescued
            zombie = struck if isinstance(struck, Zombie) else None
        with suppress(LeaseLost):
            async with self._jobs.database.connection() as conn:
                await settle(conn, job, outcome, CHAT_TURN)
        if zombie:
            task = asyncio.create_task(self._go_on_after(zombie, job.token))
            self._zombies.add(task)
            task.add_done_callback(self._zombies.discard)

    async def _go_on_after(self, zombie: Zombie, token: int) -> None:
        """It wakes while others may be running what it would run."""
        await asyncio.sleep(random.uniform(0, _LONGEST_NAP_S))
        try:
            await zombie.agents.call(zombie.race, zombie.agent, token, stale=True)
        except LeaseLost:
            self._report.refused += 1
        except Struck:
            pass


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill approvals [--short]`: 2,000 races hold; on each mutant the same races must break."""
    options = parse("approvals", arguments, seed=1)
    failures = 0
    for name, dsn, _ in in_fresh_databases("whole", *MUTANTS):
        mutant = "" if name == "whole" else name
        races = (200 if options.short else 2_000) if not mutant else 50
        report = asyncio.run(run(dsn, plan := Plan(races, options.seed, mutant)))
        broken = [f"{what} ({times} times)" for what, times in report.broken.items()]
        failures += show(plan, report, broken if not mutant else [] if broken else [f"{mutant} broke nothing"])
    return 1 if failures else 0
