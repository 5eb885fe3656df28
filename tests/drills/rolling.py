"""R20: workers are restarted one after another, under load, and the old version of the program works beside the new one.

    producer ─▶ queue ─▶ ┌ supervisor, old ┐ ─▶ history, effects      each round, each supervisor: SIGTERM ─▶ it drains and
                         └ supervisor, new ┘                          ends ─▶ one of the other version takes its place

The new version has a type that the old one does not know, and a field more in the input of another. Half of the restarts are
deploys, the other half go back; other code of the queue itself is what the drill `migrate` is about. With a drain that charges
a retry, or that drops its runs, it must break.
"""

import asyncio
import random
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from jobs_core import Connection, Database, HandlerTable, Jobs, NewJob, db, fetch
from jobs_core.history import make_partitions
from tests.drills import load
from tests.drills.deploy_code import SLOW, Work
from tests.drills.deploy_record import Findings, findings
from tests.drills.deploy_site import Code, Member, Site, largest_gap_s, serving
from tests.drills.main import in_fresh_databases, parse
from tests.drills.report import show

GAP_S = 1.0
"""The longest time without a start while jobs come all the time."""
FORCED_S = 5.0
"""What an end may take after the second signal: the supervisor kills after 2 s."""
_SETTINGS = {"JOBS_DRAIN_S": "0.8", "JOBS_POLL_S": "1", "JOBS_LEASE_S": "15", "JOBS_SLOTS": "20"}
_SHORT_LEASE = {"JOBS_LEASE_S": "3", "JOBS_RENEW_S": "1"}
_LONGEST_RUN_S = 2.0
_FORCED_RUNS = 3
_STARTED = 60
"""Before the first restart: many run then, and some for longer than a drain waits."""
_CHARGED = """
SELECT FROM jobs.attempts WHERE reason <> 'drained'
UNION ALL SELECT FROM jobs.jobs WHERE retry_count > 0 UNION ALL SELECT FROM jobs.history WHERE retry_count > 0 LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """`rounds` through all `supervisors`, each of which has `processes` workers; `mutant` is the demonstration's."""

    rounds: int
    seed: int
    supervisors: int = 3
    processes: int = 2
    per_s: float = 40.0
    mutant: str = ""


@dataclass(slots=True)
class Report:
    """gap_s: the longest without a start. drain_s: from SIGTERM to the end. left: processes of supervisors that had ended.
    forced_s: from the second signal to the end; unforced: what that cost the runs that were cut."""

    findings: Findings | None = None
    restarts: int = 0
    gap_s: float = 0.0
    left: int = 0
    drain_s: list[float] = field(default_factory=list)
    forced_s: float = 0.0
    unforced: int = 0
    trouble: dict[str, int] = field(default_factory=dict)

    def broken(self, *, slack: float = 1.0) -> list[str]:
        """What did not hold; `slack` is a factor on the promised times."""
        assert self.findings
        return [
            *self.findings.broken,
            *([f"no start for {self.gap_s:.2f} s"] if self.gap_s > GAP_S * slack else []),
            *([f"left running: {self.left}"] if self.left else []),
            *([f"forced: {self.forced_s:.2f} s"] if self.forced_s > FORCED_S * slack else []),
            *([f"forced, and charged: {self.unforced}"] if self.unforced else []),
            *(f"{event}: {times}" for event, times in self.trouble.items()),
            *([] if self.findings.drained else ["no run was handed back"]),
        ]


