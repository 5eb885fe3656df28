"""Callbacks: events are owed where they happen, sent signed, once for a receiver that remembers ids, and seen to their end."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from standardwebhooks import Webhook

from assistant import callbacks as book
from assistant import chats, sending
from assistant.deliveries import Delivery, list_deliveries
from assistant.errors import CallbackExists, NoSuchCallback
from assistant.notifications import list_notifications, notify
from assistant.reported import REPORT_END
from assistant.senders import Senders
from assistant.sending import resend
from assistant.undelivered import tell_agent, told_in
from gateways.webhooks import callbacks
from gateways.webhooks.egress.call import Caller
from gateways.webhooks.egress.sender import WebhookSender
from handlers import deliver, report_end
from jobs_core import Complete, Connection, Database, Fail, HandlerTable, InvalidInput, Job, Jobs, db, execute
from jobs_core.cancel import cancel
from jobs_core.look import find
from tests.support.database import Undone
from tests.support.http_receiver import SETTINGS, HttpReceiver, receiving
from tests.support.job_types import LANE_NOTE, NOTE, Note
from workers import testing

OUT = "out:webhook"
ALL = {"notification.created": dict[str, list[str]]()}


@dataclass
class Place:
    """A process that sends callbacks, and a receiver beside it."""

    jobs: Jobs
    conn: Connection
    receiver: HttpReceiver

    async def add(self, events: Any = None, name: str = "shop", url: str | None = None) -> str:
        """A callback to the receiver; its secret."""
        given = {"url": url or self.receiver.url, "events": events or ALL}
        return await callbacks.add(self.conn, name, given, settings=SETTINGS)

    async def happen(self, **what: Any) -> None:
        """Something that callbacks may want to hear of."""
        said = {"user_id": "ada", "title": "Hi", "body": "It is so.", "category": "test", **what}
        await notify(self.conn, **said)

    async def run(self, *queues: str) -> list[testing.Run]:
        """Run what is ready, without a wait for what is not."""
        return await testing.drain(self.jobs, *(queues or (OUT,)))

    async def owed(self) -> list[Delivery]:
        """What callbacks were owed, the oldest first."""
        rows = await list_deliveries(self.conn)
        return [one for one in reversed(rows) if one.channel == "webhook"]

    async def later(self) -> None:
        """Have all that waits be due."""
        await execute(
            self.conn, "UPDATE jobs.jobs SET scheduled_for = clock_timestamp() WHERE scheduled_for IS NOT NULL"
        )

    async def days_later(self) -> None:
        """Have so much time pass that a callback is switched off, and what was tried is given up."""
        await execute(self.conn, "UPDATE jobs.callbacks SET failing_since = failing_since - interval '73 hours'")
        await execute(self.conn, "UPDATE jobs.jobs SET give_up_at = give_up_at - interval '73 hours'")
        await self.later()


async def _end(job: Job[Note]) -> Complete | Fail:
    word, _, levels = job.input.text.partition(" ")
    if word == "deep":
        return Complete({"told": json.loads("[" * int(levels) + "]" * int(levels))})
    return Fail("no") if word == "fail" else Complete({"told": job.input.text})


@pytest.fixture
async def place(database: Database, conn: Connection) -> AsyncIterator[Place]:
    """A process with the sender of webhooks."""
    table, senders = HandlerTable(), Senders()
    senders.register("webhook", WebhookSender(database, Caller(SETTINGS, within_s=1.0)))
    deliver.register(table, database=database, senders=senders)
    report_end.register(table)
    table.register_handler(NOTE, _end)
    table.declare(LANE_NOTE)
    async with receiving() as receiver, Jobs(database, table) as jobs:
        yield Place(jobs, conn, receiver)


async def test_an_event_arrives_signed_as_standard_webhooks_has_it(place: Place) -> None:
    secret = await place.add()
    await place.happen(title="Ünïcode ☃")
    await place.run()
    [taken] = place.receiver.taken
    said = Webhook(secret).verify(taken.body, taken.headers)
    [owed] = await place.owed()
    assert taken.line == "POST /in HTTP/1.1"
    assert taken.headers["host"] == f"127.0.0.1:{place.receiver.port}"
    assert taken.headers["webhook-id"] == f"msg_{owed.random_id}"
    assert said["type"] == "notification.created"
    assert (said["data"]["title"], said["data"]["user_id"]) == ("Ünïcode ☃", "ada")
    assert (owed.state, owed.lane, owed.tries) == ("sent", "out:webhook:shop", 1)


async def test_what_is_rolled_back_is_told_to_nobody(place: Place) -> None:
    await place.add()
    with pytest.raises(Undone):
        async with place.conn.transaction():
            await place.happen()
            raise Undone
    assert await place.owed() == []


async def test_each_callback_is_told_of_what_it_wants(place: Place) -> None:
    await place.add({"notification.created": {"category": ["a", "b"], "severity": ["error"]}}, "some")
    await place.add({"notification.created": {"user_id": [""]}}, "owners")
    await place.add({"turn.ended": {}}, "turns")
    off = await place.add(ALL, "off")
    await callbacks.change(place.conn, "off", {"enabled": False}, settings=SETTINGS)
    assert off
    await place.happen(category="a", severity="error")
    await place.happen(category="a")
    await place.happen(category="c", severity="error")
    await place.happen(user_id=None)
    assert [one.chat for one in await place.owed()] == ["some", "owners"]


async def test_a_turns_end_is_told_with_its_answer(place: Place, database: Database) -> None:
    await place.add({"turn.ended": {"agent": ["assistant"], "state": ["answered"]}})
    await place.add({"turn.ended": {"state": ["failed"]}}, "failures")
    async with Jobs(database, _with_chats()) as jobs:
        for ends, trial in ((chats.answer, False), (chats.fail, False), (chats.answer, True)):
            received = await chats.receive(
                place.conn, jobs, session_id=None, channel="web", message="Hello", user_id="ada", trial=trial
            )
            turn_id = uuid4()
            chat = received.session_id
            await execute(
                place.conn,
                "UPDATE jobs.chat_message_history SET turn_id = %(turn)s WHERE session_id = %(chat)s",
                {"turn": turn_id, "chat": chat},
            )
            async with place.conn.transaction():
                await ends(place.conn, chat, turn_id, "words")
    answered, failed = await place.owed()
    assert (answered.chat, failed.chat) == ("shop", "failures")
    data = answered.payload["data"]
    assert (data["text"], data["state"], data["user_id"], data["channel"]) == ("words", "answered", "ada", "web")
    assert "words" in failed.payload["data"]["text"]


def _with_chats() -> HandlerTable:
    table = HandlerTable()
    table.declare(chats.CHAT_TURN)
    return table


@pytest.mark.parametrize(("text", "state"), [("fail", "failed"), ("well", "complete"), ("never", "cancelled")])
async def test_a_jobs_end_is_told_whichever_way_it_ended(place: Place, text: str, state: str) -> None:
    await place.add({"job.ended": {"job_type": ["note"]}})
    await place.add({"job.ended": {"job_type": ["other"]}}, "others")
    given = {"job_type": "note", "input": {"text": text}, "queue": "elsewhere"}
    report = await place.jobs.create(REPORT_END, given)
    await place.run("default")
    if state == "cancelled":  # before anybody has claimed it
        await cancel(place.conn, report.id + 1)
    await place.run("default", "elsewhere")
    await place.run("default")
    [owed] = await place.owed()
    data = owed.payload["data"]
    assert (owed.chat, data["state"], data["job_type"], data["report_id"]) == ("shop", state, "note", report.id)
    assert data["result"] == ({"told": "well"} if state == "complete" else None)
    async with place.jobs.database.connection() as conn:
        view = await find(conn, report.id)
    assert view is not None
    assert view.state == "complete"


async def test_a_job_that_cannot_be_created_fails_its_report_and_is_told_to_nobody(place: Place) -> None:
    await place.add({"job.ended": {}})
    for given in ({"job_type": "note", "input": {"odd": 1}}, {"job_type": "note", "priority": 9}):
        await place.jobs.create(REPORT_END, given)
    runs = await place.run("default")
    assert [(one.state, one.job is not None) for one in runs] == [("failed", True)] * 2
    assert await place.owed() == []


async def test_a_report_outlasts_a_worker_that_does_not_know_its_job_type(place: Place, database: Database) -> None:
    """In a rolling deploy the old code may be first to claim it; a type that nobody knows fails it in the end."""
    await place.add({"job.ended": {}})
    old = HandlerTable()
    report_end.register(old)
    await place.jobs.create(REPORT_END, {"job_type": "note", "input": {"text": "well"}})
    async with Jobs(database, old) as before:
        [run] = await testing.drain(before, "default")
    assert (run.state, "no job type is called 'note'" in str(run.outcome)) == ("pending", True)
    await place.later()
    await place.run("default")
    assert [one.payload["data"]["state"] for one in await place.owed()] == ["complete"]


async def test_a_long_result_is_left_out_of_what_is_told(place: Place) -> None:
    await place.add({"job.ended": {}})
    await place.jobs.create(REPORT_END, {"job_type": "note", "input": {"text": "x" * 70_000}})
    await place.run("default")
    [owed] = await place.owed()
    assert (owed.payload["data"]["result"], owed.payload["data"]["result_left_out"]) == (None, True)


async def test_a_deep_result_is_left_out_of_what_is_told(place: Place) -> None:
    """The deepest that a job may have lies deeper in what is owed, which was refused there, and the event lost."""
    await place.add({"job.ended": {}})
    for levels in (62, 63):
        await place.jobs.create(REPORT_END, {"job_type": "note", "input": {"text": f"deep {levels}"}})
    await place.run("default")
    assert [one.payload["data"]["result_left_out"] for one in await place.owed()] == [False, True]


async def test_a_try_that_was_cut_off_after_it_arrived_goes_out_again_under_the_same_id(place: Place) -> None:
    async def dies(writer: asyncio.StreamWriter) -> None:
        writer.close()

    secret = await place.add()
    place.receiver.answers.append(dies)
    await place.happen()
    await place.run()
    [owed] = await place.owed()
    assert (owed.state, owed.unsure_since is not None) == ("owed", True)
    await place.later()
    await place.run()
    first, second = place.receiver.taken
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    Webhook(secret).verify(second.body, second.headers)
    assert [one.state for one in await place.owed()] == ["sent"]


async def test_what_is_refused_is_tried_later_and_later_and_what_asks_for_time_gets_it(place: Place) -> None:
    await place.add()
    place.receiver.answers.extend(
        [(500, {}), (302, {"location": f"{place.receiver.url}2"}), (429, {"retry-after": "1800"})]
    )
    await place.happen()
    reasons = []
    for _ in range(4):
        await place.run()
        reasons.append((await place.owed())[0].said)
        await place.later()
    assert reasons == ["HTTP 500", "HTTP 302", "HTTP 429: it asks for 1800 s", None]
    assert {taken.line for taken in place.receiver.taken} == {"POST /in HTTP/1.1"}, "a redirect was followed"
    [owed] = await place.owed()
    assert (owed.state, owed.tries) == ("sent", 4)
    assert (await book.find_callback(place.conn, "shop")).failing_since is None


async def test_events_of_one_callback_arrive_in_order_and_wait_for_no_other_callback(place: Place) -> None:
    await place.add()
    await place.add(name="dead", url="http://127.0.0.1:1025/")
    for title in "abc":
        await place.happen(title=title)
    await place.run()
    assert [json.loads(one.body)["data"]["title"] for one in place.receiver.taken] == ["a", "b", "c"]
    dead = [one for one in await place.owed() if one.chat == "dead"]
    assert [one.state for one in dead] == ["owed"] * 3
    assert "cannot be connected to" in (dead[0].said or "")
    assert dead[0].unsure_since is None, "nothing was sent"


async def test_a_receiver_that_is_gone_switches_its_callback_off_and_the_owner_is_told(place: Place) -> None:
    await place.add({"notification.created": {"category": ["test"]}})
    place.receiver.answers.append((410, {}))
    await place.happen()
    await place.happen()
    await place.run()
    shown = await book.find_callback(place.conn, "shop")
    assert (shown.enabled, shown.off_why) == (False, "its receiver answered 410, Gone")
    assert [one.state for one in await place.owed()] == ["failed", "failed"]
    assert len(place.receiver.taken) == 1, "it was called though it is off"
    titles = [one.title for one in await list_notifications(place.conn) if one.category == "webhooks"]
    assert titles == ["The callback shop was switched off: its receiver answered 410, Gone"]


async def test_a_receiver_that_failed_for_days_is_called_no_more_until_somebody_says_so(place: Place) -> None:
    await place.add({"notification.created": {"category": ["test"]}})
    place.receiver.answers.extend([(500, {})] * 3)
    await place.happen()
    await place.run()
    await place.days_later()
    await place.run()
    assert (await book.find_callback(place.conn, "shop")).enabled, "one event is no receiver"
    await place.happen()
    await place.run()
    shown = await book.find_callback(place.conn, "shop")
    assert (shown.enabled, shown.off_why) == (False, "no try has arrived for 3 days")
    await place.later()
    await place.run()
    lost, owed = await place.owed()
    assert (lost.state, lost.said) == ("failed", "given up after 3 days, 0:00:00: HTTP 500")
    assert (owed.state, owed.said) == ("failed", "callback shop is off: no try has arrived for 3 days")
    again = await callbacks.change(place.conn, "shop", {"enabled": True}, settings=SETTINGS)
    assert (again.enabled, again.off_why, again.failing_since) == (True, None, None)
    for one in (lost, owed):
        await resend(place.conn, one.id)
    await place.run()
    assert [one.state for one in await place.owed()] == ["sent", "sent"]
    assert len({taken.headers["webhook-id"] for taken in place.receiver.taken}) == 2


async def test_one_event_that_is_refused_for_days_takes_none_behind_it_along(place: Place) -> None:
    """A receiver may never take one event, too long for it or of a kind it does not know, and take all others."""
    await place.add()
    place.receiver.answers.extend([(413, {})] * 2)
    for title in ("too long", "b", "c"):
        await place.happen(title=title)
    await place.run()
    await place.days_later()
    await place.run()
    assert [one.state for one in await place.owed()] == ["failed", "sent", "sent"]
    shown = await book.find_callback(place.conn, "shop")
    assert (shown.enabled, shown.failing_since) == (True, None)


async def test_what_a_removed_callback_was_owed_is_sent_to_no_other_of_its_name(place: Place) -> None:
    await place.add(url="https://8.8.8.8/")
    await place.happen(title="Not for them")
    await book.remove_callback(place.conn, "shop")
    await place.add()
    await place.happen(title="For them")
    await place.run()
    assert [json.loads(one.body)["data"]["title"] for one in place.receiver.taken] == ["For them"]
    first, second = await place.owed()
    assert (first.state, first.said, second.state) == ("failed", "callback shop was removed", "sent")


async def test_both_secrets_sign_while_one_replaces_the_other(place: Place) -> None:
    old = await place.add()
    new = await callbacks.rotate(place.conn, "shop", timedelta(hours=1))
    await place.happen()
    await place.run()
    await callbacks.rotate(place.conn, "shop", timedelta(0))
    await place.happen()
    await place.run()
    during, after = place.receiver.taken
    for secret in (old, new):
        Webhook(secret).verify(during.body, during.headers)
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(secret).verify(after.body, after.headers)
    assert len((await book.find_callback(place.conn, "shop")).secrets) == 1


async def test_a_test_is_sent_as_all_events_are_though_the_callback_is_off(place: Place) -> None:
    secret = await place.add({"job.ended": {}})
    await callbacks.change(place.conn, "shop", {"enabled": False}, settings=SETTINGS)
    owed = await callbacks.send_test(place.conn, "shop")
    await place.run()
    [taken] = place.receiver.taken
    assert Webhook(secret).verify(taken.body, taken.headers)["type"] == "callback.test"
    assert [(one.id, one.state) for one in await place.owed()] == [(owed.id, "sent")]
    with pytest.raises(NoSuchCallback):
        await callbacks.send_test(place.conn, "nobody")


async def test_what_did_not_arrive_at_a_callback_is_told_to_the_owner_and_to_no_callback(place: Place) -> None:
    """It would be told of the failure to tell it that, and so on; and in an outage each of all others."""
    await place.add({"notification.created": {"category": ["test", "delivery"]}})
    await place.add({"notification.created": {"category": ["delivery"]}}, name="other")
    await place.happen()
    [lost] = await place.owed()
    await sending.end(place.conn, lost.id, "failed", said="HTTP 500")
    assert [one.id for one in await place.owed()] == [lost.id]
    assert "Not delivered by webhook: failed" in [one.title for one in await list_notifications(place.conn)]


async def test_an_agent_is_told_of_no_event_that_did_not_arrive_whatever_its_callback_is_called(place: Place) -> None:
    chat = str(uuid4())  # as chats are
    await place.add(name=chat)
    await place.happen()
    [lost] = await place.owed()
    await sending.end(place.conn, lost.id, "failed", said="HTTP 500")
    turn_id = uuid4()
    await tell_agent(place.conn, chat, turn_id)
    assert await told_in(place.conn, chat, turn_id) is None


NO_CALLBACKS: list[tuple[dict[str, Any], str]] = [
    ({"events": {}}, "events"),
    ({"events": {"job.began": {}}}, "events"),
    ({"events": {"turn.ended": {"text": ["x"]}}}, "events"),
    ({"events": {"turn.ended": {"agent": "x"}}}, "events"),
    ({"events": {"turn.ended": {"agent": []}}}, "events"),
    ({"events": {"turn.ended": {"state": ["complete"]}}}, "events"),
    ({"events": {"job.ended": {"state": ["failed", "completed"]}}}, "events"),
    ({"events": {"notification.created": {"severity": [""]}}}, "events"),
    ({"url": ""}, "url"),
    ({"url": "ftp://127.0.0.1/"}, "url"),
    ({"url": "http://10.0.0.1/"}, "url"),
    ({"failing_since": None}, "failing_since"),
]


async def test_what_is_no_callback_is_refused_by_its_field(place: Place) -> None:
    for given, field in NO_CALLBACKS:
        whole = {"url": place.receiver.url, "events": ALL, **given}
        with pytest.raises(InvalidInput) as refused:
            await callbacks.add(place.conn, "shop", whole, settings=SETTINGS)
        assert field in (refused.value.field or "")
    with pytest.raises(InvalidInput, match="no callback's name"):
        await place.add(name="Shop:1")
    await place.add()
    with pytest.raises(CallbackExists):
        await place.add()
    with pytest.raises(InvalidInput):
        await callbacks.change(place.conn, "shop", {"url": "http://169.254.169.254/"}, settings=SETTINGS)
    assert (await book.find_callback(place.conn, "shop")).url == place.receiver.url


async def test_what_was_saved_before_its_events_were_refused_can_be_switched_off(place: Place) -> None:
    await place.add()
    await execute(place.conn, """UPDATE jobs.callbacks SET events = '{"job.ended": {"state": ["completed"]}}'""")
    with pytest.raises(InvalidInput, match="is never 'completed'"):
        await callbacks.change(
            place.conn, "shop", {"events": {"job.ended": {"state": ["completed"]}}}, settings=SETTINGS
        )
    assert not (await callbacks.change(place.conn, "shop", {"enabled": False}, settings=SETTINGS)).enabled


async def test_what_the_receiver_has_is_sent_though_the_database_was_away_in_between(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only how the callback does is noted there."""
    await place.add()
    away = db.SerializationFailure("gone")

    async def fails(*_given: object, **_named: object) -> None:
        raise away

    monkeypatch.setattr(book, "note_try", fails)
    await place.happen()
    await place.run()
    assert [(one.state, one.tries) for one in await place.owed()] == [("sent", 1)]
    monkeypatch.setattr(book, "target", fails)
    await place.happen()
    await place.run()
    waits = (await place.owed())[1]
    assert (waits.state, waits.unsure_since) == ("owed", None)
    assert len(place.receiver.taken) == 1
