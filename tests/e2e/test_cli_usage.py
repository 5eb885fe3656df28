"""`./jobs usage`, as a person types it."""

import asyncio
import json
from decimal import Decimal
from uuid import uuid4

from jobs_core import Database
from sessions import RunAccount, Usage, create_session, take_session
from sessions.usage import OpenCall, close_call, open_call
from tests.support.up import Home


async def use(database: Database, project: str, calls: int) -> str:
    """Let a session of a project use some; its id."""
    account = RunAccount(uuid4(), 1, project_id=project)
    async with database.transaction() as conn:
        await create_session(conn, session_id := uuid4())
        epoch = await take_session(conn, session_id)
        for n in range(calls):
            call = OpenCall(str(n), "claude-sonnet-5", 100, 1_000)
            await open_call(conn, account, session_id, epoch, call)
            await close_call(conn, account, call, Usage(1, input_tokens=10, cost_usd=Decimal("0.25")))
    return str(session_id)


async def test_usage_is_added_up_and_checked(home: Home, database: Database) -> None:
    await use(database, "acme", 3)
    session = await use(database, "other", 1)
    shown = await asyncio.to_thread(home.run, "usage", "--by", "project", "--since", "7d")
    assert shown.returncode == 0, shown.stderr
    head, *lines = [line.split() for line in shown.stdout.splitlines()]
    assert head[0] == "NAME"
    assert [(line[0], line[3], line[-1]) for line in lines] == [("acme", "3", "0.7500"), ("other", "1", "0.2500")]
    listed = await asyncio.to_thread(home.run, "usage", "--by", "project", "--json")
    assert [(row["name"], row["input_tokens"], row["cost_usd"]) for row in json.loads(listed.stdout)] == [
        ("acme", 30, 0.75),
        ("other", 10, 0.25),
    ]
    checked = await asyncio.to_thread(home.run, "usage", "check", session)
    assert (checked.returncode, "1 more calls than answers" in checked.stdout) == (0, True)
    all_of_them = await asyncio.to_thread(home.run, "usage", "check", "--json")
    assert {row["why"][0] for row in json.loads(all_of_them.stdout)} == {
        "1 more calls than answers: cut or refused, lost in a crash, or made beside the conversation",
        "3 more calls than answers: cut or refused, lost in a crash, or made beside the conversation",
    }


async def test_what_cannot_be_added_up_by_is_told_in_one_line(home: Home) -> None:
    refused = await asyncio.to_thread(home.run, "usage", "--by", "colour")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert (
        "--by: there is no 'colour'; there are project, user, agent, session, job, task, day, model" in refused.stderr
    )