async def run(dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan in a fresh migrated database."""
    report = Report()
    settings = {**_SETTINGS, **({"DEPLOY_MUTANT": plan.mutant, **_SHORT_LEASE} if plan.mutant else {})}
    with Site(dsn, folder, **settings) as site:
        async with await db.connect(dsn, name="drill looks") as looks:
            await make_partitions(looks)  # as `./jobs migrate` does
            await load.prepare(looks)
            codes = [Code("new" if number % 2 else "old") for number in range(plan.supervisors)]
            fleet = [site.supervise(code, processes=plan.processes) for code in codes]
            await serving(looks, len(fleet) * plan.processes)
            producer = site.produce(Code("new"), 1_000_000, per_s=plan.per_s, longest_s=_LONGEST_RUN_S)
            await _started(site, _STARTED)
            await _restart_all(site, looks, fleet, plan, report)
            await producer.drain()
            report.gap_s = _gap_s(site)
            await (_until_charged(looks) if plan.mutant else load.drained(looks, 120.0))
            await _drain_all(fleet, report)
            report.findings = await findings(looks, site)
            if not plan.mutant:
                await _force(site, looks, report, dsn)
        report.trouble = site.trouble()
    return report


async def _restart_all(site: Site, looks: Connection, fleet: list[Member], plan: Plan, report: Report) -> None:
    """Each round, one after another, in random order."""
    rng = random.Random(plan.seed)
    for _ in range(plan.rounds):
        for number in rng.sample(range(len(fleet)), len(fleet)):
            await asyncio.sleep(rng.uniform(0.0, 0.5))
            await _drain(fleet[number], report)
            other = Code("old" if fleet[number].code.version == "new" else "new")
            fleet[number] = site.supervise(other, processes=plan.processes)
            await serving(looks, len(fleet) * plan.processes)
            report.restarts += 1


async def _drain(member: Member, report: Report) -> None:
    began_s = asyncio.get_running_loop().time()
    report.left += await member.drain()
    report.drain_s.append(asyncio.get_running_loop().time() - began_s)


async def _drain_all(fleet: Sequence[Member], report: Report) -> None:
    await asyncio.gather(*(_drain(member, report) for member in fleet))


async def _force(site: Site, looks: Connection, report: Report, dsn: str) -> None:
    """A drain that would wait for a minute is cut short by a second signal; its runs are handed back at no cost."""
    member = site.supervise(Code("new"), "slow", processes=1, JOBS_DRAIN_S="60")
    table = HandlerTable()
    table.declare(SLOW)
    async with Database(dsn, name="drill") as database, Jobs(database, table) as jobs:
        await jobs.create_many([NewJob(SLOW, Work(key="slow"))] * _FORCED_RUNS)
    await _started(site, _FORCED_RUNS, SLOW.name)
    drains = site.said("worker.draining")
    member.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        while site.said("worker.draining") == drains:
            await asyncio.sleep(0.05)
    assert member.process.poll() is None, "the first signal did not wait for the runs"
    began_s = asyncio.get_running_loop().time()
    report.left += await member.drain()
    report.forced_s = asyncio.get_running_loop().time() - began_s
    free = "SELECT FROM jobs.jobs WHERE state = 'pending' AND retry_count = 0 AND lost_count = 0"
    report.unforced = _FORCED_RUNS - len(await fetch(looks, free))


async def _started(site: Site, runs: int, job_type: str = "") -> None:
    async with asyncio.timeout(60):
        while sum(line["type"] == (job_type or line["type"]) for line in site.told("start")) < runs:
            await asyncio.sleep(0.05)


async def _until_charged(looks: Connection) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(20):
            while not await fetch(looks, _CHARGED):
                await asyncio.sleep(0.1)


def _gap_s(site: Site) -> float:
    last_created = site.told("created")[-1]["at"]
    return largest_gap_s([start for start in site.told("start") if start["at"] < last_created])


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill rolling [--short]`: as it is, then with the two faulty drains; 0 when those two alone broke."""
    options = parse("rolling", arguments, seed=random.randrange(10_000))
    whole = Plan(1, options.seed, supervisors=2, processes=1) if options.short else Plan(20, options.seed)
    mutants = {name: faulty(name, options.seed) for name in ("charge", "abandon")}
    failures = 0
    for name, dsn, log in in_fresh_databases("", *mutants):
        plan = mutants.get(name, whole)
        report = asyncio.run(run(dsn, plan, log.parent / f"run {name}"))
        failures += show(plan, report, missed(report) if plan.mutant else report.broken())
    return 1 if failures else 0


def faulty(mutant: str, seed: int) -> Plan:
    """The plan of a demonstration: a drain or two are enough for it."""
    return Plan(1, seed, supervisors=1, processes=1, per_s=30.0, mutant=mutant)


def missed(report: Report) -> list[str]:
    """What a faulty drain did not show."""
    assert report.findings
    return [] if report.findings.charged else ["a drain was faulty, and no attempt was charged"]
