"""Rules of creates by SQL, in a caller's transaction and mostly as a role that may do nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from psycopg import errors

from jobs_core import Connection, execute, fetch_one, sql_create
from jobs_core.declare import declare_types
from jobs_core.roles import let_create
from tests.drills.walk.creates import a_key
from tests.drills.walk.known import Violation
from tests.drills.walk.new_jobs import New, idempotent, learned, new, with_a_new_key
from tests.drills.walk.runs import make_room
from tests.drills.walk.walk import NOTE, TYPES, Walk, rule

ALLOWED = [name for name in TYPES if name != "counted"]
"""What the role may create."""


@asynccontextmanager
async def role_of_a_walk(conn: Connection, name: str) -> AsyncIterator[str]:
    """A role that may create these types, gone at the end: roles are the whole server's."""
    await declare_types(conn, TYPES.values())
    await let_create(conn, name, ALLOWED)
    try:
        yield name
    finally:
        await execute(conn, f"DROP SCHEMA jobs_{name} CASCADE")
        await execute(conn, f"DROP ROLE {name}")


async def _create(conn: Connection, one: New, role: str | None) -> tuple[list[int], frozenset[int]]:
    """In the caller's transaction; as the role, where there is one. Returns what was created or met, and what was met."""
    if role:
        await execute(conn, f"SET LOCAL ROLE {role}")
    call = sql_create(one.job(), placeholder="%(job)s", role=role)
    row = await fetch_one(conn, call.sql, {"job": call.job})
    assert row is not None
    return [row["id"]], frozenset({row["id"]} if row["met"] else ())


def _one(walk: Walk) -> New:
    if walk.chance(0.2):
        return idempotent(walk)
    one = new(walk, lane=walk.chance(0.6), later=walk.chance(0.2), unique=walk.chance(0.3))
    return replace(one, sticky=None)  # what SQL creates waits for no worker


def _role(walk: Walk, one: New) -> str | None:
    return walk.role if one.job_type in ALLOWED and walk.chance(0.8) else None


@rule()
async def create_by_sql(walk: Walk) -> str:
    """Of any kind: what Python would have done."""
    await make_room(walk)
    one = _one(walk)
    async with walk.conn.transaction():
        ids, met = await _create(walk.conn, one, _role(walk, one))
    return learned(walk, [one], ids, met)


@rule()
async def create_by_sql_in_a_transaction_that_is_rolled_back(walk: Walk) -> str:
    """As if it had never been."""
    one = _one(walk)
    async with walk.conn.transaction(force_rollback=True):
        await _create(walk.conn, one, _role(walk, one))
    return str(one)


@rule()
async def create_by_sql_and_by_python_at_once(walk: Walk) -> str:
    """With the same key: one job."""
    await make_room(walk)
    one = with_a_new_key(walk)

    async def by_sql() -> tuple[list[int], frozenset[int]]:
        async with walk.jobs.database.transaction() as conn:
            return await _create(conn, one, walk.role)

    ours, theirs = await asyncio.gather(walk.jobs.create_many([one.job()]), by_sql())
    both = sorted(((list(ours.ids), ours.met), theirs), key=lambda got: len(got[1]))
    return "; and ".join(learned(walk, [one], ids, met) for ids, met in both)


@rule()
async def reuse_an_idempotency_key_by_sql(walk: Walk) -> str:
    """With another input: an error, and nothing written."""
    _, name, key = await a_key(walk)
    try:
        async with walk.conn.transaction():
            await _create(walk.conn, New(idempotency_key=name, text=f"not {key.text}"), walk.role)
    except errors.DuplicateObject:
        return name
    raise Violation(f"S10: {name} was given to job {key.job_id}, and taken for another input")


@rule()
async def a_role_oversteps(walk: Walk) -> str:
    """Another type, the function of all types, or a look at the jobs: refused."""
    attempts = (
        sql_create(New("counted").job(), placeholder="%(job)s", role=walk.role),
        sql_create(New(NOTE.name).job(), placeholder="%(job)s"),
    )
    call = walk.dice.choice(attempts)
    try:
        async with walk.conn.transaction():
            await execute(walk.conn, f"SET LOCAL ROLE {walk.role}")
            await fetch_one(walk.conn, call.sql, {"job": call.job})
    except errors.InsufficientPrivilege:
        return ""
    raise Violation(f"role {walk.role} did what it may not")
