"""`./jobs bench`: every measure of ours beside its reference, in turns, and what it should come to.

for each measure ─▶ for each round ─▶ us, reference ─▶ medians ─▶ a row
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from statistics import median

from benchmarks.contender import Contender
from benchmarks.lineup import raw, us
from benchmarks.measures.creates import in_bulk, one_by_one
from benchmarks.measures.drain import drained_alone, drained_beside
from benchmarks.measures.idle import idle
from benchmarks.measures.pickup import picked_up
from benchmarks.measures.pinned import pinned
from benchmarks.measures.rescue import RESCUED, rescued
from benchmarks.plan import Plan
from benchmarks.server import Server
from benchmarks.table import Row, compared
from cli.printing import note


@dataclass(frozen=True, slots=True)
class Run:
    """What a measure works with."""

    server: Server
    plan: Plan
    us: Contender
    raw: Contender


Measure = Callable[[Run], Awaitable[list[Row]]]


async def measured(server: Server, plan: Plan, measures: Mapping[str, Measure], names: Collection[str]) -> list[Row]:
    """The rows of the measures named, none: of all, in the table's order. Raises BenchFailed."""
    run = Run(server, plan, us(server.folder), raw(server.folder))
    rows: list[Row] = []
    for name, measure in measures.items():
        if name in names or not names:
            note(f"bench: {name} …")
            rows += await measure(run)
    return rows


def _drain(processes: int, kind: str, goal: str) -> Measure:
    async def measure(run: Run) -> list[Row]:
        ours, theirs = [], []
        for _ in range(run.plan.rounds):
            ours.append(await drained_alone(run.server, run.us, run.plan, processes=processes, kind=kind))
            theirs.append(await drained_alone(run.server, run.raw, run.plan, processes=processes))
        what = {
            "ready": "brief, no history",
            "kept": "brief, with history",
            "marked": "`running` written, with history",
        }[kind]
        workers = f"{processes} worker{'s' if processes > 1 else ''}"
        return [compared(f"drain {run.plan.jobs:,}, {what}, {workers}", ours, theirs, goal, against="raw")]

    return measure


def _create(producers: int, what: str, goal: str) -> Measure:
    async def measure(run: Run) -> list[Row]:
        pairs = [await one_by_one(run.server, run.plan, producers=producers) for _ in range(run.plan.rounds)]
        return [compared(what, [ours for ours, _ in pairs], [bare for _, bare in pairs], goal, against="bare INSERT")]

    return measure


async def _bulk(run: Run) -> list[Row]:
    ours, theirs = [], []
    for _ in range(run.plan.rounds):
        ours.append(await in_bulk(run.server, run.us, run.plan))
        theirs.append(await in_bulk(run.server, run.raw, run.plan))
    return [compared("create in bulk", ours, theirs, "≥ 1.3 × the best peer", against="unnest INSERT")]


async def _pickup(run: Run) -> list[Row]:
    ours, theirs = [], []
    for _ in range(run.plan.rounds):
        ours.append(await picked_up(run.server, run.us, run.plan))
        theirs.append(await picked_up(run.server, run.raw, run.plan))
    p50, p99 = (median(figures) for figures in zip(*ours, strict=True))
    raw_p50, raw_p99 = (median(figures) for figures in zip(*theirs, strict=True))
    return [
        Row("pickup, idle, 50/s, p50", p50, " ms", "≤ 1.5 ms", "raw", raw_p50),
        Row("pickup, idle, 50/s, p99", p99, " ms", "≤ the best peer's", "raw", raw_p99),
    ]


def _beside(kind: str, what: str) -> Measure:
    async def measure(run: Run) -> list[Row]:
        among = await drained_beside(run.server, run.us, run.plan, kind)
        alone = [await drained_alone(run.server, run.us, run.plan, processes=1) for _ in range(run.plan.rounds)]
        return [compared(f"drain beside {run.plan.beside:,} {what}", among, alone, "≥ 0.9", against="empty table")]

    return measure


async def _pinned(run: Run) -> list[Row]:
    first, last = await pinned(run.server, run.us, run.plan)
    _, raw_last = await pinned(run.server, run.raw, run.plan)
    what = f"create and drain in rounds, a snapshot pinned for {run.plan.pinned_s:.0f} s (one run), last rounds"
    return [
        Row(what, last, "/s", "≥ 0.8", "first rounds", first),
        Row(what, last, "/s", "≥ 3 × every peer's", "raw's last rounds", raw_last),
    ]


async def _idle(run: Run) -> list[Row]:
    seen = await idle(run.server, run.plan)
    return [
        Row("idle worker, besides renewals", seen.transactions_per_s, " tx/s", "≤ 1.5 tx/s"),
        Row("idle worker, CPU of its process", seen.cpu_percent, " %", "≤ 1 %"),
        Row("memory of a worker process without agents", seen.rss_mb, " MB", "≤ 60 MB"),
    ]


async def _rescue(run: Run) -> list[Row]:
    jobs = min(RESCUED, run.plan.jobs)
    spent_s = median([await rescued(run.server, jobs) for _ in range(run.plan.rounds)])
    return [Row(f"rescue of {jobs:,} jobs of a dead worker", spent_s, " s", "≤ 1 s")]


MEASURES: dict[str, Measure] = {
    "drain-1": _drain(1, "ready", "≥ 0.65"),
    "drain-2": _drain(2, "ready", "≥ 0.65"),
    "drain-kept-1": _drain(1, "kept", "≥ 0.5"),
    "drain-kept-2": _drain(2, "kept", "≥ 0.5"),
    "drain-running-1": _drain(1, "marked", "≥ 0.4"),
    "drain-running-2": _drain(2, "marked", "≥ 0.4"),
    "create": _create(1, "create one by one, one connection", "≥ 0.95"),
    "create-32": _create(32, "create, 32 producers at once", "≥ 0.9"),
    "bulk": _bulk,
    "pickup": _pickup,
    "beside-deferred": _beside("deferred", "deferred"),
    "beside-lower-priority": _beside("lower_priority", "of lower priority"),
    "beside-blocked": _beside("blocked", "blocked in one lane"),
    "beside-unknown": _beside("unknown", "of an unknown type"),
    "pinned": _pinned,
    "idle": _idle,
    "rescue": _rescue,
}
