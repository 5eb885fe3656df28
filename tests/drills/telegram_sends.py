"""R25: sends that are killed between sending and recording, or cut off: each is seen once, in the order of its chat."""

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from jobs_core import Database, fetch
from tests.support.telegram_cuts import CHATS, cut_off, expected, seen, send_all_with_deaths, with_fresh_ids
from tests.support.telegram_egress import office


@dataclass(frozen=True, slots=True)
class Plan:
    """mutant: "", or fresh_ids, for a random id that is drawn at each try."""

    sends: int
    seed: int
    mutant: str = ""


@dataclass(slots=True)
class Report:
    """cut: requests. seen: messages."""

    cut: int = 0
    seen: int = 0
    broken: list[str] = field(default_factory=list)


async def run(dsn: str, plan: Plan, _folder: Path) -> Report:
    """Carry out the plan on a fresh migrated database."""
    report = Report()
    async with Database(dsn, name="drill") as database, database.connection() as conn, office(database, conn) as at:
        with with_fresh_ids() if plan.mutant else nullcontext(), cut_off(at, plan.seed) as cuts:
            await send_all_with_deaths(at, plan.sends)
        report.cut = cuts.happened
        for chat in range(CHATS):
            there, wanted = seen(at, chat), expected(chat, plan.sends)
            report.seen += len(there)
            if there != wanted:
                report.broken.append(f"chat {chat}: {len(there)} messages, not {len(wanted)}, or in another order")
        states = await fetch(conn, "SELECT state, count(*) AS n FROM jobs.deliveries WHERE state <> 'sent' GROUP BY 1")
        report.broken += [f"deliveries {row['state']}: {row['n']}" for row in states]
    return report
