"""Turns of a session through the real CLI: conversations that any process goes on with, and what an agent cannot see."""

import asyncio
import os
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from jobs_core import Database, execute
from sessions import TranscriptLost, TurnEvent, TurnFailed
from simulator.client import SimulatorControl
from tests.support.sessions import KEY, SYSTEM_PROMPT, Chat, agents, said


async def test_another_process_goes_on_with_the_conversation(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    """Two `agents` share nothing but Postgres, as on two hosts: the second one's files lie elsewhere."""
    async with agents(chat.database, sim, tmp_path / "a") as first:
        one = await chat.ask(first, "One. [[text First answer.]]")
    async with agents(chat.database, sim, tmp_path / "b") as second:
        two = await chat.ask(second, "Two. [[text Second answer.]]")
    assert (one.answer, one.source, two.answer, two.source) == ("First answer.", "asked", "Second answer.", "asked")
    assert one.usage is not None
    assert one.usage["output_tokens"] > 0
    last = (await sim.requests())[-1].body
    assert said(last, "user") == ["One. [[text First answer.]]", "Two. [[text Second answer.]]"]
    assert said(last, "assistant") == ["First answer."]
    assert last is not None
    assert [block["text"] for block in last["system"]][-1] == SYSTEM_PROMPT
    assert last["tools"] == []


async def test_a_finished_turn_costs_no_request_and_gives_the_same_answer(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    prompt = "[[think Hm.]] [[text Half an ]] [[text answer,]] [[think And?]] [[text and the rest.]]"
    async with agents(chat.database, sim, tmp_path) as sessions:
        turn_id = await chat.new_turn()
        asked = await chat.run(sessions, turn_id, prompt)
        recorded = await chat.run(sessions, turn_id, prompt)
    assert len(await sim.requests()) == 1
    assert (recorded.source, recorded.usage) == ("recorded", None)
    assert recorded.answer == asked.answer


async def test_an_answer_that_was_cut_at_the_token_limit_and_gone_on_with_is_given_whole(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """The CLI has the model go on in a message of its own each time; what it said before a tool call is no answer."""
    prompt = (
        '[[text Let me see.]] [[tool Read {"file_path": "/nowhere"}]] [[then]] [[text FIRST, ]] [[stop max_tokens]] [[then]]'
        " [[text SECOND, ]] [[stop max_tokens]] [[then]] [[text THIRD.]]"
    )
    async with agents(chat.database, sim, tmp_path) as sessions:
        turn_id = await chat.new_turn()
        asked = await chat.run(sessions, turn_id, prompt, tools=["Read"])
        recorded = await chat.run(sessions, turn_id, prompt, tools=["Read"])
    assert (asked.answer, asked.source) == ("FIRST, SECOND, THIRD.", "asked")
    assert (recorded.answer, recorded.source) == ("FIRST, SECOND, THIRD.", "recorded")


@pytest.mark.parametrize(
    "prompt",
    ["-p --help", "@/etc/passwd", "/clear", "/compact and go on", "!id", "NUL \x00 and 😀", "  \n spaces  "],
)
async def test_whatever_a_message_says_reaches_the_model_as_it_is(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, prompt: str
) -> None:
    await sim.script("[[text Read it.]]")
    async with agents(chat.database, sim, tmp_path) as sessions:
        end = await chat.ask(sessions, prompt, system_prompt="--version")
    (request,) = await sim.requests()
    assert said(request.body, "user") == [prompt]
    assert request.body is not None
    assert request.body["system"][-1]["text"] == "--version"
    assert end.answer == "Read it."


async def test_content_blocks_reach_the_model(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    blocks = [{"type": "text", "text": "Two things."}, {"type": "text", "text": "@/etc/passwd [[text Seen.]]"}]
    async with agents(chat.database, sim, tmp_path) as sessions:
        assert (await chat.ask(sessions, blocks)).answer == "Seen."
    assert said((await sim.requests())[0].body, "user") == ["Two things.", "@/etc/passwd [[text Seen.]]"]


async def test_no_secret_of_the_worker_reaches_a_tool(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key works (the simulator takes no other), and is in no environment, command line, transcript or log all the same."""
    canaries = {
        "DATABASE_URL": "postgresql://canary-1",
        "JOBS_TOKEN": "canary-2",
        "TELEGRAM_TOKEN": "canary-3",
        "MULTILINE": "x\nPATH=canary-4\ncanary-5==",
        "dotted.name": "canary-6",
        "ANTHROPIC_AUTH_TOKEN": "canary-7",
        "CLAUDE_CODE_SSE_PORT": "canary-8",
        "ANTHROPIC_API_KEY": "canary-9",
        "CLAUDE_CODE_OAUTH_TOKEN": "canary-10",
        "HTTPS_PROXY": "http://canary-11",
    }
    for name, value in canaries.items():
        monkeypatch.setenv(name, value)
    look = "env; tr '\\\\0' '\\\\n' < /proc/$PPID/environ; tr '\\\\0' '\\\\n' < /proc/$PPID/cmdline; echo end-of-look"
    prompt = f'[[tool Bash {{"command": "{look}"}}]] [[then]] [[text Looked.]]'
    with capture_logs() as logs:
        async with agents(chat.database, sim, tmp_path) as sessions:
            await chat.ask(sessions, prompt, tools=["Bash"], allowed_tools=["Bash"])
    body = (await sim.requests())[-1].body
    assert body is not None
    results = [block for message in body["messages"] for block in message["content"] if "tool_use_id" in block]
    seen = str(results)
    assert "end-of-look" in seen
    assert "HOME=" in seen
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1:" in seen
    assert "PROXY=" not in seen.upper()
    assert KEY not in seen + str(await chat.transcript()) + str(logs)
    assert SYSTEM_PROMPT not in seen
    assert "canary" not in seen
    assert os.environ["DATABASE_URL"] not in seen


async def test_a_tool_that_was_not_opened_does_not_exist(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    prompt = f'[[tool Bash {{"command": "touch {mark}"}}]] [[then]] [[text Tried.]]'
    async with agents(chat.database, sim, tmp_path) as sessions:
        assert (await chat.ask(sessions, prompt)).answer == "Tried."
    assert not mark.exists()


async def test_events_are_told_as_they_come(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    pieces: list[str] = []
    first = asyncio.Event()

    def show(event: TurnEvent) -> None:
        if event.kind == "text":
            pieces.append(event.about["text"])
            first.set()

    async with agents(chat.database, sim, tmp_path) as sessions:
        run = asyncio.create_task(chat.ask(sessions, "[[text Now ]] [[hold h]] [[text then.]]", on_event=show))
        await first.wait()
        assert not run.done()
        await sim.release("h")
        assert (await run).answer == "".join(pieces) == "Now then."


async def test_a_session_that_lost_its_transcript_is_never_answered_as_if_it_were_new(
    chat: Chat, database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    async with agents(chat.database, sim, tmp_path) as sessions:
        await chat.ask(sessions, "One.")
        asked = len(await sim.requests())
        async with database.connection() as conn:
            await execute(conn, "DELETE FROM jobs.transcript_entries")
        with pytest.raises(TranscriptLost, match="restore it"):
            await chat.ask(sessions, "Two.")
    assert len(await sim.requests()) == asked


async def test_an_empty_answer_is_a_failure(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    await sim.script("[[stop end_turn]]", times=3)
    async with agents(chat.database, sim, tmp_path) as sessions:
        with pytest.raises(TurnFailed, match="empty"):
            await chat.ask(sessions, "Say nothing.")


async def test_nothing_of_a_turn_stays_on_disk(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    async with agents(chat.database, sim, tmp_path) as sessions:
        await chat.ask(sessions, f"Remember {uuid4()}.")
        (own,) = (tmp_path / "s").glob("process-*")
        assert [path.name for path in own.iterdir()] == ["lock"]
    assert list((tmp_path / "s").glob("process-*")) == []
