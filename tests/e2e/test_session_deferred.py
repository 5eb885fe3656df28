"""A tool call that waits for a decision outlives the process that met it, and runs once, if somebody allows it."""

import asyncio
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from sessions import DeferredCall, cli_host
from sessions.resume import classify
from simulator.client import SimulatorControl
from tests.support.gate import REASON, Decision, gate
from tests.support.sessions import BASH, Chat, agents, go_on, said, turn_worker

RESULT = "tool-was-here"
ECHO = f"""[[tool Bash {{"command": "echo run >> %s; echo {RESULT}"}}]] """


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_a_deferred_call_survives_its_worker_and_is_decided_by_the_run_that_goes_on(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, decision: Decision
) -> None:
    """Put off once more it stays the same call, and costs no request."""
    runs = tmp_path / "runs"
    prompt = ECHO % runs + "[[then]] [[text Done.]]"
    turn_id = await chat.new_turn()
    async with turn_worker(sim, tmp_path / "cut", chat, turn_id, prompt, defers=True):
        async with asyncio.timeout(30):
            while classify(await chat.transcript(), str(turn_id)).state != "deferred":
                await asyncio.sleep(0.02)
    put_off = await defer(sim, tmp_path, chat, turn_id, prompt)
    assert (len(await sim.requests()), runs.exists()) == (1, False)
    asked: list[str] = []

    def decide(tool_use_id: str) -> Decision:
        asked.append(tool_use_id)
        return decision

    with gate(decide):
        end = await go_on(sim, tmp_path, chat, turn_id, prompt)
    assert (end.answer, end.source, end.deferred) == ("Done.", "resumed", None)
    assert asked == [put_off.id]
    assert (runs.read_text() if runs.exists() else "") == ("run\n" if decision == "allow" else "")
    assert (RESULT if decision == "allow" else REASON) in str((await sim.requests())[1].body)


async def test_a_call_that_was_decided_is_not_run_again_by_any_later_cli(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """Neither by the one that goes on after a cut, which meets no gate here, nor by those of later turns."""
    runs = tmp_path / "runs"
    prompt = ECHO % runs + "[[then]] [[hold h]] [[text Done.]]"
    turn_id = await chat.new_turn()
    await defer(sim, tmp_path, chat, turn_id, prompt)
    async with agents(chat.database, sim, tmp_path / "cut") as sessions:
        with gate(lambda _: "allow"):
            run = asyncio.create_task(chat.run(sessions, turn_id, prompt, **BASH))
            await sim.wait_for_request(holding="h")
            await chat.stored("tool_result")
            run.cancel()
            with suppress(asyncio.CancelledError):
                await run
    await sim.release("h")
    end = await go_on(sim, tmp_path, chat, turn_id, prompt)
    assert (end.answer, end.source) == ("Done.", "resumed")
    assert runs.read_text() == "run\n"


async def test_a_turn_that_was_cut_behind_its_decided_call_is_gone_on_with_in_the_same_folder(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """There the CLI's own "Continue …" stands last. One that finds it takes the turn to be over, and says nothing."""
    prompt = ECHO % (tmp_path / "runs") + "[[then]] [[hold h]] [[text Done.]]"
    (workspace := tmp_path / "workspace").mkdir()
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path / "s") as sessions:
        with gate(lambda _: "defer"):
            await chat.run(sessions, turn_id, prompt, workspace=workspace, **BASH)
        with gate(lambda _: "allow"):
            run = asyncio.create_task(chat.run(sessions, turn_id, prompt, workspace=workspace, **BASH))
            await sim.wait_for_request(holding="h")
            async with asyncio.timeout(30):
                while not any(entry.get("isMeta") for entry in await chat.transcript()):
                    await asyncio.sleep(0.02)
            run.cancel()
            with suppress(asyncio.CancelledError):
                await run
        await sim.release("h")
        assert (await chat.run(sessions, turn_id, prompt, workspace=workspace, **BASH)).answer == "Done."
    assert (tmp_path / "runs").read_text() == "run\n"
    assert said((await sim.requests())[-1].body, "user").count("Continue from where you left off.") == 1


async def test_with_its_mark_left_in_the_transcript_a_decided_call_would_be_run_again(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the CLI of the next turn runs it, and the session is lost for what came after the call."""
    runs = tmp_path / "runs"
    prompt = ECHO % runs + "[[then]] [[text Done.]]"
    monkeypatch.setattr(cli_host, "without_deferrals", lambda entries, **_: entries)
    turn_id = await chat.new_turn()
    await defer(sim, tmp_path, chat, turn_id, prompt)
    with gate(lambda _: "allow"), pytest.raises(AssertionError):
        await go_on(sim, tmp_path, chat, turn_id, prompt)
    assert runs.read_text() == "run\nrun\n"


async def defer(sim: SimulatorControl, folder: Path, chat: Chat, turn_id: UUID, prompt: str) -> DeferredCall:
    """Run the turn to its call, which waits for a decision then."""
    async with agents(chat.database, sim, folder / "defer") as sessions:
        with gate(lambda _: "defer"):
            end = await chat.run(sessions, turn_id, prompt, **BASH)
    assert end.answer == ""
    assert end.deferred is not None
    assert end.deferred.id in str(await chat.transcript())
    return end.deferred
