"""sql_create through the drivers that people have: it is in their transaction, and no driver's habits spoil an argument."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from jobs_core import Connection, Jobs, NewJob, fetch, sql_create
from jobs_core.declare import declare_types
from tests.support.job_types import LANE_NOTE, NOTE, Note

NOTHING_SPECIAL = "'; \" \\ :job $1 %(job)s %s {function} \U0001f600"
INSERT = "INSERT INTO orders (n) VALUES (7)"


class Undone(Exception):
    """Raised inside a transaction, to see it rolled back."""


async def through_asyncpg(dsn: str, job: NewJob, *, undo: bool) -> tuple[int, bool]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        async with connection.transaction():
            await connection.execute(INSERT)
            call = sql_create(job)
            job_id, met = await connection.fetchrow(call.sql, call.job)
            if undo:
                raise Undone
    finally:
        await connection.close()
    return job_id, met


async def through_sqlalchemy_async(dsn: str, job: NewJob, *, undo: bool) -> tuple[int, bool]:
    engine = create_async_engine(with_driver(dsn, "asyncpg"))
    try:
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(text(INSERT))
            call = sql_create(job, placeholder=":job")
            job_id, met = (await session.execute(text(call.sql), {"job": call.job})).one()
            if undo:
                raise Undone
    finally:
        await engine.dispose()
    return job_id, met


async def through_sqlalchemy_sync(dsn: str, job: NewJob, *, undo: bool) -> tuple[int, bool]:
    def create() -> tuple[int, bool]:
        engine = create_engine(with_driver(dsn, "psycopg"))
        try:
            with Session(engine) as session, session.begin():
                session.execute(text(INSERT))
                call = sql_create(job, placeholder=":job")
                job_id, met = session.execute(text(call.sql), {"job": call.job}).one()
                if undo:
                    raise Undone
        finally:
            engine.dispose()
        return job_id, met

    return await asyncio.to_thread(create)


def with_driver(dsn: str, driver: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(scheme=f"postgresql+{driver}"))


Door = Callable[..., Awaitable[tuple[int, bool]]]
DOORS: list[Door] = [through_asyncpg, through_sqlalchemy_async, through_sqlalchemy_sync]
each_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__.removeprefix("through_"))


@pytest.fixture(autouse=True)
async def declared(conn: Connection, jobs: Jobs) -> None:
    """SQL knows the tests' types, and the caller has a table of its own."""
    await declare_types(conn, jobs.table.job_types)
    await conn.execute("CREATE TABLE orders (n integer)")


@each_door
async def test_the_job_and_what_the_caller_wrote_are_one_fact(database_url: str, conn: Connection, door: Door) -> None:
    job = NewJob(LANE_NOTE, {"lane": "a"}, idempotency_key="order 7")
    with pytest.raises(Undone):
        await door(database_url, job, undo=True)
    assert await fetch(conn, "SELECT FROM orders UNION ALL SELECT FROM jobs.jobs") == []
    job_id, met = await door(database_url, job, undo=False)
    assert not met
    rows = await fetch(conn, "SELECT n, id, lane FROM orders, jobs.jobs")
    assert rows == [{"n": 7, "id": job_id, "lane": "a"}]
    assert await door(database_url, job, undo=False) == (job_id, True)


@each_door
async def test_arguments_come_through_as_they_are(database_url: str, conn: Connection, door: Door) -> None:
    given: dict[str, Any] = {
        "user_id": NOTHING_SPECIAL,
        "task_id": 2**63 - 1,
        "project_id": NOTHING_SPECIAL,
        "queue": NOTHING_SPECIAL,
        "priority": 0,
        "scheduled_for": datetime(2090, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "unique_key": NOTHING_SPECIAL,
        "unique_while": "unstarted",
    }
    await door(database_url, NewJob(NOTE, Note(text=NOTHING_SPECIAL), **given), undo=False)
    columns = ", ".join(given)
    (row,) = await fetch(conn, f"SELECT {columns}, input ->> 'text' AS text FROM jobs.jobs")
    assert row == {**given, "text": NOTHING_SPECIAL}


@each_door
async def test_a_span_is_counted_from_now(database_url: str, conn: Connection, door: Door) -> None:
    await door(database_url, NewJob(NOTE, {}, scheduled_for=timedelta(hours=1)), undo=False)
    (row,) = await fetch(conn, "SELECT extract(epoch FROM scheduled_for - now())::float8 AS s FROM jobs.jobs")
    assert row["s"] == pytest.approx(3600, abs=30)


@each_door
async def test_what_sql_refuses_names_its_argument_and_has_a_code(database_url: str, door: Door) -> None:
    await door(database_url, NewJob(NOTE, {}, idempotency_key="e"), undo=False)
    with pytest.raises((asyncpg.PostgresError, DBAPIError), match="idempotency_key: 'e' was given to job") as refused:
        await door(database_url, NewJob(NOTE, {"text": "another"}, idempotency_key="e"), undo=False)
    assert getattr(refused.value, "orig", refused.value).sqlstate == "42710"
