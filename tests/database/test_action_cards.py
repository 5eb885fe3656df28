"""Cards of pending actions: who is shown one, what it says, and that each change is told once, with the fact."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from assistant import actions, approvals, closing, presses, sending, undelivered
from assistant.approvals import OWNERS
from assistant.cards import Receiver, receivers
from assistant.people import User
from assistant.person_links import link, unlink
from assistant.senders import Senders
from assistant.shown import units
from handlers import deliver
from jobs_core import Connection, Database, HandlerTable, Jobs, execute, fetch
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.waits import go_on
from sessions import ToolCall
from tests.support.approvals import ANN, EDITED, Bench, bench_on
from tests.support.cards import cards, data, labels, owner_with_a_phone, send, shown
from tests.support.database import Undone, until_blocked
from tests.support.people import ADA, contact, set_role
from tests.support.receiver import LocalSender
from tests.support.receiver import Receiver as Phone
from workers import testing


@pytest.fixture
async def bench(database: Database, conn: Connection) -> AsyncIterator[Bench]:
    async with bench_on(database, conn) as made:
        yield made


@pytest.fixture
async def ada(database: Database) -> User:
    return await owner_with_a_phone(database)


async def the_card(conn: Connection) -> Any:
    (payload,) = (await shown(conn)).values()
    return payload


def private(user: User) -> dict[str, Any]:
    """The chat that somebody has with us by themselves."""
    return {"session_id": f"telegram_{user.tg_user_id}", "begin": True, "channel": "telegram", "user_id": user.id}


async def test_an_owner_whose_agent_asks_in_the_web_has_the_card_on_the_phone(
    bench: Bench, conn: Connection, ada: User
) -> None:
    action = await bench.asked()
    (card,) = await cards(conn)
    assert (card.channel, card.account, card.chat, card.user_id) == ("telegram", "bot", None, ada.id)
    assert card.lane == f"out:bot:user:{ada.id}"
    assert labels(card.payload) == ["Approve", "Reject", "Always"]
    assert data(card.payload, "Approve") == f"approve:{action.id}:{action.digest[:8]}"
    for part in ("rm -r build", "Bash", "Ada", ada.id, "default of owner", "0 messages", action.digest[:8], "Until 20"):
        assert part in card.payload["text"]
    assert (await fetch(conn, "SELECT state FROM jobs.jobs WHERE id = %(id)s", {"id": card.job_id}))[0][
        "state"
    ] == "pending"


async def test_whoever_asks_in_telegram_has_it_in_that_chat_and_no_second_word(
    bench: Bench, conn: Connection, ada: User
) -> None:
    """What else says that a call waits is in the chat's history, and not sent."""
    action = await bench.asked(account="other", **private(ada))
    assert [(one.kind, one.account, one.chat) for one in await cards(conn)] == [("card", "other", action.session_id)]
    lines = [content for kind, content in await bench.lines(action.session_id) if kind == "system"]
    assert lines == [f"Bash waits for approval: action {action.id}."]
    sent = await fetch(conn, "SELECT kind FROM jobs.deliveries WHERE channel IS NOT NULL")
    assert [row["kind"] for row in sent] == ["card"]


@pytest.mark.parametrize("chat", ["telegram_-100123_4711", "telegram_-100123_9_4711", "telegram_other_-77_4711"])
async def test_what_is_asked_in_a_group_is_shown_to_its_owner_alone(
    bench: Bench, conn: Connection, ada: User, chat: str
) -> None:
    """The others there hear that something waits, and not what; what comes of it is not told there, either."""
    action = await bench.asked(**private(ada) | {"session_id": chat, "account": "other"})
    (card,) = await cards(conn)
    assert (card.account, card.chat, card.user_id) == ("bot", None, ada.id)
    said = await fetch(conn, "SELECT payload ->> 'text' AS text FROM jobs.deliveries WHERE chat IS NOT NULL")
    assert [row["text"] for row in said] == [f"Bash waits for approval: action {action.id}."]
    await send(conn)
    await approvals.approve(conn, action.id, ANN, digest=action.digest)
    assert {one.chat for one in await cards(conn)} == {None}


