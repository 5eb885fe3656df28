"""Wake-ups name a queue and a job type: a worker looks for what it may find, and for all where it does not understand."""

import asyncio
from typing import Any

import pytest

import workers.claims
from jobs_core import AnyJob, Complete, Database, execute
from jobs_core.wake import Listener, Ready
from tests.support.job_types import BRIEF_NOTE, NOTE, Note
from tests.support.worker import ended, until, working


async def complete(_: AnyJob) -> Complete:
    return Complete()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The types that each claim looked for, the first of them."""
    seen = list[str]()
    claim = workers.claims.claim

    async def watched(*arguments: Any, **how: Any) -> Any:
        seen.append(how["job_types"][0])
        return await claim(*arguments, **how)

    monkeypatch.setattr(workers.claims, "claim", watched)
    return seen


@pytest.mark.direct("polls seldom, as workers do that LISTEN")
async def test_a_hint_makes_a_worker_look_only_for_jobs_of_that_type(database: Database, looks: list[str]) -> None:
    """The polls are 30 s away."""
    async with working(database, {NOTE: complete, BRIEF_NOTE: complete}) as (jobs, _):
        await ended(database, (await jobs.create(NOTE, Note())).id)
        await ended(database, (await jobs.create(BRIEF_NOTE, Note())).id)
        await asyncio.sleep(0.5)  # for looks that follow a claim
        looks.clear()
        await ended(database, (await jobs.create(BRIEF_NOTE, Note())).id)
        assert set(looks) == {"brief_note"}


@pytest.mark.direct("needs LISTEN")
@pytest.mark.parametrize("hint", ["default", "5", '["default"]', "[]", "{}", ""])
async def test_a_hint_that_is_not_understood_stands_for_all(database: Database, hint: str) -> None:
    """A worker of another version, or anybody, may send on the channel."""
    heard = list[Ready | None]()
    listener = Listener(database, heard.append)
    listening = asyncio.create_task(listener.run())
    try:
        await until(lambda: _is(listener.listening))
        async with database.connection() as conn:
            await execute(conn, "SELECT pg_notify('jobs_wake', %(hint)s)", {"hint": hint})
            await execute(conn, """SELECT pg_notify('jobs_wake', '["mail", "note"]')""")
        await until(lambda: _is(len(heard) == 3))
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert heard == [None, None, Ready("mail", "note")]


async def _is(value: object) -> object:
    return value
