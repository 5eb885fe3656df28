"""Every tool call of a real CLI is decided by the gate, once, whatever the CLI does; and each decision is on record."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobs_core import fetch
from sessions import Allow, Ask, Deny, ToolCall, Verdict, decisions
from sessions.gate import IN_SUBAGENT, ONE_AT_A_TIME
from sessions.resume import classify
from simulator.client import SimulatorControl
from tests.support.sessions import Chat, agents, said

GATED: dict[str, Any] = {"tools": ["Bash"]}


def bash(command: str) -> str:
    return f'[[tool Bash {{"command": "{command}"}}]] '


class Decides:
    """Decides by the command, and remembers what it was asked."""

    def __init__(self, **verdicts: Verdict) -> None:
        self._verdicts = verdicts
        self.asked: list[ToolCall] = []

    async def __call__(self, call: ToolCall) -> Verdict:
        self.asked.append(call)
        return self._verdicts.get(str(call.input.get("command", "")).partition(" ")[0], Allow(by="else"))


async def results(sim: SimulatorControl) -> dict[str, str]:
    """What the model was last told of each call, by its id."""
    body = (await sim.requests())[-1].body
    assert body
    blocks = [block for message in body["messages"] for block in message["content"] if isinstance(block, dict)]
    return {block["tool_use_id"]: str(block["content"]) for block in blocks if block["type"] == "tool_result"}


async def test_a_call_runs_as_it_was_decided_and_is_on_record(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """Allowed, allowed with other arguments, denied, failed; in the order in which they were called."""
    edited, failing = f"echo edited >> {tmp_path}/runs", "false"
    decide = Decides(echo=Allow({"command": edited}, by="ann"), rm=Deny("Not that.", by="rule 1"))
    calls = f"{bash('echo hi')} [[then]] {bash(f'rm -r {tmp_path}')} [[then]] {bash(failing)} [[then]] [[text Done.]]"
    async with agents(chat.database, sim, tmp_path) as sessions:
        end = await chat.ask(sessions, calls, decide=decide, **GATED)
    assert (end.answer, (tmp_path / "runs").read_text()) == ("Done.", "edited\n")
    assert "Not that." in (await results(sim))[decide.asked[1].id]
    async with chat.database.connection() as conn:
        found = reversed(await decisions(conn, chat.id))
        assert [(one.verdict, one.decided_by) for one in found] == [
            ("allow", "ann"),
            ("deny", "rule 1"),
            ("allow", "else"),
        ]
        journal = await fetch(
            conn, "SELECT call_id, ended_at IS NULL AS open, failed FROM jobs.tool_calls ORDER BY called_at"
        )
    allowed = [decide.asked[0].id, decide.asked[2].id]
    assert [(row["call_id"], row["open"], row["failed"]) for row in journal] == [
        (allowed[0], False, False),
        (allowed[1], False, True),
    ]
    assert len(decide.asked) == 3


async def test_of_two_calls_in_a_message_that_need_approval_one_waits_and_the_other_is_told_to_ask_again(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """Were both put off, the CLI would drop the first without a word. A third one, allowed, runs to its end meanwhile."""
    runs = tmp_path / "runs"
    calls = (
        f"{bash(f'first >> {runs}')}{bash(f'second >> {runs}')}{bash(f'echo third >> {runs}')}[[then]] [[text Done.]]"
    )
    decide = Decides(first=Ask("rule"), second=Ask("rule"))
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path) as sessions:
        end = await chat.run(sessions, turn_id, calls, decide=decide, **GATED)
        assert end.deferred
        waits = end.deferred
        assert waits.input == {"command": f"first >> {runs}"}
        approve = Decides(first=Allow({"command": f"echo approved >> {runs}"}, by="ann"))
        end = await chat.run(sessions, turn_id, calls, decide=approve, **GATED)
    assert end.answer == "Done."
    assert [call.id for call in approve.asked] == [waits.id]
    assert approve.asked[0].input == waits.input
    assert sorted(runs.read_text().split()) == ["approved", "third"]
    told = await results(sim)
    assert ONE_AT_A_TIME in told[decide.asked[1].id]
    assert waits.id in told


async def test_each_command_begins_in_the_agents_folder_and_ends_before_its_cli_counts_as_silent(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """A call that waited is run by a CLI that knows of no `cd` before it; and one killed for its silence would be unknown."""
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    calls = f"{bash('cd deep')} [[then]] {bash('pwd > where')} [[then]] [[text Done.]]"
    async with agents(chat.database, sim, tmp_path, silence_s=60.0) as sessions:
        await chat.ask(sessions, calls, decide=Decides(), workspace=folder, **GATED)
    assert (folder / "where").read_text() == f"{folder}\n"
    told = str((await sim.requests())[-1].body)
    assert "a `cd` does not carry over" in told
    assert "up to 48000ms" in told


async def test_a_call_in_a_subagent_is_asked_about_and_never_put_off(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """A subagent whose call was put off would just end, as if it were done."""
    runs = tmp_path / "runs"
    inner = f"{bash(f'first >> {runs}')}[[then]] [[text I could not.]]"
    given = {"description": "d", "subagent_type": "general-purpose", "run_in_background": False, "prompt": inner}
    script = f"[[tool Agent {json.dumps(given)}]]"
    decide = Decides(first=Ask("rule"))
    async with agents(chat.database, sim, tmp_path) as sessions:
        end = await chat.ask(sessions, f"{script} [[then]] [[text Done.]]", decide=decide, tools=["Agent", "Bash"])
    assert end.answer == "Done."
    assert [(call.name, call.subagent) for call in decide.asked] == [("Agent", False), ("Bash", True)]
    assert any(IN_SUBAGENT[:40] in str(request.body) for request in await sim.requests())
    assert not runs.exists()
    async with chat.database.connection() as conn:
        assert [(one.tool, one.verdict, one.subagent) for one in await decisions(conn, chat.id)] == [
            ("Bash", "deny", True),
            ("Agent", "allow", False),
        ]


async def test_a_model_that_goes_on_is_told_of_a_call_that_its_transcript_does_not_show(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """The CLI starts a tool before its message is complete, and stores the message only then. A mutant: without the journal."""
    runs = tmp_path / "runs"
    prompt = bash(f"echo run >> {runs}") + "[[hold h]] [[then]] [[text Done.]]"
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path / "cut") as sessions:
        run = asyncio.create_task(chat.run(sessions, turn_id, prompt, decide=Decides(), **GATED))
        await journal_says(chat, ended=True)
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
    assert "tool_use" not in str(await chat.transcript())
    await sim.reset()
    await sim.script("[[text I looked.]]", times=1)
    async with agents(chat.database, sim, tmp_path / "on") as sessions:
        end = await chat.run(sessions, turn_id, prompt, decide=Decides(), **GATED)
    assert end.answer == "I looked."
    (told,) = [text for text in said((await sim.requests())[-1].body, "user") if "you had called tools" in text]
    assert f"echo run >> {runs}" in told
    assert "it ran to its end; what it returned is lost" in told
    assert runs.read_text() == "run\n"


async def test_a_model_that_goes_on_from_a_decided_call_is_told_of_the_one_beside_it_that_was_cut_off(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """Of a message whose call waits the CLI shows the model no call without a result, as if it had never been made."""
    runs = tmp_path / "runs"
    prompt = f"{bash('first')}{bash(f'echo run >> {runs}; sleep 55')}[[then]] [[text Done.]]"
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path / "cut") as sessions:
        run = asyncio.create_task(chat.run(sessions, turn_id, prompt, decide=Decides(first=Ask("rule")), **GATED))
        async with asyncio.timeout(60):
            while not runs.exists() or classify(await chat.transcript(), str(turn_id)).state != "deferred":
                await asyncio.sleep(0.05)
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
    async with agents(chat.database, sim, tmp_path / "on") as sessions:
        approve = Decides(first=Allow({"command": f"echo approved >> {runs}"}, by="ann"))
        end = await chat.run(sessions, turn_id, prompt, decide=approve, **GATED)
        assert (end.answer, [call.input["command"] for call in approve.asked]) == ("Done.", ["first"])
        (told,) = [text for text in said((await sim.requests())[-1].body, "user") if "you had called tools" in text]
        assert "sleep 55" in told
        assert "its outcome is unknown" in told
        assert (await chat.run(sessions, turn_id, prompt, decide=approve, **GATED)).source == "recorded"
    assert runs.read_text() == "run\napproved\n"


async def journal_says(chat: Chat, *, ended: bool) -> None:
    """Wait until the journal has a call whose tool has ended, or has not."""
    async with asyncio.timeout(30), chat.database.connection() as conn:
        while not await fetch(conn, "SELECT FROM jobs.tool_calls WHERE (ended_at IS NOT NULL) = %(e)s", {"e": ended}):
            await asyncio.sleep(0.02)


async def test_a_call_that_an_earlier_turn_left_undecided_is_never_run(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """Its job was cancelled, say. The next turn is answered, and so is the one after."""
    left = Decides(first=Ask("rule"))
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path) as sessions:
        assert (await chat.run(sessions, turn_id, bash("first"), decide=left, **GATED)).deferred
        decide = Decides()
        for words in ("one", "two"):
            end = await chat.ask(sessions, f"[[text {words}]]", decide=decide, **GATED)
            assert (end.answer, end.source) == (words, "asked")
    assert decide.asked == []


async def test_a_call_whose_tool_is_gone_is_dropped_and_the_turn_goes_on(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    turn_id = await chat.new_turn()
    prompt = bash("first") + "[[then]] [[text Done.]]"
    async with agents(chat.database, sim, tmp_path) as sessions:
        assert (await chat.run(sessions, turn_id, prompt, decide=Decides(first=Ask("rule")), **GATED)).deferred
        decide = Decides()
        end = await chat.run(sessions, turn_id, prompt, decide=decide, tools=["Read"])
        assert (end.answer, decide.asked) == ("Done.", [])
        again = await chat.run(sessions, turn_id, prompt, decide=decide, tools=["Read"])
        assert (again.answer, again.source) == ("Done.", "recorded")
    assert "its tool is not there any more" in str((await sim.requests())[-1].body)
