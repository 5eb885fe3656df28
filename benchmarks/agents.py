"""What stands between an agent and its model, or its tool, costs: `./jobs bench proxy`, `turn` and `approval`."""

from collections.abc import Sequence
from statistics import median

from benchmarks.measures.approval import until_tool_runs
from benchmarks.measures.proxy import first_events
from benchmarks.measures.turn import until_asked
from benchmarks.ours import Measure, Run
from benchmarks.table import Row


def _at(share: float, figures: Sequence[float]) -> float:
    return sorted(figures)[int(share * len(figures))]


async def _proxy(run: Run) -> list[Row]:
    through, direct = await first_events(run.server, run.plan)
    what = "first event of a call through the model proxy"
    return [
        Row(f"{what}, p50", _at(0.5, through), " ms", "–", "direct", _at(0.5, direct)),
        Row(f"{what}, p95", _at(0.95, through), " ms", "–", "direct", _at(0.95, direct)),
        Row("what the model proxy adds, p95", _at(0.95, through) - _at(0.95, direct), " ms", "≤ 3 ms"),
    ]


async def _turn(run: Run) -> list[Row]:
    ours, bare = await until_asked(run.server, run.plan)
    what = "cold turn, from the message's commit to the request at the API, median"
    return [Row(what, median(ours), " ms", "≤ 1.3", "bare CLI", median(bare))]


async def _approval(run: Run) -> list[Row]:
    seen = await until_tool_runs(run.server, run.plan)
    what = "approval decided, to its tool at work on another worker"
    return [
        Row(f"{what}, p50", median(seen), " ms", "–"),
        Row(f"{what}, p95", _at(0.95, seen), " ms", "≤ 1,500 ms"),
    ]


PROXY: dict[str, Measure] = {"proxy": _proxy}
TURN: dict[str, Measure] = {"turn": _turn}
APPROVAL: dict[str, Measure] = {"approval": _approval}
