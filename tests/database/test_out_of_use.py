"""Accounts that are out of use: notices and cards go by another, or wait for the next login; cards of what waits already."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from assistant import pairing, people
from assistant.approvals import approve
from assistant.deliveries import DELIVER, Delivery, list_deliveries
from assistant.held import Stranger, hold
from assistant.incoming import NewChat, begin_chat
from assistant.notifications import notify
from assistant.people import User
from gateways.telegram.accounts import Key, Login, log_in, log_out, put_out_of_use
from gateways.telegram.errors import KeyRefused
from handlers import tell
from jobs_core import Connection, Database, execute
from tests.support.approvals import ANN, Bench, bench_on
from tests.support.cards import cards, labels, owner_with_a_phone, send, shown
from tests.support.people import ADA, contact, set_role
from tests.support.telegram_people import come
from workers.testing import drain


@pytest.fixture
async def bench(database: Database, conn: Connection) -> AsyncIterator[Bench]:
    async with bench_on(database, conn) as made:
        tell.register(made.jobs.table)
        made.jobs.table.declare(DELIVER)
        yield made


@pytest.fixture
async def ada(database: Database, conn: Connection) -> User:
    """The owner, who has come by one account, then by the other; both are logged in."""
    for name, number in (("bot", 1), ("work", 2)):
        await logged_in(database, name, number)
    user = await owner_with_a_phone(database)
    await come(conn, user, ADA, "bot")
    return user


async def logged_in(database: Database, name: str, number: int) -> None:
    login = Login("bot", number, name, 1, "hash", "token", Key(2, "127.0.0.1", 443, b"k" * 256))
    async with database.transaction() as own:
        await log_in(own, name, login)


async def comes_by(conn: Connection, database: Database, user: User, account: str) -> None:
    await come(conn, user, ADA, account, named=account != "bot")
    await contact(database, ADA, tg_user_id=ADA, account=account)


async def told(conn: Connection, **how: Any) -> int:
    async with conn.transaction():
        return await notify(conn, user_id=None, title="t", body="b", category="c", **how)


async def owed(conn: Connection, kind: str = "notification") -> list[Delivery]:
    return [one for one in reversed(await list_deliveries(conn)) if one.kind == kind and one.state == "owed"]


async def test_what_a_logged_out_account_owes_a_person_goes_by_another_one(
    bench: Bench, database: Database, conn: Connection, ada: User
) -> None:
    await comes_by(conn, database, ada, "work")
    await comes_by(conn, database, ada, "bot")
    first, second = await told(conn), await told(conn)
    action = await bench.asked()
    assert [one.account for one in await owed(conn)] == ["bot", "bot"]
    await log_out(conn, "bot", 1)
    await drain(bench.jobs, "default")
    (digest,) = await owed(conn)
    assert (digest.account, digest.payload["notification_ids"]) == ("work", [first, second])
    assert [(one.account, labels(one.payload)) for one in await owed(conn, "card")] == [
        ("bot", ["Approve", "Reject", "Always"]),
        ("work", ["Approve", "Reject", "Always"]),
    ]
    third = await told(conn)
    assert [one.payload["notification_ids"] for one in await owed(conn)] == [[first, second], [third]]
    await approve(conn, action.id, ANN, digest=action.digest)
    assert all("approved" in payload["text"] for payload in (await shown(conn)).values())
    await logged_in(database, "bot", 1)
    await drain(bench.jobs, "default")
    assert (len(await owed(conn)), len(await cards(conn))) == (2, 2)


async def test_where_there_is_no_other_it_waits_for_the_next_login(
    bench: Bench, database: Database, conn: Connection, ada: User
) -> None:
    first = await told(conn)
    async with conn.transaction():
        await put_out_of_use(conn, "bot", 1, KeyRefused("revoked", "SESSION_REVOKED"))
    await drain(bench.jobs, "default")
    second = await told(conn)
    await bench.asked()
    assert (await owed(conn), await cards(conn)) == ([], [])
    await logged_in(database, "bot", 1)
    await drain(bench.jobs, "default")
    (digest,) = await owed(conn)
    assert {first, second} < set(digest.payload["notification_ids"])  # and that the account was out of use
    assert [(one.account, one.user_id) for one in await owed(conn, "card")] == [("bot", ada.id)]


async def test_a_try_that_may_have_arrived_stays_where_it_is_and_what_may_not_go_by_the_other_goes_nowhere(
    bench: Bench, database: Database, conn: Connection, ada: User
) -> None:
    await comes_by(conn, database, ada, "work")
    await comes_by(conn, database, ada, "bot")
    begun, kept_off = await told(conn), await told(conn, not_by="work")
    await execute(
        conn,
        "UPDATE jobs.deliveries SET unsure_since = now() WHERE owed_for = %(for)s",
        {"for": f"notification:{begun}"},
    )
    await log_out(conn, "bot", 1)
    await drain(bench.jobs, "default")
    assert [(one.account, one.payload["notification_ids"]) for one in await owed(conn)] == [("bot", [begun])]
    assert kept_off


async def test_a_phone_that_is_paired_later_is_shown_what_waits_already(
    bench: Bench, database: Database, conn: Connection, ada: User
) -> None:
    await bench.asked()
    await send(conn)
    await contact(database, 5, account="bot", tg_user_id=5)
    for _ in range(2):
        async with database.transaction() as own:
            sender = await people.contact(own, "telegram", "5", tg_user_id=5)
            assert await pairing.redeem(own, bench.jobs, sender, "5", (await pairing.begin(own)).code)
    (card,) = await owed(conn, "card")
    assert (card.user_id, card.chat, labels(card.payload)) == (ada.id, None, ["Approve", "Reject", "Always"])


async def test_strangers_who_wait_are_shown_by_another_account_and_on_a_phone_that_is_paired_later(
    bench: Bench, database: Database, conn: Connection, ada: User
) -> None:
    await comes_by(conn, database, ada, "work")
    await comes_by(conn, database, ada, "bot")
    for number in (666, 5):
        who = await contact(database, number, account="work", tg_user_id=number, name=f"n{number}")
        async with database.transaction() as own:
            await hold(own, who, Stranger(str(number), f"telegram_{number}", "hello"), hold_unknown=True)
    await log_out(conn, "bot", 1)
    assert [one.account for one in await owed(conn, "card")] == ["bot", "bot", "work", "work"]
    await send(conn)
    async with database.transaction() as own:
        sender = await people.contact(own, "telegram", "5", tg_user_id=5)
        assert await pairing.redeem(own, bench.jobs, sender, "5", (await pairing.begin(own)).code)
    (eve,) = [one for one in await owed(conn, "card") if "edits" not in one.payload]
    assert (eve.user_id, "Number there: 666" in eve.payload["text"]) == (ada.id, True)
    changed = [one.payload["text"] for one in await owed(conn, "card") if "edits" in one.payload]
    assert [text.startswith("Allowed by") for text in changed] == [True, True]  # of the two about that phone


async def test_whoever_comes_by_telegram_only_now_is_shown_what_waits_already(
    bench: Bench, database: Database, conn: Connection
) -> None:
    async with database.transaction() as own:
        await people.owner(own)
    await bench.asked()
    assert await cards(conn) == []
    user = await owner_with_a_phone(database)
    eve = await contact(database, 666, account="bot", tg_user_id=666)
    for who, chat in ((eve, "telegram_666"), (user, f"telegram_{ADA}"), (user, f"telegram_-100_{ADA}")):
        async with database.transaction() as own:
            await begin_chat(own, NewChat("telegram", who.id, account="bot"), session_id=chat)
    assert [(one.account, one.user_id) for one in await owed(conn, "card")] == [("bot", user.id)]


async def test_an_owner_who_is_one_no_more_learns_that_and_not_what_became_of_it(
    bench: Bench, database: Database, conn: Connection, ada: User
) -> None:
    bob = await contact(database, 8, account="bot", tg_user_id=8, name="Bob")
    await set_role(database, bob, "owner")
    action = await bench.asked()
    await send(conn)
    await set_role(database, bob, "external")
    await approve(conn, action.id, ANN, digest=action.digest)
    now = {one.user_id: one.payload for one in await cards(conn) if "edits" in one.payload}
    assert "approved" in now[ada.id]["text"]
    assert now[bob.id]["text"] == "This is not yours to decide any more."
    assert labels(now[bob.id]) == []
