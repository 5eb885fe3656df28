"""What a watcher sees of turns that the real CLI runs, of its troubles with the API, and of a worker that is killed."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from assistant import chats
from assistant.chats import CHAT_TURN
from gateways.web.feed import Listener
from gateways.web.feeds import Feeds
from jobs_core import Database, HandlerTable, Jobs
from sessions import Audience, TurnEvent
from sessions.shown import Shown
from simulator.client import SimulatorControl
from tests.support.sessions import BASH, Chat, agents, turn_worker


class Watcher:
    """Reads a chat's events as a client does; what they come to is `shown`, and `kinds` in which order they came."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.shown = Shown()
        self.kinds = list[str]()
        self.answers = list[str]()
        self._read(listener.first)

    async def until(self, kind: str, text: str = "") -> None:
        """Read on until an event of that kind has come, and what is shown says that."""
        async with asyncio.timeout(60):
            while kind not in self.kinds or text not in self.shown.text():
                chunk = await self._listener.next(60)
                assert chunk is not None
                self._read(chunk)

    def _read(self, chunk: bytes) -> None:
        for event in chunk.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in event.split("\n"))
            self.kinds.append(fields["event"])
            about = json.loads(fields["data"])
            self.shown.apply(fields["event"], about)
            if fields["event"] == "answer":
                self.answers.append(about["text"])


@pytest.fixture
async def watcher(database: Database, chat: Chat) -> AsyncIterator[Watcher]:
    """Somebody who watches the session by its id, as claim 1 and later ones show it."""
    feeds = Feeds(database)
    yield Watcher(await feeds.listen(str(chat.id), None))
    feeds.close()


async def test_a_turn_is_seen_while_it_runs_with_its_call_its_cost_and_its_end(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, watcher: Watcher
) -> None:
    prompt = (
        '[[text Let me see.]] [[tool Bash {"command": "echo tool-was-here"}]] [[then]]'
        " [[text Half an ]] [[hold h]] [[text answer.]]"
    )
    async with agents(chat.database, sim, tmp_path) as sessions:
        turn_id = await chat.new_turn()
        run = asyncio.create_task(chat.run(sessions, turn_id, prompt, audience=Audience(str(chat.id), 1), **BASH))
        await watcher.until("reset", "Half an ")
        assert not run.done()
        told, call, said = watcher.shown.items
        assert (told["text"], said["text"]) == ("Let me see.", "Half an ")
        assert (call["name"], json.loads(call["input"])) == ("Bash", {"command": "echo tool-was-here"})
        assert call["result"] == {"text": "tool-was-here", "is_error": False}
        assert watcher.shown.status
        assert watcher.shown.status["state"] == "writing"
        await sim.release("h")
        end = await run
        await watcher.until("end")
    assert watcher.shown.text() == end.answer == "Half an answer."
    assert watcher.shown.cost
    assert watcher.shown.cost["calls"] == 2
    assert watcher.shown.cost["output_tokens"] > 0
    assert watcher.shown.cost["cost_usd"] > 0


@pytest.mark.parametrize("fails", ["[[reset]]", "[[error 529]]"])
async def test_what_a_failed_attempt_had_said_is_void(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, fails: str
) -> None:
    """A connection that is cut is tried again; after an error in the stream the CLI asks once more without streaming."""
    await sim.script(f"[[text Half of the wro]] [[hold h]] {fails}", times=1)
    shown, seen = Shown(), asyncio.Event()

    def show(event: TurnEvent) -> None:
        shown.apply(event.kind, event.about)
        if shown.text() == "Half of the wro":
            seen.set()

    async with agents(chat.database, sim, tmp_path) as sessions:
        run = asyncio.create_task(chat.ask(sessions, "[[text The right one.]]", on_event=show))
        await asyncio.wait_for(seen.wait(), 60)
        await sim.release("h")
        end = await run
    assert shown.text() == end.answer == "The right one."
    assert [item["text"] for item in shown.items] == ["The right one."]


async def test_a_subagents_calls_are_marked_as_its_callers(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    inner = '[[tool Bash {"command": "echo inner"}]] [[then]] [[text Inner answer.]]'
    given = json.dumps({"description": "d", "subagent_type": "general-purpose", "prompt": inner})
    shown = Shown()
    async with agents(chat.database, sim, tmp_path) as sessions:
        prompt = f"[[tool Agent {given}]] [[then]] [[text Outer answer.]]"
        tools = ["Agent", "Bash"]
        end = await chat.ask(
            sessions, prompt, lambda event: shown.apply(event.kind, event.about), tools=tools, allowed_tools=tools
        )
    assert shown.text() == end.answer
    outer, bash = (item for item in shown.items if item["kind"] == "tool_call")
    assert (outer["name"], outer["parent"]) == ("Agent", None)
    assert (bash["name"], bash["parent"], bash["result"]["text"]) == ("Bash", outer["id"], "inner")


async def test_a_worker_killed_in_the_middle_is_gone_on_from_and_its_watcher_ends_with_the_final_text(
    chat: Chat, database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    known = HandlerTable()
    known.declare(CHAT_TURN)
    async with Jobs(database, known) as jobs, database.transaction() as conn:
        prompt = "[[text Half an ]] [[hold h]] [[text answer.]]"
        talk = await chats.receive(conn, jobs, session_id=None, channel="web", message=prompt, user_id=None)
    turn_id = await chat.new_turn()
    async with database.transaction() as conn:
        await chats.bind(conn, talk.session_id, turn_id)
    feeds = Feeds(database)
    watcher = Watcher(await feeds.listen(talk.session_id, None))
    async with turn_worker(sim, tmp_path / "s", chat, turn_id, prompt, topic=talk.session_id) as worker:
        await watcher.until("reset", "Half an ")
        await chat.stored("user")
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    late = Watcher(await feeds.listen(talk.session_id, None))
    assert late.shown.text() == "Half an "
    watcher.kinds.clear()
    await sim.wait_for_request(outcome="cut")
    await sim.release("h")
    async with agents(database, sim, tmp_path / "on") as sessions:
        end = await chat.run(sessions, turn_id, prompt, audience=Audience(talk.session_id, 2), **BASH)
        async with database.transaction() as conn:
            await chats.answer(conn, talk.session_id, turn_id, end.answer)
    for one in (watcher, late):
        await one.until("answer")
        assert one.kinds.count("answer") == 1
        assert one.answers == ["Half an answer."]
        assert "Half an answer.".startswith(one.shown.text()), "the last of it may be written later than the answer"
    assert watcher.kinds[0] == "reset"
    feeds.close()
