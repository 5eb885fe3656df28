"""The entry of `./jobs bench`: a server, the measures, the table."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.against_peers import compared_with_peers, table
from benchmarks.errors import BenchFailed
from benchmarks.ours import MEASURES, measured
from benchmarks.peers import PEERS
from benchmarks.plan import Plan
from benchmarks.server import running
from benchmarks.table import markdown
from cli.printing import print_json
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings


def bench(plan: Plan, *, peers: bool, only: Sequence[str], database_url: str | None, as_json: bool) -> None:
    """Measure, and print the table, or one JSON value with the same.

    only: of measures, or of peers; empty: all. database_url: a server that allows CREATE DATABASE; none: one of our own.
    Raises BenchFailed for a name that there is not, and where we or raw cannot be measured.
    """
    known = [peer.key for peer in PEERS] if peers else list(MEASURES)
    if unknown := sorted(set(only) - set(known)):
        raise BenchFailed(f"--only: there is no {', '.join(unknown)}; there are: {', '.join(known)}")
    set_up_logs(CoreSettings.read(log_level="error"))  # the measures bury workers, and stdout is the table's
    asyncio.run(_bench(plan, only, database_url, peers=peers, as_json=as_json))


async def _bench(plan: Plan, only: Sequence[str], database_url: str | None, *, peers: bool, as_json: bool) -> None:
    async with running(database_url) as server:
        if peers:
            lines = await compared_with_peers(server, plan, only)
            rows, shown = [asdict(line) for line in lines], table(lines)
        else:
            ours = await measured(server, plan, only or list(MEASURES))
            rows, shown = [{**asdict(row), "ratio": row.ratio} for row in ours], markdown(ours)
        machine = await server.machine()
    if as_json:
        print_json({"machine": machine, "plan": {**asdict(plan), "peers": str(plan.peers)}, "rows": rows})
    else:
        sys.stdout.write(f"{shown}\n\nMedians of {plan.rounds}. {machine}.\n")
