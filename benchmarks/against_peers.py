"""`./jobs bench peers`: the same measures of everybody, on one Postgres, in one run.

install each (or say why not) ─▶ for each column ─▶ for each round ─▶ each contender, in a database of its own ─▶ medians
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.contender import Contender
from benchmarks.errors import BenchFailed
from benchmarks.lineup import raw, us
from benchmarks.measures.creates import in_bulk, one_by_one_alone
from benchmarks.measures.drain import drained_alone, drained_beside
from benchmarks.measures.pickup import picked_up
from benchmarks.measures.pinned import pinned
from benchmarks.peers import PEERS
from benchmarks.plan import Plan
from benchmarks.server import Server
from benchmarks.table import figure, grid
from cli.printing import note

Measure = Callable[[Server, Contender, Plan], Awaitable[Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table. once: one call has its own rounds, or is too long for several."""

    measure: Measure
    once: bool = False


@dataclass(slots=True)
class Line:
    """What came of one contender: its figures by column, and why there are none."""

    name: str
    figures: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


async def compared_with_peers(server: Server, plan: Plan, names: Sequence[str]) -> list[Line]:
    """A line for us, one for raw, one for each peer named (none named: all), whether or not it could be measured."""
    contenders = [us(server.folder), raw(server.folder)]
    missing: list[Line] = []
    for peer in PEERS:
        if names and peer.key not in names:
            continue
        note(f"bench: {peer.name}, installing …")
        try:
            contenders.append(await asyncio.to_thread(peer.ready, plan.peers, server.folder))
        except BenchFailed as error:
            missing.append(Line(peer.name, failed={"install": str(error)}))
    lines = {contender.name: Line(contender.name) for contender in contenders}
    for title, column in COLUMNS.items():
        seen: dict[str, list[Sequence[float]]] = {contender.name: [] for contender in contenders}
        for number in range(1 if column.once else plan.rounds):
            for contender in contenders:
                note(f"bench: {title}, {contender.name}, round {number + 1} …")
                try:
                    seen[contender.name].append(await column.measure(server, contender, plan))
                except (BenchFailed, TimeoutError) as error:
                    lines[contender.name].failed[title] = str(error) or "it did not settle in time"
        for name, rounds in seen.items():
            if rounds:
                lines[name].figures[title] = [median(figures) for figures in zip(*rounds, strict=True)]
    return [*lines.values(), *missing]


def table(lines: Sequence[Line]) -> str:
    """The lines as a Markdown table, and below it what failed and why."""
    cells = [
        [
            line.name,
            *(" / ".join(map(figure, line.figures[title])) if title in line.figures else "–" for title in COLUMNS),
        ]
        for line in lines
    ]
    reasons = [
        f"- {line.name}: {why} ({', '.join(what for what in line.failed if line.failed[what] == why)})"
        for line in lines
        for why in dict.fromkeys(line.failed.values())
    ]
    return "\n".join([grid(["jobs/s", *COLUMNS], cells), *([""] if reasons else []), *reasons])


async def _one_by_one(server: Server, contender: Contender, plan: Plan) -> Sequence[float]:
    return [await one_by_one_alone(server, contender, plan)]


async def _bulk(server: Server, contender: Contender, plan: Plan) -> Sequence[float]:
    return [await in_bulk(server, contender, plan)]


async def _drain_1(server: Server, contender: Contender, plan: Plan) -> Sequence[float]:
    return [await drained_alone(server, contender, plan, processes=1)]


async def _drain_2(server: Server, contender: Contender, plan: Plan) -> Sequence[float]:
    return [await drained_alone(server, contender, plan, processes=2)]


async def _beside(server: Server, contender: Contender, plan: Plan) -> Sequence[float]:
    return [median(await drained_beside(server, contender, plan, "deferred"))]


COLUMNS = {
    "create one by one": Column(_one_by_one),
    "in bulk": Column(_bulk),
    "drain, 1 worker": Column(_drain_1),
    "2 workers": Column(_drain_2),
    "beside deferred": Column(_beside, once=True),
    "pinned: first / last": Column(pinned, once=True),
    "pickup ms: p50 / p99": Column(picked_up),
}
