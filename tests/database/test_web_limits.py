"""Limits through the web door: set, looked at, removed, and what does not fit refused by its name."""

from typing import Any

import pytest

from jobs_core import Complete, Connection, Database, Jobs
from jobs_core.settle import settle
from tests.support.limits import BOUND, claim_all, create, slots_of, table
from tests.support.web import calling, door, error_of

LIMITS = "/api/limits"


async def test_a_limit_is_set_listed_and_removed(database: Database, conn: Connection, worker_id: int) -> None:
    async with Jobs(database, table()) as jobs, calling(door(jobs)) as client:
        ids = await create(jobs, slots_of("project:a/b"), n=3)
        put = await client.put(f"{LIMITS}/project:a/b", json={"slots": 2, "rate_per_s": 100, "burst": 50})
        assert put.status_code == 200, put.text
        await conn.execute("UPDATE jobs.limits SET permits = 50")
        claimed = await claim_all(conn, worker_id)
        (listed,) = (await client.get(LIMITS)).json()["limits"]
        one = (await client.get(f"{LIMITS}/project:a/b")).json()
        assert listed["held_by"] == one["held_by"] == ids[:2]
        assert (one["key"], one["slots"], one["in_use"], one["waiting"]) == ("project:a/b", 2, 2, 1)
        assert (one["rate_per_s"], one["burst"], one["by_hand"]) == (100.0, 50.0, True)
        assert (await client.get(LIMITS, params={"after": "project:a/b"})).json() == {"limits": []}
        in_use = error_of(await client.delete(f"{LIMITS}/project:a/b"), 409)
        assert (in_use["code"], in_use["field"]) == ("limit_in_use", "key")
        for job in claimed:
            await settle(conn, job, Complete(), BOUND)
        assert (await client.delete(f"{LIMITS}/project:a%2Fb")).json() == {"removed": "project:a/b"}
        for method in ("GET", "DELETE"):
            gone = error_of(await client.request(method, f"{LIMITS}/project:a/b"), 404)
            assert (gone["code"], gone["field"]) == ("no_such_limit", "key")


@pytest.mark.parametrize(
    ("key", "body", "field"),
    [
        ("a", {}, "limit"),
        ("a", {"slots": -1}, "limit.slots"),
        ("a", {"slots": 1.5}, "slots"),
        ("a", {"slots": "1"}, "slots"),
        ("a", {"slots": 1, "weight": 2}, "weight"),
        ("a", {"rate_per_s": 0}, "limit.rate_per_s"),
        ("a", {"rate_per_s": True}, "rate_per_s"),
        ("a", {"rate_per_s": 1e-310}, "limit.rate_per_s"),
        ("a", {"rate_per_s": 10**400}, "limit.rate_per_s"),
        ("a", {"rate_per_s": 1, "burst": 0}, "limit.burst"),
        ("a%00b", {"slots": 1}, "key"),
        ("x" * 201, {"slots": 1}, "key"),
        ("", {"slots": 1}, "limit.key"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_name(jobs: Jobs, key: str, body: dict[str, Any], field: str) -> None:
    async with calling(door(jobs)) as client:
        refused = error_of(await client.put(f"{LIMITS}/{key}", json=body), 422)
        assert refused["field"].startswith(field)
        assert (await client.get(LIMITS)).json() == {"limits": []}
