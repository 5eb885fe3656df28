"""Pairing: whoever sends the code is the owner; what is no such code tells nothing, and changes nothing."""

import asyncio

from assistant import held, pairing, people
from assistant.approvals import OWNERS
from assistant.cards import receivers
from assistant.held import Stranger
from assistant.pairing import MAX_GUESSES, MAX_GUESSES_OF_SENDER, Paired
from assistant.person_links import unlink
from jobs_core import Connection, Database, Jobs, execute, fetch
from tests.support.cards import cards, owner_with_a_phone, stranger
from tests.support.people import contact, owner

ADA = 4711
LATER = "UPDATE jobs.pairing_codes SET expires_at = clock_timestamp()"


async def redeem(jobs: Jobs, number: int, code: str) -> Paired | None:
    """`/start CODE`, in a transaction of its own."""
    async with jobs.database.transaction() as conn:
        sender = await people.contact(conn, "telegram", str(number), tg_user_id=number)
        return await pairing.redeem(conn, jobs, sender, str(number), code)


async def test_whoever_sends_the_code_is_the_owner_and_is_heard(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    """What was kept of them as a stranger is taken in, and the card about them closed."""
    first = await owner_with_a_phone(database)
    me = await stranger(database, 5, name="Me")
    async with database.transaction() as own:
        await held.hold(own, me, Stranger("5", "telegram_5", "hello", account="bot"), hold_unknown=True)
    code = (await pairing.begin(conn)).code
    assert len(code) == 12
    paired = await redeem(jobs, 5, f" {code.lower()} ")
    assert paired
    assert (paired.owner.id, paired.answered.taken) == (first.id, 1)
    assert (await contact(database, 5, tg_user_id=5)).is_owner
    assert (await contact(database, 5)).id == (await owner(database)).id
    (card,) = await cards(conn)
    assert card.payload["text"].startswith("Allowed by ")


async def test_cards_go_to_the_phone_that_was_paired_last(jobs: Jobs, conn: Connection, database: Database) -> None:
    """The first one is the owner's all the same, until it is unlinked."""
    await owner_with_a_phone(database, account="first")
    await contact(database, 5, account="second", tg_user_id=5)
    paired = await redeem(jobs, 5, (await pairing.begin(conn)).code)
    assert paired
    assert paired.owner.tg_user_id == 5
    assert [one.account for one in await receivers(conn, [OWNERS])] == ["second"]
    assert (await contact(database, ADA, tg_user_id=ADA, owner_tg_user_id=ADA, account="first")).id == paired.owner.id
    assert [one.account for one in await receivers(conn, [OWNERS])] == ["second"]
    async with database.transaction() as own:
        await unlink(own, "telegram", str(ADA))
    again = await contact(database, 5, tg_user_id=5)
    assert (again.id, again.tg_user_id) == (paired.owner.id, 5)


async def test_a_code_counts_once_and_for_ten_minutes_and_only_the_newest(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    old, new = await pairing.begin(conn), await pairing.begin(conn)
    assert await redeem(jobs, 5, old.code) is None
    assert await redeem(jobs, 5, new.code)
    assert await redeem(jobs, 6, new.code) is None
    late = await pairing.begin(conn)
    await execute(conn, LATER)
    assert await redeem(jobs, 6, late.code) is None
    assert not (await contact(database, 6)).is_owner


async def test_of_a_code_the_database_knows_no_more_than_a_digest(conn: Connection) -> None:
    code = (await pairing.begin(conn)).code
    (row,) = await fetch(
        conn, "SELECT to_jsonb(c)::text AS it, expires_at - clock_timestamp() AS left FROM jobs.pairing_codes AS c"
    )
    assert code not in row["it"]
    assert 590 < row["left"].total_seconds() <= 600


async def test_who_guesses_too_often_may_not_know_the_code(jobs: Jobs, conn: Connection) -> None:
    code = (await pairing.begin(conn)).code
    for n in range(MAX_GUESSES_OF_SENDER):
        assert await redeem(jobs, 6, f"guess {n}") is None
    assert await redeem(jobs, 6, code) is None
    assert await redeem(jobs, 5, code)


async def test_of_many_who_guess_a_code_dies(jobs: Jobs, conn: Connection) -> None:
    """And what they leave is bounded: a row a sender, while a code counts."""
    code = (await pairing.begin(conn)).code
    for n in range(MAX_GUESSES):
        await redeem(jobs, 100 + n, "\0\ud800")
    assert await redeem(jobs, 5, code) is None
    assert await redeem(jobs, 6, "guess") is None
    assert len(await fetch(conn, "SELECT FROM jobs.pairing_guesses")) == MAX_GUESSES
    assert await redeem(jobs, 5, (await pairing.begin(conn)).code)


async def test_while_there_is_no_code_guesses_write_nothing(jobs: Jobs, conn: Connection) -> None:
    assert await redeem(jobs, 6, "") is None
    assert await fetch(conn, "SELECT FROM jobs.pairing_guesses") == []


async def test_of_two_who_send_the_code_at_once_one_is_the_owner(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    """Known people, who wait for nobody on their way to the code."""
    for n in range(4):
        await stranger(database, 5 + n)
    code = (await pairing.begin(conn)).code
    paired = await asyncio.gather(*(redeem(jobs, 5 + n, code) for n in range(4)))
    assert sum(map(bool, paired)) == 1


async def test_a_blocked_person_with_the_code_is_the_owner_all_the_same(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    me = await stranger(database, 5)
    async with database.transaction() as own:
        await held.answer(own, jobs, me.id, "blocked", "somebody")
    assert await redeem(jobs, 5, (await pairing.begin(conn)).code)
    known = await contact(database, 5)
    assert known.is_owner
    async with database.transaction() as own:
        assert await held.hold(own, known, Stranger("5", "t", "hi"), hold_unknown=True) is None
