"""What the queue's powers cost those who do not use them: `./jobs bench claims`, `history`, `before-after`; and other powers.

Each figure stands beside its reference of the same minute: the two take turns.
"""

from statistics import median

from benchmarks.measures.before import drained_before
from benchmarks.measures.behind import Fill, bulk, ended, full_limit, full_limits, paused
from benchmarks.measures.claims import LimitedQueue, Queue, claims_behind
from benchmarks.measures.history import drained_beside_a_year
from benchmarks.measures.live import DELTAS_PER_S, IDLE_CHATS, STREAMS, first_words, looked, streamed
from benchmarks.measures.schedules import DUE, SCHEDULES, idle, in_jobs
from benchmarks.ours import Measure, Run
from benchmarks.table import Row, paired

_SHARE = 10
"""Of what stands beside drains, a tenth stands behind claims: of the kinds that a promise names with 100,000."""


def _claims(fill: Fill, what: str, *, share: int = _SHARE, kind: type[Queue] = Queue, goal: str = "≤ 2") -> Measure:
    async def measure(run: Run) -> list[Row]:
        jobs = run.plan.beside // share
        found = await claims_behind(run.server, run.plan, lambda queue: fill(queue, jobs), kind)
        rows = list[Row]()
        for slots, ms in found.items():
            claim = f"claim of {slots}{' with a limit' if kind is LimitedQueue else ''}, {jobs:,} {what}"
            rows.append(Row(f"{claim}, p50", ms.p50, " ms", "–", "empty queue", ms.empty_p50))
            rows.append(Row(f"{claim}, p99", ms.p99, " ms", goal, "empty queue", ms.empty_p99))
        return rows

    return measure


async def _history(run: Run) -> list[Row]:
    rounds = await drained_beside_a_year(run.server, run.us, run.plan)
    what = f"drain {run.plan.jobs:,}, with history, beside {run.plan.ended:,} ended jobs of a year"
    return [paired(what, rounds, "≥ 0.95", against="no history yet")]


def _before(kind: str, what: str) -> Measure:
    async def measure(run: Run) -> list[Row]:
        rounds = await drained_before(run.server, run.plan, kind)
        return [paired(f"drain {run.plan.jobs:,}, {what}", rounds, "≥ 0.97", against=f"at {run.plan.base}")]

    return measure


async def _streams(run: Run) -> list[Row]:
    rounds = [await streamed(run.server, run.plan.live_s) for _ in range(run.plan.rounds)]
    lags = sorted(lag for one in rounds for lag in one.lags_ms)
    what = f"{STREAMS} runs of one worker, {DELTAS_PER_S} deltas/s each"
    return [
        Row(f"{what}, transactions", median(one.transactions_per_s for one in rounds), "/s", "≤ 200/s"),
        Row(f"{what}, rows written", median(one.rows_per_s for one in rounds), "/s", "≤ 200/s"),
        Row(f"{what}, from delta to watcher, p50", lags[len(lags) // 2], " ms", "–"),
        Row(f"{what}, from delta to watcher, p95", lags[len(lags) * 95 // 100], " ms", "≤ 500 ms"),
    ]


async def _first_words(run: Run) -> list[Row]:
    lags = await first_words(run.server, run.plan.first_words)
    what = "first word after a silence, to its watcher"
    return [
        Row(f"{what}, p50", lags[len(lags) // 2], " ms", "–"),
        Row(f"{what}, p95", lags[len(lags) * 95 // 100], " ms", "≤ 300 ms"),
    ]


async def _looks(run: Run) -> list[Row]:
    spent = await looked(run.server, run.plan.looks)
    what = f"a look of a door with {IDLE_CHATS:,} chats watched, nothing new"
    return [
        Row(f"{what}, p50", spent[len(spent) // 2], " ms", "–"),
        Row(f"{what}, p95", spent[len(spent) * 95 // 100], " ms", "–"),
    ]


async def _due(run: Run) -> list[Row]:
    took = [await in_jobs(run.server) for _ in range(run.plan.rounds)]
    what = f"{DUE:,} of {SCHEDULES:,} schedules due within one second, until all are in jobs"
    return [Row(what, median(took), " s", "≤ 2 s")]


async def _none_due(run: Run) -> list[Row]:
    rate = await idle(run.server, 2 * run.plan.live_s)
    return [Row(f"{SCHEDULES:,} schedules, none due, transactions of one evaluator", rate, "/s", "≤ 1/s")]


CLAIMS: dict[str, Measure] = {
    "deferred": _claims(bulk("deferred"), "deferred", share=1),
    "lower-priority": _claims(bulk("lower_priority"), "of lower priority", share=1),
    "ended": _claims(ended, "ended", share=1),
    "blocked": _claims(bulk("blocked"), "blocked in one lane"),
    "unknown": _claims(bulk("unknown"), "of an unknown type"),
    "paused": _claims(paused, "of a paused type"),
    "full-limit": _claims(full_limit, "behind a full limit"),
    "full-limit-limited": _claims(full_limit, "behind a full limit", kind=LimitedQueue),
    "full-limits-limited": _claims(full_limits, "behind full limits, 100 of each", kind=LimitedQueue, goal="–"),
}
HISTORY: dict[str, Measure] = {"year": _history}
LIVE: dict[str, Measure] = {"streams": _streams, "first-word": _first_words, "looks": _looks}
SCHEDULED: dict[str, Measure] = {"due": _due, "none-due": _none_due}
BEFORE: dict[str, Measure] = {
    "ready": _before("ready", "brief, no history"),
    "kept": _before("kept", "brief, with history"),
    "marked": _before("marked", "`running` written, with history"),
}
