"""Budgets and the provider through the web door: set, looked at, raised, removed; what does not fit refused by its name."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from jobs_core import Connection, Jobs, Snooze, Wait
from jobs_core.settle import settle
from jobs_core.wake import Ready
from sessions import budgets, provider
from sessions.budgets import BudgetShort, Scope
from sessions.caps import set_cap
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE
from tests.support.web import calling, door, error_of

BUDGETS, PROVIDER = "/api/budgets", "/api/provider"


async def test_a_cap_is_set_listed_raised_and_removed(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    woken = list[Ready | None]()
    jobs.notifier.on_wake = woken.append
    async with calling(door(jobs)) as client:
        put = await client.put(f"{BUDGETS}/user:a/b", json={"cap_usd": 0.25, "period": "month"})
        assert put.status_code == 200, put.text
        (made,) = put.json()["budgets"]
        assert (made["scope"], made["period"], made["cap_usd"], made["by_hand"]) == ("user:a/b", "month", 0.25, True)
        await jobs.create(NOTE, {})
        await jobs.create(NOTE, {})
        one, two = await claim_all()
        ada = Scope("user", "a/b")
        async with conn.transaction():
            await budgets.reserve(conn, one, uuid4(), [ada])
        with pytest.raises(BudgetShort) as caught:
            async with conn.transaction():
                await budgets.reserve(conn, two, uuid4(), [ada])

        async def also(own: Connection) -> None:
            await budgets.wait_for_budget(own, two, caught.value)

        await settle(conn, two, Wait(budgets.event_of(two, caught.value), also=also), NOTE)
        (listed,) = (await client.get(BUDGETS)).json()["budgets"]
        assert (listed["spent_usd"], listed["reserved_usd"], listed["waiting"]) == (0.0, 0.25, [two.id])
        woken.clear()
        raised = await client.post(f"{BUDGETS}/user:a/b/raise", json={"by_usd": 5})
        assert [ready for ready in woken if ready] == [Ready("default", "note")]
        (now,) = raised.json()["budgets"]
        assert (now["cap_usd"], now["raised_usd"], now["waiting"]) == (0.25, 5.0, [])
        raised = await client.post(f"{BUDGETS}/user:a/b/raise", json={"by_usd": 0.5, "for_good": True})
        assert raised.json()["budgets"][0]["cap_usd"] == 0.75
        for expected in (200, 404):
            response = await client.delete(f"{BUDGETS}/user:a%2Fb", params={"period": "month"})
            assert response.status_code == expected
        assert (await client.get(f"{BUDGETS}/user:a/b")).json()["budgets"][0]["cap_usd"] is None
        assert error_of(await client.get(f"{BUDGETS}/user:other"), 404)["code"] == "no_such_budget"


@pytest.mark.parametrize(
    ("scope", "body", "field"),
    [
        ("user:a", {}, "cap_usd"),
        ("user:a", {"cap_usd": -1}, "cap_usd"),
        ("user:a", {"cap_usd": "1"}, "cap_usd"),
        ("user:a", {"cap_usd": True}, "cap_usd"),
        ("user:a", {"cap_usd": 1e300}, "cap_usd"),
        ("user:a", {"cap_usd": 10**400}, "cap_usd"),
        ("user:a", {"cap_usd": 0.0000001}, "cap_usd"),
        ("user:a", {"cap_usd": 1, "period": "week"}, "period"),
        ("user:a", {"cap_usd": 1, "more": 1}, "more"),
        ("turn", {"cap_usd": 1, "period": "day"}, "period"),
        ("day", {"cap_usd": 1, "period": "month"}, "period"),
        ("day:monday", {"cap_usd": 1}, "scope"),
        ("week", {"cap_usd": 1}, "scope"),
        ("user:", {"cap_usd": 1}, "scope"),
        ("user:a%00b", {"cap_usd": 1}, "scope"),
        (f"user:{'x' * 201}", {"cap_usd": 1}, "scope"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_name(
    jobs: Jobs, scope: str, body: dict[str, Any], field: str
) -> None:
    async with calling(door(jobs)) as client:
        refused = error_of(await client.put(f"{BUDGETS}/{scope}", json=body), 422)
        assert refused["field"].startswith(field)
        assert (await client.get(BUDGETS)).json() == {"budgets": []}


@pytest.mark.parametrize(
    ("scope", "body", "field"),
    [
        ("user:a", {"by_usd": 1}, "scope"),  # has no cap
        ("user", {"by_usd": 1}, "scope"),
        ("chat:c", {"by_usd": 1}, "period"),  # has two
        ("day", {"by_usd": 0}, "by_usd"),
        ("day", {"by_usd": 1_000_000, "for_good": True}, "by_usd"),
    ],
)
async def test_what_cannot_be_raised_is_refused_by_its_name(
    jobs: Jobs, conn: Connection, scope: str, body: dict[str, Any], field: str
) -> None:
    await set_cap(conn, Scope("day"), Decimal(1), set_by="a test")
    for period in ("once", "month"):
        await set_cap(conn, Scope("chat", "c"), Decimal(1), period=period, set_by="a test")  # type: ignore[arg-type]  # periods
    async with calling(door(jobs)) as client:
        assert error_of(await client.post(f"{BUDGETS}/{scope}/raise", json=body), 422)["field"] == field


async def test_the_provider_is_shown_and_resumed(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    woken = list[Ready | None]()
    jobs.notifier.on_wake = woken.append
    async with calling(door(jobs)) as client:
        assert (await client.get(PROVIDER)).json()["state"] == "open"
        assert error_of(await client.post(f"{PROVIDER}/resume"), 409)["code"] == "not_paused"
        await jobs.create(NOTE, {})
        (job,) = await claim_all()
        await provider.report(conn, job, "refused", "401")
        await settle(conn, job, Snooze(timedelta(0)), NOTE)
        shown = (await client.get(PROVIDER)).json()
        assert (shown["state"], shown["reason"]) == ("stopped", "401")
        assert shown["tries_in_s"] > 100
        assert (await client.post(f"{PROVIDER}/resume")).json()["tries_in_s"] == 0.0
        assert woken[-1:] == [None]
        assert len(await claim_all()) == 1