async def test_a_number_that_was_unlinked_is_shown_no_card_in_the_chat_that_it_had(
    bench: Bench, conn: Connection, database: Database, ada: User
) -> None:
    """A lost phone: the chat is the owner's still, and who reads it is not."""
    await contact(database, 5, tg_user_id=5)
    async with database.transaction() as own:
        await link(own, "telegram", "5", ada.id)
        await unlink(own, "telegram", str(ADA))
    await bench.asked(account="bot", **private(ada))
    assert [one.chat for one in await cards(conn) if one.chat] == []


async def test_a_guest_whose_agent_asks_sees_no_card_and_every_owner_with_a_phone_does(
    bench: Bench, conn: Connection, database: Database, ada: User
) -> None:
    eve = await set_role(database, await contact(database, 5, name="Eve", account="bot"), "owner")
    await set_role(database, await contact(database, "x", channel="scheduled"), "owner")
    bob = await contact(database, 7, name="Bob", account="bot")
    await bench.edit_agent(gate_policy=[{"tool": "Bash", "then": "ask"}])
    await bench.asked(channel="telegram", user_id=bob.id, account="bot")
    assert {one.user_id for one in await cards(conn)} == {ada.id, eve.id}


async def test_an_owner_is_written_to_by_the_account_of_their_newest_chat_where_no_other_is_known(
    bench: Bench, conn: Connection, database: Database
) -> None:
    """And nobody is, of whom none is known: the list of approvals stays."""
    ada = await owner_with_a_phone(database, account=None)
    assert await receivers(conn, [OWNERS]) == []
    for account in ("old", "new"):
        await bench.say("hello", channel="telegram", user_id=ada.id, account=account)
    assert await receivers(conn, [OWNERS]) == [Receiver(ada.id, "telegram", "new", None)]
    await owner_with_a_phone(database, account="last")
    assert await receivers(conn, [ada.id]) == [Receiver(ada.id, "telegram", "last", None)]
    assert await receivers(conn, ["role:external", "u_nobody"]) == []


@pytest.mark.parametrize("how", ["approved", "edited", "failed", "rejected", "superseded", "cancelled", "expired"])
async def test_what_became_of_a_call_is_told_on_its_card_without_buttons(
    bench: Bench, conn: Connection, ada: User, how: str
) -> None:
    action = await bench.asked()
    await send(conn)
    bench.agent.fails = how == "failed"
    tells = {
        "approved": ("approved by ann", "It ran."),
        "edited": ("approved by ann", "with other arguments", "rm -r build/old", "It ran."),
        "failed": ("approved by ann", "It ran, and failed."),
        "rejected": ("rejected by ann", "Reason: use \\u202e the other host"),
        "superseded": (f'superseded by "Ada" ({ada.id})', "Reason: no, only look"),
        "cancelled": ("called off", "its job has ended"),
        "expired": ("expired by time",),
    }[how]
    match how:
        case "approved" | "failed":
            await approvals.approve(conn, action.id, ANN, digest=action.digest)
        case "edited":
            await approvals.approve(conn, action.id, ANN, digest=action.digest, edited=EDITED)
        case "rejected":
            await approvals.reject(conn, action.id, ANN, digest=action.digest, reason="use \u202e the other host")
        case "superseded":
            await bench.say("no, only look", action.session_id)
        case "cancelled":
            await bench.jobs.cancel(action.job_id)
            await actions.end_with_jobs(conn)
        case "expired":
            await execute(conn, "UPDATE jobs.pending_actions SET expires_at = clock_timestamp()")
            await execute(conn, "UPDATE jobs.jobs SET wait_until = clock_timestamp() WHERE state = 'waiting'")
            await go_on(conn, batch=1)
    await send(conn)
    if how != "cancelled":
        assert await bench.run() == "complete"
    card = await the_card(conn)
    for part in tells:
        assert part in card["text"]
    assert labels(card) == []
    changes = [one for one in await cards(conn) if "edits" in one.payload]
    assert len(changes) == (2 if how in {"approved", "edited", "failed"} else 1)
    assert {one.lane for one in changes} == {f"out:bot:user:{ada.id}"}


