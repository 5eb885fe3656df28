"""Plans of what reserves, settles, tells and lists: with accounts and caps of 20,000 turns, none reads all accounts."""

import asyncio
from collections.abc import Iterator

import pytest

from jobs_core import db
from tests.database.test_chat_plans import nodes
from tests.support.database import fresh_database
from tests.support.plans import Arguments, Plans, explain_all

TURN, TURNS = "00000000-0000-0000-0000-000000000007", 20_000
TABLES = "jobs.budget_accounts, jobs.budget_caps, jobs.budget_waits, jobs.budget_holds"
FILL = (
    f"ANALYZE {TABLES}",
    "INSERT INTO jobs.budget_caps (scope, key, period, cap_usd, by_hand, set_by) VALUES ('turn', '*', 'once', 2, false, 'x')",
    f"""
    INSERT INTO jobs.budget_accounts (scope, key, period, starts_on)
    SELECT 'turn', lpad(n::text, 32, '0')::uuid, 'once', '1970-01-01' FROM generate_series(1, {TURNS}) AS n
    """,
    """
    INSERT INTO jobs.budget_caps (scope, key, period, cap_usd, by_hand, set_by)
    SELECT scope, key, period, 1, false, 'agent x' FROM jobs.budget_accounts
    """,
    "INSERT INTO jobs.budget_waits (job_id, account_id, needs_usd, event) VALUES (7, 7, 0.1, 'budget:turn:7')",
)
KEYS = {"scopes": "{day,turn}", "keys": f"{{*,{TURN}}}", "turn_id": TURN, "token": "7"}
IN_A_RUN: dict[str, Arguments] = {
    "budget/open": KEYS,
    "budget/lock": KEYS,
    "budget/lock_held": KEYS,
    "budget/of_keys": {**KEYS, "ids": "{7}"},
    "budget/balances": {"ids": "{7}"},
    "cap/lock_accounts": {"scope": "turn", "key": "*"},
    "cap/lock_of_agent": {"agent": "assistant"},
}
ALL = IN_A_RUN | {"metrics/look": {"most": "100"}} | {"cap/list": {"scope": None, "key": None}}


@pytest.fixture(scope="module")
def plans(server_dsn: str) -> Iterator[Plans]:
    """On one database for all tests here."""

    async def explained(dsn: str) -> Plans:
        async with await db.connect(dsn, name="tests") as conn:
            return await explain_all(conn, ALL, fill=FILL, tables=TABLES, room="sessions")

    with fresh_database(server_dsn) as dsn:
        yield asyncio.run(explained(dsn))


@pytest.mark.parametrize("run", ["new", "prepared"])
@pytest.mark.parametrize(
    ("statistics", "name"), [*(("stale", name) for name in IN_A_RUN), *(("fresh", n) for n in ALL)]
)
def test_no_statement_reads_all_accounts(plans: Plans, statistics: str, run: str, name: str) -> None:
    found = [node for node in nodes(plans[statistics, run, name]) if node.get("Relation Name") == "budget_accounts"]
    read = [node for node in found if node["Node Type"] != "ModifyTable"]
    assert read
    assert all("Index Cond" in node or node["Node Type"] == "Bitmap Heap Scan" for node in read)
