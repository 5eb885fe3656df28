"""Updates of Telegram dropped, doubled, reordered, 50 disconnects: each message is one, each turn answered once."""

import asyncio
import time
from collections.abc import Sequence

from jobs_core import Database
from tests.drills.main import in_fresh_databases, parse
from tests.support.telegram_pace import pace
from tests.support.telegram_storm import Storm, blow

FULL = {"messages": 10_000, "chats": 50, "disconnects": 50, "restarts": 10}
PER_S = 200
SHORT = {"messages": 2_000, "chats": 50, "disconnects": 12, "restarts": 2}


def main(arguments: Sequence[str]) -> int:
    """Run it; 0: all of it held."""
    options = parse("telegram", arguments, seed=7)
    storm = Storm(**(SHORT if options.short else FULL), seed=options.seed)
    for name, dsn, _log in in_fresh_databases("pace", "storm"):
        if name == "pace":
            took_ms = asyncio.run(_pace(dsn))
            p50, p95 = (took_ms[int(len(took_ms) * share)] for share in (0.5, 0.95))
            print(f"at {PER_S} messages a second, said to committed: p50 {p50:.1f} ms, p95 {p95:.1f} ms (wanted: 20)")
            continue
        began = time.monotonic()
        faults = asyncio.run(_run(dsn, storm))
        print(
            f"{storm.messages} messages of {storm.chats} chats in {time.monotonic() - began:.0f} s, seed {storm.seed}"
        )
        for fault in faults:
            print(fault)
        if faults:
            return 1
    print("each message is one, in its chat's order; each turn is answered once")
    return 0


async def _pace(dsn: str) -> list[float]:
    async with Database(dsn, name="drill") as database:
        return await pace(database, per_s=PER_S, messages=5 * PER_S)


async def _run(dsn: str, storm: Storm) -> list[str]:
    async with Database(dsn, name="drill") as database:
        return await blow(database, storm)