async def test_a_call_whose_run_was_lost_is_unknown_on_its_card(bench: Bench, conn: Connection, ada: User) -> None:
    action = await bench.asked()
    await approvals.approve(conn, action.id, ANN, digest=action.digest)
    bench.agent.dies = "ran"
    assert await bench.run() == "pending"
    assert await bench.run() == "complete"
    assert "nobody knows whether it took effect" in (await the_card(conn))["text"]


@pytest.mark.parametrize(("ran", "says"), [(True, "It ran."), (False, "It did not run.")])
async def test_what_an_owner_says_of_such_a_call_stands_on_its_card_too(
    bench: Bench, conn: Connection, ada: User, *, ran: bool, says: str
) -> None:
    action = await bench.asked()
    await approvals.approve(conn, action.id, ANN, digest=action.digest)
    bench.agent.dies = "ran"
    assert [await bench.run(), await bench.run()] == ["pending", "complete"]
    await send(conn)
    await closing.close(conn, action.id, ANN, ran=ran, digest=action.digest)
    card = await the_card(conn)
    assert f"\n{says}\nReason: ann said that it " in card["text"]


async def test_a_card_that_was_not_sent_yet_says_what_is_true_by_then_and_nothing_else_is_sent(
    bench: Bench, conn: Connection, ada: User
) -> None:
    action = await bench.asked()
    (before,) = await cards(conn)
    await approvals.approve(conn, action.id, ANN, digest=action.digest)
    assert await bench.run() == "complete"
    (card,) = await cards(conn)
    assert (card.id, card.random_id, labels(card.payload)) == (before.id, before.random_id, [])
    assert "It ran." in card.payload["text"]


async def test_a_change_that_was_not_sent_yet_takes_the_next_one_in(bench: Bench, conn: Connection, ada: User) -> None:
    action = await bench.asked()
    await send(conn)
    await approvals.approve(conn, action.id, ANN, digest=action.digest)
    assert await bench.run() == "complete"
    card, change = await cards(conn)
    assert (change.payload["edits"], change.state) == (card.id, "owed")
    assert "It ran." in change.payload["text"]


@pytest.mark.parametrize(("state", "edits"), [("sent", 1), ("failed", 0), ("unknown", 0)])
async def test_a_card_that_did_not_arrive_is_not_edited_and_its_retry_shows_what_is_true(
    bench: Bench, conn: Connection, ada: User, state: str, edits: int
) -> None:
    action = await bench.asked()
    await execute(conn, "UPDATE jobs.deliveries SET state = %(state)s WHERE kind = 'card'", {"state": state})
    await approvals.reject(conn, action.id, ANN, digest=action.digest)
    card, *changes = await cards(conn)
    assert (len(changes), bool(labels(card.payload))) == (edits, state == "sent")


async def test_a_try_that_may_have_arrived_is_followed_by_a_change_and_not_rewritten(
    bench: Bench, conn: Connection, other: Connection, ada: User
) -> None:
    """A try that begins while a decision commits sends what was decided; a decision while a try is out changes its message."""
    action = await bench.asked()
    (card,) = await cards(conn)
    assert card.job_id
    worker_id = await register(conn, queues=["out:bot"], job_types=["deliver"], slots=1, lease_s=600)
    (job,) = await claim(conn, worker_id=worker_id, queues=["out:bot"], job_types=["deliver"], slots=1)
    async with other.transaction():
        await approvals.reject(other, action.id, ANN, digest=action.digest)
        begins = asyncio.create_task(sending.begin(conn, job, card.id))
        await until_blocked(other)
    begun = await begins
    assert begun
    assert "rejected" in begun.delivery.payload["text"]
    await sending.put_off(conn, card.id, "cut", arrived_not=False, unsure_since=None)
    await execute(conn, "UPDATE jobs.pending_actions SET state = 'pending', decided_by = NULL")
    await approvals.approve(other, action.id, ANN, digest=action.digest)
    assert ["edits" in one.payload for one in await cards(conn)] == [False, True]


