"""What tests of your own handlers need of the database: one of their own, what was created in it, and time that passes.

They import `workers.testing`, which has this and what runs jobs. For databases of tests only: rows are changed under whoever
uses them.
"""

import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import fields
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from jobs_core import db, gate
from jobs_core.create import Jobs
from jobs_core.job_types import InputT, JobType
from jobs_core.look import JobView, find, newest
from jobs_core.statements import statement

Where = Mapping[str, Any] | Callable[[InputT], object]
"""What an input is asked for: values of some of its fields, or a function of the input as its handler sees it."""

_COLUMNS = frozenset(field.name for field in fields(JobView)) - {"id", "job_type", "input"}
_MOST = 1_000
_SHOWN, _SHOWN_CHARS = 10, 500


@contextmanager
def new_database(server: str, *, like: str | None = None) -> Iterator[str]:
    """The DSN of a new database on the server of the DSN `server`, dropped at the end with whoever is connected.

    like: the DSN of one that it is a copy of, to which nobody is connected. A copy takes 20 to 120 ms, migrating as long again.
    Raises psycopg's error where the server cannot be reached, or its user may not create databases.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    template = conninfo_to_dict(like)["dbname"] if like else "template1"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(str(template)))
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(create)
    try:
        yield make_conninfo(server, dbname=name)
    finally:
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def empty(conn: db.Connection) -> None:
    """Delete every row of the queue's schema; ids go on. For tests that share a database, one after another."""
    await db.execute(conn, statement("jobs_core", "testing/empty"))


async def move_times(conn: db.Connection, span: timedelta) -> None:
    """Let so much time pass: what is due, ends or runs out within it has done so. Workers whose lease ran out are dead then.

    The connection is in a transaction. What follows from it is upkeep's: jobs are made ready, and rescued, by that. Raises
    ValueError for a span below zero.
    """
    if span < timedelta(0):
        raise ValueError(f"{span} is below zero: time does not go back")
    await db.execute(conn, statement("jobs_core", "testing/set_span"), {"secs": span.total_seconds()})
    await db.execute(conn, statement("jobs_core", "testing/pass_time"))
    await db.execute(conn, statement("jobs_core", "testing/bury"))


@asynccontextmanager
async def others_locked(conn: db.Connection, job_id: int) -> AsyncIterator[None]:
    """Meanwhile claims find this job or none: the others that wait are locked by this connection."""
    async with conn.transaction():
        await db.execute(conn, statement("jobs_core", "testing/lock_others"), {"id": job_id})
        yield


async def created(
    jobs: Jobs,
    job_type: JobType[InputT],
    *,
    where: Where[InputT] | None = None,
    conn: db.Connection | None = None,
    **columns: Any,
) -> JobView:
    """The one job of this type that was created, whether it has run since or not.

    where: what its input must hold. columns: what else must, by the names of JobView (`queue="mail"`, `state="pending"`). conn:
    look inside this transaction. Raises AssertionError where there is none, or more than one; it shows those there are.
    """
    _check(job_type, where, columns)
    all_of_type = await _of_type(jobs, job_type, conn)
    found = [view for view in all_of_type if _matches(view, job_type, where, columns)]
    if len(found) == 1:
        return found[0]
    wanted = f"{job_type.name!r} job{_described(where, columns)}"
    if found:
        raise AssertionError(f"{len(found)} times a {wanted} was created, not once:{_shown(found)}")
    if all_of_type:
        raise AssertionError(f"no {wanted} was created, but:{_shown(all_of_type)}")
    raise AssertionError(f"no {wanted} was created; {await _others(jobs, conn)}")


async def all_created(
    jobs: Jobs,
    job_type: JobType[InputT],
    *,
    where: Where[InputT] | None = None,
    conn: db.Connection | None = None,
    **columns: Any,
) -> list[JobView]:
    """All jobs of this type that were created, the first one first; as `created`. Empty where there is none.

    Those that completed and whose type keeps no history (`none`) are not among them; of more than 1,000, the newest are.
    """
    _check(job_type, where, columns)
    return [view for view in await _of_type(jobs, job_type, conn) if _matches(view, job_type, where, columns)]


def _check(job_type: JobType[Any], where: Where[Any] | None, columns: Mapping[str, Any]) -> None:
    """What nothing can match would pass wherever nothing is to be found."""
    if unknown := columns.keys() - _COLUMNS:
        raise TypeError(f"a job has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(_COLUMNS))}")
    if isinstance(where, Mapping) and (unknown := where.keys() - job_type.Input.model_fields.keys()):
        raise TypeError(f"{job_type.Input.__name__} has no field {', '.join(sorted(unknown))}")


async def _of_type(jobs: Jobs, job_type: JobType[Any], conn: db.Connection | None) -> list[JobView]:
    async with nullcontext(conn) if conn else jobs.database.connection() as own:
        ids = [summary.id for summary in await newest(own, job_type=job_type.name, limit=_MOST)]
        views = [await find(own, job_id) for job_id in reversed(ids)]
    return [view for view in views if view]


def _matches(view: JobView, job_type: JobType[InputT], where: Where[InputT] | None, columns: Mapping[str, Any]) -> bool:
    if any(getattr(view, name) != value for name, value in columns.items()):
        return False
    if where is None:
        return True
    given = gate.fit(job_type.Input, view.input, field="input")
    if isinstance(where, Mapping):
        return all(getattr(given, name) == value for name, value in where.items())
    return bool(where(given))  # type: ignore[arg-type]  # fit returns what it was given the model of


def _described(where: Where[Any] | None, columns: Mapping[str, Any]) -> str:
    asked = [f"{name}={value!r}" for name, value in columns.items()]
    if isinstance(where, Mapping):
        asked = [f"input.{name}={value!r}" for name, value in where.items()] + asked
    elif where is not None:
        asked.insert(0, f"an input for which {getattr(where, '__qualname__', repr(where))} holds")
    return f" with {', '.join(asked)}" if asked else ""


def _shown(views: list[JobView]) -> str:
    lines = [
        f"\n  {show(view)}: {json.dumps(view.input, ensure_ascii=False)[:_SHOWN_CHARS]}" for view in views[-_SHOWN:]
    ]
    left_out = len(views) - len(lines)
    return "".join(lines) + (f"\n  and {left_out} older ones" if left_out else "")


def show(view: JobView) -> str:
    """A job in a few words, for a message."""
    more = {"queue": view.queue, "user_id": view.user_id, "lane": view.lane, "unique_key": view.unique_key}
    told = ", ".join(f"{name} {value}" for name, value in more.items() if value is not None)
    return f"job {view.id} ({view.job_type}, {view.state}, {told})"


async def _others(jobs: Jobs, conn: db.Connection | None) -> str:
    async with nullcontext(conn) if conn else jobs.database.connection() as own:
        there = Counter(summary.job_type for summary in await newest(own, limit=_MOST))
    if not there:
        return "there is no job at all, or none that is committed"
    return "created were: " + ", ".join(f"{name} × {n}" for name, n in sorted(there.items()))
