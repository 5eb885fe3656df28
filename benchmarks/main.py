"""The entry of `./jobs bench`: a server, the measures, the table."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.against_peers import compared_with_peers, table
from benchmarks.agents import APPROVAL, PROXY, TURN
from benchmarks.errors import BenchFailed
from benchmarks.ours import MEASURES, Measure, measured
from benchmarks.peers import PEERS, node_version
from benchmarks.plan import Plan
from benchmarks.powers import BEFORE, CLAIMS, HISTORY, LIVE, SCHEDULED
from benchmarks.server import Server, running
from benchmarks.table import markdown
from benchmarks.webhooks import WEBHOOKS
from cli.run import stopped_by_signals
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings

TABLES: dict[str, dict[str, Measure]] = {
    "ours": MEASURES,
    "claims": CLAIMS,
    "history": HISTORY,
    "before-after": BEFORE,
    "live": LIVE,
    "schedules": SCHEDULED,
    "proxy": PROXY,
    "turn": TURN,
    "approval": APPROVAL,
    "webhooks": WEBHOOKS,
}
"""What can be measured of us; `peers` is a table of its own."""


def bench(plan: Plan, what: str, *, only: Sequence[str], database_url: str | None, as_json: bool) -> None:
    """Measure, and print the table, or one JSON value with the same.

    what: one of TABLES, or peers. only: of its measures, or of peers; empty: all. database_url: a server that allows CREATE
    DATABASE; none: one of our own. Raises BenchFailed for a name that there is not, where we or raw cannot be measured, and
    after a signal.
    """
    if what != "peers" and what not in TABLES:
        raise BenchFailed(f"there is no bench {what}; there are: {', '.join([*TABLES, 'peers'])}")
    known = [peer.key for peer in PEERS] if what == "peers" else list(TABLES[what])
    if unknown := sorted(set(only) - set(known)):
        raise BenchFailed(f"--only: there is no {', '.join(unknown)}; there are: {', '.join(known)}")
    set_up_logs(CoreSettings.read(log_level="error"))  # the measures bury workers, and stdout is the table's
    texts: list[str] = []

    async def work() -> None:
        async with running(database_url) as server:
            texts.append(await _text(server, plan, what, only, as_json=as_json))

    asyncio.run(stopped_by_signals(work()))
    if not texts:
        raise BenchFailed("it was stopped before it was done: there is no table")
    sys.stdout.write(texts[0] + "\n")


async def _text(server: Server, plan: Plan, what: str, only: Sequence[str], *, as_json: bool) -> str:
    if what == "peers":
        lines = await compared_with_peers(server, plan, only)
        rows, shown, also = [asdict(line) for line in lines], table(lines), f", {node_version()}"
    else:
        ours = await measured(server, plan, TABLES[what], only)
        rows, shown, also = [{**asdict(row), "ratio": row.ratio} for row in ours], markdown(ours), ""
    machine = await server.machine() + also
    if as_json:
        return json.dumps({"machine": machine, "plan": {**asdict(plan), "peers": str(plan.peers)}, "rows": rows})
    return f"{shown}\n\nMedians of {plan.rounds}. {machine}."
