"""Calls of which nobody knows whether they ran, closed by an owner's word; and the list that they stand in."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from assistant import actions, approvals
from assistant.action import Action
from assistant.closing import close
from assistant.errors import MayNotDecide, NoSuchAction, NotDecided
from jobs_core import Connection, Database, db
from sessions import decisions
from tests.database.test_chat_plans import nodes
from tests.support.approvals import ANN, BOB, EDITED, Bench, bench_on
from tests.support.database import fresh_database
from tests.support.plans import Arguments, Plans, explain_all
from tests.support.web import calling, door, error_of


@pytest.fixture
async def bench(database: Database, conn: Connection) -> AsyncIterator[Bench]:
    async with bench_on(database, conn) as made:
        yield made


async def unknown(bench: Bench) -> Action:
    """A call that was approved with other arguments, and whose run was lost."""
    action = await bench.asked()
    await approvals.approve(bench.conn, action.id, ANN, digest=action.digest, edited=EDITED, reason="but only old ones")
    bench.agent.dies = "ran"
    await bench.run()
    assert await bench.run() == "complete"
    (action,) = await actions.list_actions(bench.conn)
    assert action.state == "unknown"
    return action


@pytest.mark.parametrize("ran", [True, False])
async def test_an_owner_says_whether_it_ran_and_that_is_on_record(bench: Bench, ran: bool) -> None:  # noqa: FBT001 - the case
    action = await unknown(bench)
    closed = await close(bench.conn, action.id, ANN, ran=ran, digest=action.digest, reason="I looked")
    assert closed == await bench.action()
    assert (closed.state, closed.decided_by) == ("executed" if ran else "cancelled", "ann")
    said = "ann said that it ran" if ran else "ann said that it did not run"
    assert closed.reason == f"but only old ones; {said}: I looked"
    assert closed.ended_at
    assert await actions.list_actions(bench.conn) == []
    newest = (await decisions(bench.conn))[0]
    assert (newest.call_id, newest.verdict) == (action.call_id, "allow" if ran else "deny")
    assert newest.allowed_digest == (action.edited_digest if ran else None)
    assert newest.decided_by == f"{said}, in action {action.id}"


async def test_nobody_else_closes_it_and_nothing_else_is_closed(bench: Bench) -> None:
    action = await bench.asked()
    with pytest.raises(NotDecided, match="is pending"):
        await close(bench.conn, action.id, ANN, ran=True, digest=action.digest)
    await approvals.reject(bench.conn, action.id, ANN, digest=action.digest)
    assert await bench.run() == "complete"
    action = await bench.action()
    with pytest.raises(NotDecided, match="is rejected"):
        await close(bench.conn, action.id, ANN, ran=True, digest=action.digest)
    with pytest.raises(NoSuchAction):
        await close(bench.conn, 999, ANN, ran=True, digest=action.digest)
    await bench.conn.execute("UPDATE jobs.pending_actions SET state = 'unknown'")
    before = await bench.action()
    with pytest.raises(MayNotDecide, match="role:owner"):
        await close(bench.conn, action.id, BOB, ran=True, digest=action.digest)
    with pytest.raises(NotDecided, match="with the digest"):
        await close(bench.conn, action.id, ANN, ran=True, digest="0" * 64)
    assert await bench.action() == before
    assert await decisions(bench.conn) == []


async def test_of_two_who_close_at_once_one_is_told_what_the_other_said(
    bench: Bench, conn: Connection, other: Connection
) -> None:
    action = await unknown(bench)
    both = await asyncio.gather(
        close(conn, action.id, ANN, ran=True, digest=action.digest),
        close(other, action.id, ANN, ran=False, digest=action.digest),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in both) == ["Action", "NotDecided"]
    assert len(await decisions(conn)) == 1


async def test_a_call_is_closed_by_the_web_door(bench: Bench) -> None:
    action = await unknown(bench)
    path, body = f"/api/approvals/{action.id}/decision", {"decision": "not-run", "digest": action.digest}
    async with calling(door(bench.jobs)) as client:
        assert error_of(await client.post(path, json=body | {"always": True}), 422)["field"] == "decision"
        closed = (await client.post(path, json=body | {"reason": "no", "decided_by": "eva"})).json()
        assert (closed["state"], closed["reason"]) == (
            "cancelled",
            "but only old ones; eva said that it did not run: no",
        )
        assert error_of(await client.post(path, json=body), 409)["code"] == "not_decided"


ENDED = 30_000
FILL = (
    "SET plan_cache_mode = force_generic_plan",  # which may be chosen for a prepared one, and knows no states
    "ALTER TABLE jobs.pending_actions SET (autovacuum_enabled = off)",
    "ANALYZE jobs.pending_actions",
    f"""
    INSERT INTO jobs.pending_actions (id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool,
                                      arguments, digest, state, asked_by, may_decide, has_read, expires_at)
    SELECT n, 'web_1', gen_random_uuid(), gen_random_uuid(), n, 'u', 'a', n::text, 'Bash', '{{}}', 'd',
           CASE WHEN n % 10000 = 1 THEN 'unknown' ELSE 'executed' END, 'a rule', ARRAY['role:owner'], '{{}}', now()
    FROM generate_series(1, {ENDED}) AS n
    """,
)
STATEMENTS: dict[str, Arguments] = {
    "action/list_open": {
        "states": "{pending,approved,executing,unknown}",
        "decided_by": None,
        "before_id": None,
        "limit": "50",
    }
}


@pytest.fixture(scope="module")
def plans(server_dsn: str) -> Iterator[Plans]:
    async def explained(dsn: str) -> Plans:
        async with await db.connect(dsn, name="tests") as conn:
            return await explain_all(conn, STATEMENTS, fill=FILL, tables="jobs.pending_actions", room="assistant")

    with fresh_database(server_dsn) as dsn:
        yield asyncio.run(explained(dsn))


@pytest.mark.parametrize("run", ["new", "prepared"])
@pytest.mark.parametrize("statistics", ["stale", "fresh"])
def test_a_list_of_what_is_open_reads_nothing_that_has_ended(plans: Plans, statistics: str, run: str) -> None:
    found: list[dict[str, Any]] = list(nodes(plans[statistics, run, "action/list_open"]))
    assert {node.get("Index Name") for node in found} - {None} == {"pending_actions_to_see"}
    assert "Seq Scan" not in {node["Node Type"] for node in found}
