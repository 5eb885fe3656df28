"""Budgets without a model: calls written into the ledger as the proxy does, and what must hold of accounts at every moment."""

from decimal import Decimal
from uuid import UUID, uuid4

from jobs_core import Connection, db, execute, fetch

SPEND = """
INSERT INTO jobs.usage (turn_id, token, model, session_id, guessed_price, calls, cost_usd)
VALUES (%(turn_id)s, %(token)s, 'a model', %(session_id)s, false, 1, %(usd)s)
ON CONFLICT (turn_id, token, model) DO UPDATE SET calls = usage.calls + 1, cost_usd = usage.cost_usd + excluded.cost_usd
"""
OPEN = """
INSERT INTO jobs.usage (turn_id, token, model, session_id, guessed_price, calls, open_calls)
VALUES (%(turn_id)s, %(token)s, 'a model', %(session_id)s, false, 1,
        jsonb_build_object('a call', jsonb_build_object(
            'began_at', clock_timestamp(), 'input_tokens', 1, 'max_tokens', 0, 'input_usd', %(usd)s::numeric, 'output_usd', 0)))
"""


async def spend(conn: Connection, turn_id: UUID, token: int, usd: Decimal | str) -> None:
    """A call of the run has ended, and cost so much."""
    await execute(conn, SPEND, {"turn_id": turn_id, "token": token, "session_id": uuid4(), "usd": Decimal(usd)})


async def open_call(conn: Connection, turn_id: UUID, token: int, usd: Decimal | str) -> None:
    """A call of the run has begun, and may cost so much."""
    await execute(conn, OPEN, {"turn_id": turn_id, "token": token, "session_id": uuid4(), "usd": Decimal(usd)})


WATCH = """
CREATE TABLE jobs.passed_caps (scope text, key text, spent_usd numeric, reserved_usd numeric);
CREATE FUNCTION jobs.watch_caps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO jobs.passed_caps SELECT scope, key, spent_usd, reserved_usd FROM jobs.budget_balances
    WHERE id = NEW.id AND left_usd < 0;
    RETURN NULL;
END $$;
CREATE TRIGGER watch_caps AFTER UPDATE ON jobs.budget_accounts FOR EACH ROW
    WHEN (NEW.reserved_usd > OLD.reserved_usd) EXECUTE FUNCTION jobs.watch_caps();
"""
"""Notes each reservation that passes a cap at the moment when it is made; later its run may spend more than it had."""


async def watch(conn: Connection) -> None:
    """Have `wrong` know of every reservation from now on."""
    await execute(conn, WATCH)


PASSED = "SELECT scope, key, spent_usd, reserved_usd FROM jobs.passed_caps"
UNEVEN = """
SELECT a.scope, a.key, a.reserved_usd, coalesce(sum(h.usd), 0) AS held FROM jobs.budget_accounts AS a
LEFT JOIN jobs.budget_holds AS h ON h.account_id = a.id
GROUP BY a.id HAVING a.reserved_usd <> coalesce(sum(h.usd), 0)
"""


async def wrong(conn: Connection) -> dict[str, list[db.Row]]:
    """What does not hold: a reservation has passed a cap, or what is reserved now is not what runs hold."""
    found = {name: await fetch(conn, sql) for name, sql in (("passed", PASSED), ("uneven", UNEVEN))}
    return {name: rows for name, rows in found.items() if rows}


async def account(conn: Connection, scope: str, key: str = "*") -> tuple[Decimal, Decimal]:
    """What an account of this period has spent, and what of it is reserved."""
    sql = "SELECT spent_usd, reserved_usd FROM jobs.budget_accounts WHERE scope = %(scope)s AND key = %(key)s"
    (row,) = await fetch(conn, sql, {"scope": scope, "key": key})
    return row["spent_usd"], row["reserved_usd"]
