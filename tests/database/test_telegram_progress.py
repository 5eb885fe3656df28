"""How turns go, shown in their chats while they run: the loop run by hand under a clock that the test moves."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from telethon import functions

from gateways.telegram.egress import progress, showing
from gateways.telegram.egress.outbox import Outbox
from jobs_core import Connection, Database, execute, fetch
from tests.support.telegram.posts import Post
from tests.support.telegram_egress import Office, office

EDIT = functions.messages.EditMessageRequest
TYPING = functions.messages.SetTypingRequest
_ROW = """
INSERT INTO jobs.live_events (topic, token, seq, turn_id, events)
VALUES (%(topic)s, %(token)s, %(seq)s, %(turn_id)s, %(events)s)
"""
_CHAT = """
INSERT INTO jobs.chat_sessions (session_id, channel, agent_name, claude_session_id)
VALUES ('a', 'telegram', 'a', gen_random_uuid())
"""
_END = """
INSERT INTO jobs.chat_message_history (session_id, type, content, turn_id) VALUES ('a', 'ai', 'x', %(turn_id)s)
"""


@dataclass
class Stage:
    """A turn that runs, and what of it is shown in its chat."""

    at: Office
    clock: SimpleNamespace
    turn_id: UUID
    chat: str = "a"
    token: int = 1
    seq: int = 0

    async def tell(self, *events: tuple[str, dict[str, Any]]) -> None:
        """Have the turn's run write that."""
        self.seq += 1
        values = {"topic": self.chat, "token": self.token, "seq": self.seq, "turn_id": self.turn_id}
        await execute(self.at.conn, _ROW, {**values, "events": json.dumps(events)})

    async def say(self, text: str) -> None:
        """Have the agent say a piece of text."""
        await self.tell(("text", {"text": text, "message": "m", "parent": None}))

    async def look(self, seconds: float = 0.0) -> list[str]:
        """Let time pass and look; what the chat shows that was not taken back."""
        self.clock.now += seconds
        shown = self.at.sender._progress
        assert shown is not None
        await shown.run_once()
        for one in list(shown._showing.values()):
            if one.task:
                await one.task
        return [post.text for post in self.posts() if not post.is_deleted]

    def posts(self) -> list[Post]:
        """All that was sent."""
        return self.at.telegram.sent()

    def asked(self, kind: type[Any]) -> int:
        """How many requests of a kind came."""
        return sum(isinstance(request, kind) for request in self.at.telegram.server.requests)