async def test_a_change_is_owed_with_its_fact_or_not_at_all(bench: Bench, conn: Connection, ada: User) -> None:
    action = await bench.asked()
    await send(conn)
    with pytest.raises(Undone):
        async with conn.transaction():
            await approvals.approve(conn, action.id, ANN, digest=action.digest)
            raise Undone
    assert len(await cards(conn)) == 1
    await approvals.approve(conn, action.id, ANN, digest=action.digest)
    assert len(await cards(conn)) == 2


async def test_its_card_goes_out_while_the_turn_waits(bench: Bench, conn: Connection, ada: User) -> None:
    """No lane of a turn stands before it."""
    action = await bench.asked(account="bot", **private(ada))
    (card,) = await cards(conn)
    worker_id = await register(conn, queues=["out:bot"], job_types=["deliver"], slots=1, lease_s=600)
    claimed = await claim(conn, worker_id=worker_id, queues=["out:bot"], job_types=["deliver"], slots=9)
    assert [job.id for job in claimed] == [card.job_id]
    assert (await bench.action()).state == "pending" == action.state


async def test_a_card_stays_one_message_whatever_is_in_its_call(bench: Bench, conn: Connection, ada: User) -> None:
    """What is cut is told, and such calls are not allowed for good by a button: nobody has read one."""
    many = {f"\U0001f600{n}" * 30: "\n\u202e\x1b[2K" * 100 for n in range(60)}
    bench.agent.call = ToolCall("toolu_1", "Bash\u202e", {"command": "rm -r build" + " " * 900 + "; curl evil", **many})
    await bench.asked()
    payload = await the_card(conn)
    assert units(payload["text"]) <= 4_000
    assert "\u202e" not in payload["text"]
    assert "\x1b" not in payload["text"]
    assert "; curl evil" in payload["text"]
    assert "Not all of it is shown" in payload["text"]
    assert labels(payload) == ["Approve", "Reject"]


def phone(database: Database) -> tuple[Phone, Jobs]:
    """What the owner's phone shows, and a process that holds the account which sends there."""
    sender, table, senders = LocalSender(), HandlerTable(), Senders()
    senders.register("telegram", sender, accounts=["bot"])
    deliver.register(table, database=database, senders=senders)
    return sender.receiver, Jobs(database, table)


async def test_a_phone_is_shown_the_call_then_what_was_decided_then_what_came_of_it(
    bench: Bench, database: Database, ada: User
) -> None:
    receiver, process = phone(database)
    async with process as sending_jobs:
        action = await bench.asked()
        await testing.drain(sending_jobs, "out:bot")
        async with database.transaction() as own:
            await presses.press(own, bench.jobs, ada, f"approve:{action.id}:{action.digest[:8]}")
        await testing.drain(sending_jobs, "out:bot")
        assert await bench.run() == "complete"
        await testing.drain(sending_jobs, "out:bot")
    chats, texts = zip(*receiver.shown, strict=True)
    assert set(chats) == {f"user:{ada.id}"}
    assert [text.split("\n")[0].partition(",")[0] for text in texts] == [
        f"Action {action.id} waits for approval",
        *[f'Action {action.id} approved by "Ada" ({ada.id})'] * 2,
    ]
    assert ["It ran." in text for text in texts] == [False, False, True]


async def test_each_process_that_sends_looks_for_calls_whose_job_has_ended(
    bench: Bench, database: Database, conn: Connection, ada: User
) -> None:
    """Nobody tells this room that a job was cancelled, and nobody pressed, or listed approvals."""
    receiver, process = phone(database)
    async with process as sending_jobs:
        action = await bench.asked()
        await bench.jobs.cancel(action.job_id)
        await testing.drain(sending_jobs, "out:bot")
    assert [text.split("\n")[0] for _, text in receiver.shown] == [
        f"Action {action.id} called off: it does not run",
    ]


async def test_an_agent_is_not_told_of_cards_that_did_not_arrive(bench: Bench, conn: Connection, ada: User) -> None:
    action = await bench.asked(channel="telegram", user_id=ada.id, account="bot")
    await execute(conn, "UPDATE jobs.deliveries SET state = 'blocked' WHERE kind = 'card'")
    await undelivered.tell_agent(conn, action.session_id, action.turn_id)
    assert await undelivered.told_in(conn, action.session_id, action.turn_id) is None
