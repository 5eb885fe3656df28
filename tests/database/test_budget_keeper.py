"""The keeper of a worker's budgets: the settings' caps stand before its first run, and dead runs are settled."""

from decimal import Decimal
from typing import Any

import pytest

from jobs_core import ConfigurationError, Connection, Database, fetch
from jobs_core.wake import Ready
from sessions import SessionSettings, budgets
from sessions.budget_keeper import BudgetKeeper
from sessions.budgets import Scope
from sessions.caps import remove_cap, set_cap
from tests.database.conftest import ClaimAll
from tests.database.test_budgets import DAY, NewRun, cap, reserve, run, short_of, state_of, wait
from tests.support.budgets import account

__all__ = ["run"]


async def begun(database: Database, **settings: Any) -> list[Ready]:
    """What a worker's start makes of these settings; returns where jobs go on."""
    woken = list[Ready]()
    keeper = BudgetKeeper(database, SessionSettings(**settings), woken.extend)
    await keeper.start()
    await keeper.stop()
    return woken


async def caps(conn: Connection) -> dict[str, Decimal | None]:
    return {row["scope"]: row["cap_usd"] for row in await fetch(conn, "SELECT scope, cap_usd FROM jobs.budget_caps")}


async def test_the_settings_caps_stand_from_the_start_and_give_way_to_what_is_set_by_hand(
    database: Database, conn: Connection
) -> None:
    await begun(database)
    assert await caps(conn) == {"day": 50, "turn": 2}
    await begun(database, daily_cap_usd="7.5", turn_cap_usd="none")
    assert await caps(conn) == {"day": Decimal("7.5"), "turn": None}
    await set_cap(conn, DAY, Decimal(3), set_by="a test")
    await begun(database)
    assert await caps(conn) == {"day": 3, "turn": 2}
    await remove_cap(conn, DAY)
    await begun(database)
    assert await caps(conn) == {"day": 50, "turn": 2}


@pytest.mark.parametrize("cap_usd", ["0", "-1", "nan", "inf", "much", "1e9"])
def test_a_cap_that_is_no_amount_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, cap_usd: str) -> None:
    """0 too: nobody can tell whether it means no cap or no money."""
    monkeypatch.setenv("JOBS_DAILY_CAP_USD", cap_usd)
    with pytest.raises(ConfigurationError, match="JOBS_DAILY_CAP_USD"):
        SessionSettings.read()


async def test_a_higher_default_lets_who_waits_go_on(database: Database, conn: Connection, run: NewRun) -> None:
    await begun(database, daily_cap_usd="0.01")
    first, job = await run(), await run()
    await reserve(conn, first, DAY)
    await wait(conn, job, await short_of(conn, job, DAY))
    assert await begun(database) == [Ready("default", "note")]
    assert await state_of(conn, job) == "pending"


async def test_one_round_settles_for_the_dead(
    database: Database, conn: Connection, run: NewRun, claim_all: ClaimAll
) -> None:
    await cap(conn, Scope("day"), "1")
    job = await run()
    await reserve(conn, job, DAY)
    await conn.execute("UPDATE jobs.jobs SET state = 'pending', worker_id = NULL")
    await BudgetKeeper(database, SessionSettings(), lambda _: None).run_once()
    assert await account(conn, "day") == (0, 0)
    assert await budgets.sweep(conn) == set()
