"""What taking webhooks in costs: `./jobs bench webhooks`."""

from statistics import median

from benchmarks.measures.webhooks import PER_S, received
from benchmarks.ours import Measure, Run
from benchmarks.table import Row


async def _webhooks(run: Run) -> list[Row]:
    rounds = [await received(run.server, run.us, run.plan.webhooks_s) for _ in range(run.plan.rounds)]
    ms = sorted(one for each in rounds for one in each.ms)
    what = f"webhooks, {PER_S:,}/s while a worker drains their jobs"
    return [
        Row(f"{what}, answered", median(one.answered_per_s for one in rounds), "/s", f"≥ {PER_S * 99 // 100}/s"),
        Row(f"{what}, drained", median(one.drained_per_s for one in rounds), "/s", f"≥ {PER_S * 99 // 100}/s"),
        Row(f"{what}, p50", ms[len(ms) // 2], " ms", "–"),
        Row(f"{what}, p99", ms[len(ms) * 99 // 100], " ms", "≤ 100 ms"),
        Row("CPU of the door for one webhook", median(one.door_ms for one in rounds), " ms", "–"),
    ]


WEBHOOKS: dict[str, Measure] = {"webhooks": _webhooks}
