"""Forks and imports as rows: what is copied, under which ids, and that both sides go on by themselves."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from assistant import chat_history, chats, media, people
from assistant.chat_list import list_chats
from assistant.copied_chats import fork, import_chat
from assistant.errors import NoSuchAnswer, NoSuchChat, NoSuchUser
from assistant.remarks import remark
from assistant.settings import MediaSettings
from assistant.stopping import reset_all
from jobs_core import Connection, Database, InvalidInput, Jobs, fetch
from sessions import NotCopied, begin_turn, end_turn, take_session
from sessions.copies import subagents_of
from sessions.files import export_session, read_session
from sessions.records import last_answered_turn, turn_of_job
from sessions.resume import classify
from sessions.store import append_transcript, load_transcript
from sessions.usage_check import check_session
from tests.database.test_chat_files import LOOK
from tests.database.test_chat_files import say as say_content
from tests.database.test_stops import lines, say, session_of
from tests.support.people import contact
from tests.unit.test_session_files import ANSWER, ID, PROMPT, written


def entries_of(session_id: UUID, turn_id: UUID, asked: str, answer: str, parent: str | None) -> list[dict[str, Any]]:
    """A turn as the CLI writes it, cut to what is read of it."""
    own = {"sessionId": str(session_id), "timestamp": "2026-01-31T09:00:00Z"}
    said = {
        "role": "assistant",
        "id": answer,
        "stop_reason": "end_turn",
        "usage": {"output_tokens": 1},
        "content": [{"type": "text", "text": answer}],
    }
    return [
        {"type": "user", "uuid": str(turn_id), "parentUuid": parent, "promptSource": "sdk", **own}
        | {"message": {"role": "user", "content": asked}},
        {"type": "assistant", "uuid": f"a-{turn_id}", "parentUuid": str(turn_id), **own, "message": said},
        {"type": "last-prompt", "lastPrompt": asked, **own},
    ]


async def answer(conn: Connection, chat: str, text: str) -> UUID:
    """Answer what waits, as a run does, with a transcript."""
    turn_id = uuid4()
    session_id = await session_of(conn, chat)
    async with conn.transaction():
        said = await chats.bind(conn, chat, turn_id)
        await begin_turn(conn, turn_id=turn_id, session_id=session_id, job_id=1)
        before = await load_transcript(conn, session_id)
        parent = next((entry["uuid"] for entry in reversed(before) if "uuid" in entry), None)
        epoch = await take_session(conn, session_id)
        await append_transcript(
            conn, session_id, epoch, entries_of(session_id, turn_id, str(chats.prompt_of(said)), text, parent)
        )
        await chats.answer(conn, chat, turn_id, text)
        await end_turn(conn, turn_id)
    return turn_id


async def talk(jobs: Jobs, conn: Connection, *said: str) -> tuple[str, list[UUID]]:
    """A chat in which each of these was said and answered."""
    chat = None
    turns = []
    for text in said:
        chat = (await say(jobs, text, chat, user_id="ada")).session_id
        turns.append(await answer(conn, chat, f"{text}!"))
    assert chat
    return chat, turns


async def answers(conn: Connection, chat: str) -> list[int]:
    return [line.id for line in await chat_history.newest(conn, chat) if line.type == "ai"]


async def forked(conn: Connection, chat: str, **how: Any) -> str:
    async with conn.transaction():
        return await fork(conn, chat, **how)


async def test_a_fork_knows_what_was_known_at_that_answer_and_nothing_later(jobs: Jobs, conn: Connection) -> None:
    chat, turns = await talk(jobs, conn, "one", "two", "three")
    new = await forked(conn, chat, message_id=(await answers(conn, chat))[1], title="Other way")
    assert await lines(conn, new) == [("human", "one"), ("ai", "one!"), ("human", "two"), ("ai", "two!")]
    assert {line.state for line in await chat_history.newest(conn, new) if line.type == "human"} == {"answered"}
    session_id = await session_of(conn, new)
    assert session_id != await session_of(conn, chat)
    entries = await load_transcript(conn, session_id)
    assert len(entries) == 6
    assert {entry["sessionId"] for entry in entries} == {str(session_id)}
    assert not any(str(turn) == value for turn in turns for entry in entries for value in entry.values())
    newest = await last_answered_turn(conn, session_id)
    assert newest
    assert classify(entries, str(newest)).answer == "two!"
    assert entries[3]["parentUuid"] == entries[1]["uuid"]
    (row,) = await fetch(conn, "SELECT * FROM jobs.chat_sessions WHERE title = 'Other way'")
    assert (row["session_id"], row["user_id"], row["channel"]) == (new, "ada", "web")
    copies = await fetch(conn, "SELECT copy_of FROM jobs.turns WHERE session_id = %(id)s", {"id": session_id})
    assert {row["copy_of"] for row in copies} == set(turns[:2])
    of_job = await turn_of_job(conn, 1)
    assert of_job
    assert of_job.id == turns[-1], "no run of a job takes a copy for its own turn"


async def test_both_go_on_by_themselves(jobs: Jobs, conn: Connection) -> None:
    chat, _ = await talk(jobs, conn, "one")
    new = await forked(conn, chat)
    for where, text in ((new, "left"), (chat, "right")):
        await say(jobs, text, where)
        await answer(conn, where, f"{text}!")
    assert [text for _, text in await lines(conn, chat)] == ["one", "one!", "right", "right!"]
    assert [text for _, text in await lines(conn, new)] == ["one", "one!", "left", "left!"]
    again = await forked(conn, new, message_id=(await answers(conn, new))[0])
    assert [text for _, text in await lines(conn, again)] == ["one", "one!"]


async def test_what_was_said_meanwhile_and_answered_later_is_left_out(jobs: Jobs, conn: Connection) -> None:
    chat = (await say(jobs, "one")).session_id
    async with conn.transaction():
        turn_id = uuid4()
        session_id = await session_of(conn, chat)
        await chats.bind(conn, chat, turn_id)
        await begin_turn(conn, turn_id=turn_id, session_id=session_id, job_id=1)
        await append_transcript(conn, session_id, 0, entries_of(session_id, turn_id, "one", "one!", None))
    await say(jobs, "meanwhile", chat)
    await chats.answer(conn, chat, turn_id, "one!")
    await end_turn(conn, turn_id)
    await remark(conn, "A word of the chat's own.", session_id=chat)
    assert await lines(conn, await forked(conn, chat)) == [("human", "one"), ("ai", "one!")]


async def test_files_and_words_of_the_chat_itself_are_copied(jobs: Jobs, conn: Connection) -> None:
    said = await say_content(jobs, LOOK)
    file_id = await media.expect(conn, "ada", media.Claim("document", "a.zip", 7), MediaSettings.read())
    await media.attach(conn, said.message_id, [file_id])
    chat = said.session_id
    await answer(conn, chat, "A dot.")
    await remark(conn, "A word of the chat's own.", session_id=chat)
    await say(jobs, "two", chat)
    await answer(conn, chat, "two!")
    new = await forked(conn, chat)
    assert [(line.type, line.content, line.files) for line in await chat_history.newest(conn, new)] == [
        (line.type, line.content, line.files) for line in await chat_history.newest(conn, chat)
    ]
    assert [file.name for file in (await chat_history.newest(conn, new))[0].files] == [None, "a.pdf", "a.zip"]


async def test_subagents_come_along_if_they_had_begun(jobs: Jobs, conn: Connection) -> None:
    chat, _ = await talk(jobs, conn, "agent 1f00c0ffee began", "agent 2f00c0ffee began")
    session_id = await session_of(conn, chat)
    for name in ("1f00c0ffee", "2f00c0ffee"):
        async with conn.transaction():
            await append_transcript(conn, session_id, 2, [{"type": "user", "uuid": name}], f"subagents/agent-{name}")
    first = await session_of(conn, await forked(conn, chat, message_id=(await answers(conn, chat))[0]))
    assert await subagents_of(conn, first) == ["subagents/agent-1f00c0ffee"]
    assert await subagents_of(conn, session_id) == ["subagents/agent-1f00c0ffee", "subagents/agent-2f00c0ffee"]


async def test_only_answers_of_the_chat_can_be_forked_at(jobs: Jobs, conn: Connection) -> None:
    chat, _ = await talk(jobs, conn, "one")
    other, _ = await talk(jobs, conn, "other")
    human = (await chat_history.newest(conn, chat))[0].id
    for message_id in (human, (await answers(conn, other))[0], 2**63 - 1):
        with pytest.raises(NoSuchAnswer):
            await forked(conn, chat, message_id=message_id)
    with pytest.raises(NoSuchAnswer, match="no answer yet"):
        await forked(conn, (await say(jobs, "unanswered")).session_id)
    with pytest.raises(NoSuchChat):
        await forked(conn, "web_unknown")
    with pytest.raises(InvalidInput):
        await forked(conn, chat, title="a\nb")


async def test_an_answer_whose_transcript_is_not_here_cannot_be_forked_at_and_nothing_is_left(
    jobs: Jobs, conn: Connection
) -> None:
    chat, _ = await talk(jobs, conn, "one")
    await conn.execute("DELETE FROM jobs.transcript_entries")
    before = await counts(conn)
    with pytest.raises(NotCopied):
        await forked(conn, chat)
    assert await counts(conn) == before


async def test_a_copy_has_used_nothing_by_itself(jobs: Jobs, conn: Connection) -> None:
    """Usage is the original's: the ledger has it there, and a fork's transcript would seem to hold more than the ledger."""
    chat, _ = await talk(jobs, conn, "one")
    for where, calls in ((chat, 1), (await forked(conn, chat), 0)):
        assert (await check_session(conn, await session_of(conn, where))).transcript.calls == calls


async def counts(conn: Connection) -> list[int]:
    tables = ("chat_sessions", "chat_message_history", "sessions", "turns", "transcript_entries")
    return [len(await fetch(conn, f"SELECT FROM jobs.{table}")) for table in tables]


async def imported(conn: Connection, path: Path, **how: Any) -> str:
    async with conn.transaction():
        return await import_chat(conn, read_session(path), **{"title": None, **how})


def two_turns() -> Sequence[dict[str, Any]]:
    second = {**PROMPT, "uuid": "bbbbbbbb-0000-4000-8000-000000000000", "parentUuid": "b"}
    return (PROMPT, ANSWER, {**second, "message": {"role": "user", "content": "and\0?"}})


async def test_an_imported_session_is_a_chat_with_what_was_said(
    database: Database, conn: Connection, tmp_path: Path
) -> None:
    ada = (await contact(database, 7)).id
    chat = await imported(conn, written(tmp_path, *two_turns()), user_id=ada, title="Old")
    assert [one.title for one in await list_chats(conn, user_id=ada)] == ["Old"]
    assert await lines(conn, chat) == [("human", "hello"), ("ai", "Hi."), ("human", "and\N{REPLACEMENT CHARACTER}?")]
    assert [line.state for line in await chat_history.newest(conn, chat)] == ["answered", None, "failed"]
    assert await session_of(conn, chat) == UUID(ID)
    entries = await load_transcript(conn, UUID(ID))
    newest = await last_answered_turn(conn, UUID(ID))
    assert classify(entries, str(newest)).state not in {"absent", "unseen"}, "or each later turn would count as lost"
    assert entries[2]["message"]["content"] == "and\0?"
    async with conn.transaction():
        assert await chats.bind(conn, chat, uuid4()) == [], "what it holds is over"


async def test_a_session_that_is_imported_for_nobody_is_the_owners_and_is_reset_with_theirs(
    jobs: Jobs, conn: Connection, tmp_path: Path
) -> None:
    chat = await imported(conn, written(tmp_path, *two_turns()))
    owner = await people.owner(conn)
    assert [one.session_id for one in await reset_all(jobs.database, jobs, owner.id)] == [chat]


async def test_entries_that_stand_twice_and_odd_times_do_no_harm(conn: Connection, tmp_path: Path) -> None:
    """What another program has written, or a person: an offset that Postgres does not take, a day that is none."""
    odd = {**ANSWER, "timestamp": "2026-01-31T09:00:00+23:59"}
    later = {**two_turns()[2], "timestamp": "0001-01-01T00:00:00+10:00"}
    chat = await imported(conn, written(tmp_path, PROMPT, odd, PROMPT, odd, later, {**later, "timestamp": 7}))
    assert [text for _, text in await lines(conn, chat)] == ["hello", "Hi.", "and\N{REPLACEMENT CHARACTER}?"]


async def test_a_chat_of_another_channel_is_forked_to_the_web(jobs: Jobs, conn: Connection) -> None:
    """Where it would be sent to nobody."""
    chat, _ = await talk(jobs, conn, "one")
    await conn.execute("UPDATE jobs.chat_sessions SET channel = 'telegram'")
    new = await forked(conn, chat)
    (row,) = await fetch(conn, "SELECT session_id FROM jobs.chat_sessions WHERE channel = 'web'")
    assert row["session_id"] == new


async def test_a_session_is_imported_once(conn: Connection, tmp_path: Path) -> None:
    path = written(tmp_path, *two_turns())
    await imported(conn, path)
    before = await counts(conn)
    with pytest.raises(NotCopied, match="is here already"):
        await imported(conn, path)
    with pytest.raises(NoSuchUser):
        await imported(conn, written(tmp_path, PROMPT), user_id="nobody")
    assert await counts(conn) == before


async def test_what_is_exported_can_be_imported_elsewhere_as_it_was(
    jobs: Jobs, conn: Connection, tmp_path: Path
) -> None:
    chat, _ = await talk(jobs, conn, "one", "two")
    session_id = await session_of(conn, chat)
    aside = [
        {"type": "agent_metadata", "agentType": "helper"},
        {"type": "user", "uuid": "s", "sessionId": str(session_id)},
    ]
    async with conn.transaction():
        await append_transcript(conn, session_id, 2, aside, "subagents/agent-1f")
    files = await export_session(conn, session_id, tmp_path, Path("/srv/there"))
    assert [file.relative_to(tmp_path / "projects" / "-srv-there").as_posix() for file in files] == [
        f"{session_id}.jsonl",
        f"{session_id}/subagents/agent-1f.jsonl",
        f"{session_id}/subagents/agent-1f.meta.json",
    ]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    read = read_session(files[0])
    assert read.parts[""] == await load_transcript(conn, session_id)
    assert [(said.asked, said.answered) for said in read.exchanges] == [("one", "one!"), ("two", "two!")]
    assert json.loads(files[2].read_text()) == {"agentType": "helper"}
    with pytest.raises(NotCopied, match="is there already"):
        await export_session(conn, session_id, tmp_path, Path("/srv/there"))


async def test_a_subagents_name_leads_to_no_other_place(jobs: Jobs, conn: Connection, tmp_path: Path) -> None:
    chat, _ = await talk(jobs, conn, "one")
    session_id = await session_of(conn, chat)
    async with conn.transaction():
        await append_transcript(conn, session_id, 1, [{"type": "user"}], "subagents/../../../agent-1f")
    with pytest.raises(NotCopied, match="no place for a file"):
        await export_session(conn, session_id, tmp_path, Path("/srv/there"))
    assert not any(path.is_file() for path in await asyncio.to_thread(lambda: list(tmp_path.rglob("*"))))
