"""What the record alone decides about a turn: no CLI is started, for there is none here."""

import json
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from jobs_core import Connection, Database, LeaseLost, execute, fetch_one
from sessions import (
    AgentSetup,
    ClaudeSessions,
    RunAccount,
    SessionSettings,
    TranscriptLost,
    TurnEnd,
    TurnFailed,
    begin_turn,
    create_session,
    end_turn,
    take_session,
)
from sessions.store import append_transcript
from sessions.usage import OpenCall, open_call

TURN = UUID("11111111-0000-4000-8000-000000000000")
RECORDED = Path(__file__).parents[1] / "unit" / "transcripts"


class Session:
    """A session that holds a recorded transcript."""

    def __init__(self, database: Database) -> None:
        self.id, self.epoch = uuid4(), 0
        self._database = database

    async def holding(self, conn: Connection, case: str) -> "Session":
        await create_session(conn, self.id)
        self.epoch = await take_session(conn, self.id)
        lines = (RECORDED / f"{case}.jsonl").read_text(encoding="utf-8").splitlines()
        async with conn.transaction():
            await append_transcript(conn, self.id, self.epoch, [json.loads(line) for line in lines])
        return self

    async def run(self, turn_id: UUID) -> TurnEnd:
        sessions = ClaudeSessions(self._database, SessionSettings(claude_cli=Path("/nowhere/claude")))
        return await sessions.run_turn(
            session_id=self.id, epoch=self.epoch, turn_id=turn_id, prompt="Hello.", agent=AgentSetup("")
        )


@pytest.mark.parametrize(("case", "answer"), [("finished", "One, two."), ("structured", '{"colour": "grün"}')])
async def test_a_turn_that_was_answered_gives_the_answer_on_record(
    database: Database, conn: Connection, case: str, answer: str
) -> None:
    session = await Session(database).holding(conn, case)
    assert await session.run(TURN) == TurnEnd(answer, None, "recorded")


async def test_a_call_that_a_run_left_open_behind_its_answer_is_closed(database: Database, conn: Connection) -> None:
    session = await Session(database).holding(conn, "finished")
    call = OpenCall("one", "claude-sonnet-5", 100, 1_000)
    assert await open_call(conn, RunAccount(TURN, token=1), session.id, session.epoch, call)
    await session.run(TURN)
    row = await fetch_one(conn, "SELECT estimated_calls, open_calls, input_tokens FROM jobs.usage")
    assert row == {"estimated_calls": 1, "open_calls": {}, "input_tokens": 100}


@pytest.mark.parametrize("case", ["finished", "before_answer"])
async def test_a_run_whose_session_was_taken_neither_answers_nor_starts_an_agent(
    database: Database, conn: Connection, case: str
) -> None:
    """One that was frozen finds its CLI killed when it wakes, and would begin with the next."""
    session = await Session(database).holding(conn, case)
    await take_session(conn, session.id)
    with pytest.raises(LeaseLost, match="another run has taken it"):
        await session.run(TURN)


async def test_a_turn_that_a_person_stopped_stays_stopped(database: Database, conn: Connection) -> None:
    session = await Session(database).holding(conn, "cancelled")
    with pytest.raises(TurnFailed, match="stopped by a person"):
        await session.run(TURN)


@pytest.mark.parametrize("case", ["before_answer", "tool_running", "cancelled", "finished"])
async def test_a_session_whose_transcript_is_gone_is_never_begun_anew_under_its_id(
    database: Database, conn: Connection, case: str
) -> None:
    """Its turns need not have been answered: what a tool did, or what was asked and failed, is forgotten as well."""
    session = await Session(database).holding(conn, case)
    await execute(conn, "DELETE FROM jobs.transcript_entries")
    for turn_id in (TURN, uuid4()):
        with pytest.raises(TranscriptLost, match="nothing is left"):
            await session.run(turn_id)


async def test_a_session_that_lacks_an_answered_turn_is_not_gone_on_with(database: Database, conn: Connection) -> None:
    session = await Session(database).holding(conn, "before_answer")
    answered = uuid4()
    await begin_turn(conn, turn_id=answered, session_id=session.id, job_id=1)
    await end_turn(conn, answered)
    with pytest.raises(TranscriptLost, match="does not hold it"):
        await session.run(TURN)