@pytest.fixture
async def stage(database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A private chat `a` with a bot, and a turn."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(showing, "time", clock)
    monkeypatch.setattr(progress, "time", clock)
    async with office(database, conn, with_progress=True) as at:
        await at.chat_with(at.telegram.person("Alice"), "a")
        yield Stage(at, clock, turn_id=uuid4())


CALL = {"id": "c", "name": "Bash", "input": '{"command": "ls"}', "parent": None}
RESULT = {"id": "c", "text": "no", "is_error": True, "parent": None}


async def test_what_is_said_and_called_is_shown_by_edits_of_one_message_a_second_at_most(stage: Stage) -> None:
    await stage.tell(("status", {"state": "starting"}))
    assert await stage.look() == []
    assert stage.asked(TYPING) == 1
    await stage.say("Let me ")
    assert await stage.look() == []  # it may be over at once
    assert await stage.look(1.1) == ["Let me\n\n…"]
    await stage.say("see.")
    assert await stage.look(0.1) == ["Let me\n\n…"]
    await stage.tell(("tool_call", CALL))
    assert await stage.look(0.9) == ['Let me see.\n\n• Bash {"command": "ls"}\n\n…']
    await stage.tell(("tool_result", RESULT), ("status", {"state": "waiting_for_approval", "tool": "Bash"}))
    assert await stage.look(1) == ['Let me see.\n\n• Bash {"command": "ls"} ✗\n\nwaiting for approval …']
    assert len(stage.posts()) == 1
    edits = stage.asked(EDIT)
    assert edits == 2
    await stage.look(10)
    assert stage.asked(EDIT) == edits


async def test_the_answer_goes_out_before_what_was_shown_is_taken_back_and_nothing_is_shown_after_it(
    stage: Stage,
) -> None:
    await stage.say("Half an ans")
    await stage.look()
    await stage.look(2)
    answer = await stage.at.deliver("The answer.", turn_id=stage.turn_id)
    half, whole = stage.posts()
    assert (half.is_deleted, whole.is_deleted, answer.state) == (True, False, "sent")
    await stage.say("wer")
    await stage.look()
    assert await stage.look(2) == ["The answer."]
    assert await fetch(stage.at.conn, "SELECT FROM jobs.telegram_progress") == []
    stage.turn_id, stage.token, stage.seq = uuid4(), 2, 0
    await stage.say("Next.")
    await stage.look()
    assert await stage.look(2) == ["The answer.", "Next.\n\n…"]


async def test_what_is_being_shown_when_the_answer_comes_keeps_it_no_moment_and_is_taken_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = stage.at.sender._progress
    assert shown is not None
    await stage.say("Half")
    await stage.look()
    sends, both = Outbox.send, asyncio.Event()

    async def late(outbox: Outbox, piece: Any, **how: Any) -> Any:
        if "Half" in piece.text.text:
            await both.wait()
            return await sends(outbox, piece, **how)
        sent = await sends(outbox, piece, **how)
        both.set()
        return sent

    monkeypatch.setattr(Outbox, "send", late)
    stage.clock.now += 2
    await shown.run_once()
    await stage.at.deliver("Whole", turn_id=stage.turn_id)
    assert [(post.text, post.is_deleted) for post in stage.posts()] == [("Whole", False), ("Half\n\n…", True)]


async def test_a_message_of_a_card_or_a_notice_leaves_it_there(stage: Stage) -> None:
    await stage.say("May I?")
    await stage.look()
    await stage.look(2)
    await stage.at.deliver("A card", kind="notification", turn_id=stage.turn_id)
    assert await stage.look(2) == ["May I?\n\n…", "A card"]


async def test_another_process_goes_on_with_the_same_message_and_takes_it_back(
    stage: Stage, database: Database
) -> None:
    await stage.say("One")
    await stage.look()
    await stage.look(2)
    stage.at.sender._progress = progress.Progress(database, stage.at.clients.get)
    stage.token, stage.seq = 2, 0
    await stage.tell(("reset", {"items": [], "status": None, "cost": None, "dropped_chars": 0}))
    await stage.say("Two")
    await stage.look()
    assert await stage.look(2) == ["Two\n\n…"]
    assert len(stage.posts()) == 1
    stage.at.sender._progress = progress.Progress(database, stage.at.clients.get)
    await stage.at.deliver("Three", turn_id=stage.turn_id)
    assert await stage.look() == ["Three"]


async def test_a_turn_that_has_ended_is_not_shown_by_a_process_that_comes_later(stage: Stage) -> None:
    await stage.say("Late")
    await execute(stage.at.conn, _CHAT)
    await execute(stage.at.conn, _END, {"turn_id": stage.turn_id})
    await stage.look()
    assert await stage.look(2) == []
    assert stage.asked(TYPING) == 0


async def test_a_wait_stops_what_is_shown_and_no_answer(stage: Stage) -> None:
    await stage.say("One")
    await stage.look()
    stage.at.telegram.faults.flood_wait(functions.messages.SendMessageRequest, 30)
    assert await stage.look(2) == []
    assert await stage.look(20) == []
    assert stage.asked(functions.messages.SendMessageRequest) == 0  # but for the one that has to wait
    assert (await stage.at.deliver("Two", kind="notification")).state == "sent"
    assert await stage.look(11) == ["Two", "One\n\n…"]


async def test_a_message_that_somebody_deleted_is_not_shown_again_in_that_turn(stage: Stage) -> None:
    await stage.say("One")
    await stage.look()
    await stage.look(2)
    stage.at.telegram.delete(stage.posts()[0])
    await stage.say("Two")
    await stage.look(2)
    await stage.say("Three")
    assert await stage.look(2) == []
    assert stage.asked(EDIT) == 1


async def test_in_a_group_it_is_shown_what_is_called_and_not_with_what_and_less_often(stage: Stage) -> None:
    group = stage.at.telegram.supergroup("Team", stage.at.account)
    stage.chat = await stage.at.chat_with(group, "g", reply_to=1)
    await stage.tell(("tool_call", CALL))
    await stage.look()
    assert await stage.look(2) == ["• Bash\n\n…"]
    await stage.say("Hm.")
    assert await stage.look(2) == ["• Bash\n\n…"]
    assert await stage.look(2.1) == ["• Bash\n\nHm.\n\n…"]


async def test_of_what_is_too_long_the_end_is_shown(stage: Stage) -> None:
    await stage.say("😀" * 5000 + " the end")
    await stage.look()
    (shown,) = await stage.look(2)
    assert shown.startswith("…😀")
    assert shown.endswith("😀 the end\n\n…")
    assert 4090 < len(shown.encode("utf-16-le")) // 2 <= 4096


async def test_chats_of_others_are_passed_over(stage: Stage) -> None:
    stage.chat = "web_1"
    await stage.say("On the web")
    stage.chat = "a"
    stage.at.clients.clear()
    await stage.say("Held elsewhere")
    await stage.look()
    assert await stage.look(2) == []


async def test_a_chat_whose_rows_cannot_be_read_is_passed_over(stage: Stage) -> None:
    await stage.at.chat_with(stage.at.telegram.person("Bob"), "b")
    await stage.tell(("text", {"of": "another version"}))
    stage.chat = "b"
    await stage.say("Readable")
    await stage.look()
    assert await stage.look(2) == ["Readable\n\n…"]


async def test_its_loop_shows_and_ends(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    shown = stage.at.sender._progress
    assert shown is not None
    await shown.start()
    await stage.say("One")
    await stage.at.telegram.until(lambda: len(stage.posts()) == 1)
    await shown.stop()
