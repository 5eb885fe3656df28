"""A run whose session was taken, or whose transcript cannot be stored, writes nothing more and stops its agent."""

import asyncio
import json
from pathlib import Path

import pytest

from jobs_core import Database, LeaseLost, execute
from sessions import MirrorFailed, take_session
from simulator.client import SimulatorControl
from tests.support.sessions import BASH, Chat, agents, go_on, living, times_asked


async def test_of_two_runs_at_once_the_one_that_was_taken_over_writes_nothing_and_stops(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """Both stand before the model's answer when the first one's comes."""
    await sim.script("[[hold first]] [[text Stale.]] [[then]] [[hold second]] [[text Current.]]", times=1)
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path / "a") as one, agents(chat.database, sim, tmp_path / "b") as two:
        stale = asyncio.create_task(chat.run(one, turn_id, "Hello."))
        await sim.wait_for_request(holding="first")
        await chat.stored("user")
        current = asyncio.create_task(chat.run(two, turn_id, "Hello."))
        await sim.wait_for_request(holding="second")
        await sim.release("first")
        with pytest.raises(LeaseLost, match="another run has taken it"):
            await stale
        await sim.release("second")
        end = await current
    assert (end.answer, end.source) == ("Current.", "resumed")
    assert "Stale." not in str(await chat.transcript())
    assert await times_asked(sim, "Hello.") == 1


async def test_a_run_that_was_taken_over_stops_at_its_next_line(
    chat: Chat, database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    """It calls the model no more: the tool ends well before the SDK has given the refused line up, which takes it 1 s."""
    prompt = '[[hold h]] [[tool Bash {"command": "sleep 0.7"}]] [[then]] [[text Done.]]'
    turn_id = await chat.new_turn()
    async with agents(database, sim, tmp_path) as sessions:
        stale = asyncio.create_task(chat.run(sessions, turn_id, prompt, **BASH))
        await sim.wait_for_request(holding="h")
        await chat.stored("user")
        async with database.transaction() as conn:
            await take_session(conn, chat.id)
        await sim.release("h")
        with pytest.raises(LeaseLost, match="another run has taken it"):
            await stale
        assert living() == []
    assert len(await sim.requests()) == 1
    assert not any("tool_use" in json.dumps(entry) for entry in await chat.transcript())
    end = await go_on(sim, tmp_path, chat, turn_id, prompt)
    assert (end.answer, end.source) == ("Done.", "resumed")


async def test_a_transcript_that_cannot_be_stored_stops_the_run(
    chat: Chat, database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path) as sessions:
        run = asyncio.create_task(chat.run(sessions, turn_id, "[[text Ans]] [[hold h]] [[text wered.]]"))
        await sim.wait_for_request(holding="h")
        await chat.stored("user")
        async with database.connection() as conn:
            await execute(conn, "ALTER TABLE jobs.transcript_entries RENAME TO away")
        await sim.release("h")
        with pytest.raises(MirrorFailed):
            await run
        assert living() == []
