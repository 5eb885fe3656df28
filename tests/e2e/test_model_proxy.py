"""The model proxy under the real CLI: who counts agrees, a run stops at its cap and goes on, and nothing runs unrecorded."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobs_core import Database, execute
from sessions import BudgetExhausted, RunAccount
from sessions.usage import usage_of_turn
from sessions.usage_check import check_session
from simulator.client import SimulatorControl
from tests.support.sessions import BASH, Chat, agents, times_asked

WITH_SUBAGENT = (
    '[[tool Agent {"description": "d", "subagent_type": "general-purpose", "run_in_background": false, '
    '"prompt": "[[tool Bash {\\"command\\": \\"echo\\"}]] [[then]] [[text Looked.]]"}]] [[then]] [[text Done.]]'
)
PROMPT = '[[hold h]] [[tool Bash {"command": "echo"}]] [[then]] [[text Done.]]'


async def test_the_ledger_counts_what_the_cli_and_the_transcript_count_with_subagents_and_over_turns(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    tools = ["Agent", "Bash"]
    with capture_logs() as logs:
        async with agents(chat.database, sim, tmp_path) as sessions:
            first = await chat.ask(sessions, WITH_SUBAGENT, tools=tools, allowed_tools=tools)
            second = await chat.ask(sessions, "[[text Again.]]", tools=tools, allowed_tools=tools)
    assert (first.used.calls, first.used.tool_calls, second.used.calls) == (4, 2, 1)
    async with chat.database.connection() as conn:
        found = await check_session(conn, chat.id)
    assert found.why == []
    assert found.ledger.cost_usd == first.cost_usd + second.cost_usd > 0
    assert "usage.differed" not in [entry["event"] for entry in logs]


async def test_a_run_stops_at_its_cap_and_the_turn_goes_on_when_there_is_more(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    turn_id = await chat.new_turn()
    await sim.release("h")
    async with agents(chat.database, sim, tmp_path) as sessions:
        with pytest.raises(BudgetExhausted) as stopped:
            capped = RunAccount(turn_id, 1, cap_usd=Decimal("0.001"))
            await chat.run(sessions, turn_id, PROMPT, account=capped, **BASH)
        assert len(await sim.requests()) == 1
        end = await chat.run(sessions, turn_id, PROMPT, account=RunAccount(turn_id, 2), **BASH)
    assert (end.answer, end.source) == ("Done.", "resumed")
    assert len(await sim.requests()) == 2, "what was paid for is not asked for again"
    assert await times_asked(sim, PROMPT) == 1
    async with chat.database.connection() as conn:
        assert (await usage_of_turn(conn, turn_id)).cost_usd == stopped.value.spent_usd + end.cost_usd


async def test_a_ledger_that_goes_down_stops_the_run_before_its_next_call(
    chat: Chat, database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    turn_id = await chat.new_turn()
    async with agents(database, sim, tmp_path) as sessions, database.connection() as conn:
        run = asyncio.create_task(chat.run(sessions, turn_id, PROMPT, **BASH))
        await sim.wait_for_request(holding="h")
        await execute(conn, "ALTER TABLE jobs.usage RENAME TO away")
        await sim.release("h")
        with pytest.raises(Exception, match="usage"):
            await run
        assert len(await sim.requests()) == 1
        await execute(conn, "ALTER TABLE jobs.away RENAME TO usage")
        assert (await chat.run(sessions, turn_id, PROMPT, **BASH)).answer == "Done."
    assert len(await sim.requests()) == 2
