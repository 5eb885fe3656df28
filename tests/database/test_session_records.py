"""Sessions and turns as rows."""

from uuid import uuid4

import pytest

from jobs_core import Connection, Database
from sessions import TurnFailed, begin_turn, create_session, end_turn, take_session, turn_of_job
from sessions.records import last_answered_turn


async def test_each_take_of_a_session_raises_its_epoch(conn: Connection) -> None:
    session_id = uuid4()
    await create_session(conn, session_id)
    assert [await take_session(conn, session_id) for _ in range(3)] == [1, 2, 3]


async def test_a_take_that_is_rolled_back_leaves_the_epoch(database: Database, conn: Connection) -> None:
    session_id = uuid4()
    await create_session(conn, session_id)
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as taker:
            await take_session(taker, session_id)
            raise ZeroDivisionError
    assert await take_session(conn, session_id) == 1


async def test_an_unknown_session_cannot_be_taken(conn: Connection) -> None:
    with pytest.raises(TurnFailed, match="begin a new one"):
        await take_session(conn, uuid4())


async def test_a_job_finds_the_newest_turn_that_it_began(conn: Connection) -> None:
    session_id, first, second = uuid4(), uuid4(), uuid4()
    await create_session(conn, session_id)
    assert await turn_of_job(conn, 7) is None
    await begin_turn(conn, turn_id=first, session_id=session_id, job_id=7)
    await begin_turn(conn, turn_id=uuid4(), session_id=session_id, job_id=8)
    await begin_turn(conn, turn_id=second, session_id=session_id, job_id=7)
    turn = await turn_of_job(conn, 7)
    assert turn is not None
    assert (turn.id, turn.session_id, turn.job_id, turn.ended_at) == (second, session_id, 7, None)


async def test_the_first_end_of_a_turn_stands(conn: Connection) -> None:
    session_id, turn_id = uuid4(), uuid4()
    await create_session(conn, session_id)
    await begin_turn(conn, turn_id=turn_id, session_id=session_id, job_id=7)
    await end_turn(conn, turn_id)
    first = await turn_of_job(conn, 7)
    await end_turn(conn, turn_id)
    assert first is not None
    assert first.ended_at is not None
    assert await turn_of_job(conn, 7) == first


async def test_only_answered_turns_count_as_answered(conn: Connection) -> None:
    session_id, answered, open_turn = uuid4(), uuid4(), uuid4()
    await create_session(conn, session_id)
    await begin_turn(conn, turn_id=answered, session_id=session_id, job_id=1)
    assert await last_answered_turn(conn, session_id) is None
    await end_turn(conn, answered)
    await begin_turn(conn, turn_id=open_turn, session_id=session_id, job_id=2)
    assert await last_answered_turn(conn, session_id) == answered
