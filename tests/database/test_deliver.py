"""What becomes of a delivery: its job run by hand, its sender local, cut at will."""

import asyncio
import random
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from assistant.deliveries import DELIVER, DeliverInput, Delivery, address, find_delivery, list_deliveries, owe, queue_of
from assistant.errors import NoSuchDelivery, NotResent
from assistant.notifications import list_notifications
from assistant.senders import Answer, Blocked, NotYet, Refused, Senders
from assistant.sending import resend
from handlers import deliver
from jobs_core import Connection, Database, HandlerTable, Jobs, LeaseLost, db, execute
from jobs_core.claim import claim, start
from jobs_core.leases import retire
from jobs_core.look import find
from tests.support.database import Undone
from tests.support.receiver import Died, LocalSender, Receiver
from tests.support.worker import until, working
from workers import testing
from workers.by_hand import WatchedExecutor, do_upkeep, next_job, register_by_hand

QUEUE = queue_of("telegram")
ALL_WORKED_OUT = timedelta(minutes=20)
"""More than any retry waits."""


@dataclass
class Post:
    """Deliveries, their jobs, and the sender of this process."""

    jobs: Jobs
    conn: Connection
    sender: LocalSender

    async def owe(self, text: str = "Hi.", *, chat: str = "a", **way: Any) -> int:
        """A delivery by the channel that has a sender, committed with its job; its id."""
        values = {"channel": "telegram", "chat": chat, "kind": "answer", "user_id": "ada", **way}
        owed = await owe(self.conn, owed_for=f"test:{secrets.token_hex(8)}", payload={"text": text}, **values)
        assert owed is not None
        return owed.id

    async def run(self, *comes_to: Any) -> list[testing.Run]:
        """Run what is ready, each send coming to that in order."""
        self.sender.what_next.extend(comes_to)
        return await testing.drain(self.jobs, QUEUE)

    async def one(self, delivery_id: int) -> Delivery:
        """The delivery as it is now."""
        return await find_delivery(self.conn, delivery_id)


def table_of(database: Database, sender: Any) -> HandlerTable:
    """A table that knows how to deliver by this sender."""
    table, senders = HandlerTable(), Senders()
    senders.register("telegram", sender)
    deliver.register(table, database=database, senders=senders)
    return table


@pytest.fixture
async def post(database: Database, conn: Connection) -> Any:
    """A process with a local sender."""
    sender = LocalSender()
    async with Jobs(database, table_of(database, sender)) as jobs:
        yield Post(jobs, conn, sender)


async def test_a_delivery_and_its_job_are_one_fact(post: Post) -> None:
    with pytest.raises(Undone):
        async with post.conn.transaction():
            await post.owe()
            raise Undone
    assert await list_deliveries(post.conn) == []
    assert await post.run() == []
    owed = await post.one(await post.owe())
    job = await find(post.conn, owed.job_id or 0)
    assert job is not None
    assert (job.lane, job.queue, job.user_id) == (owed.lane, QUEUE, "ada")
    assert owed.lane == "out:telegram:a"


async def test_what_the_receiver_took_is_sent_under_the_number_that_was_drawn_with_it(post: Post) -> None:
    delivery_id = await post.owe()
    drawn = (await post.one(delivery_id)).random_id
    await post.run()
    sent = await post.one(delivery_id)
    assert (sent.state, sent.receiver_id, sent.tries, sent.unsure_since) == ("sent", "m1", 1, None)
    assert post.sender.receiver.ids == [drawn]
    assert await list_notifications(post.conn) == []


async def test_a_receivers_wait_spends_no_retry_and_holds_up_what_stands_behind_it(post: Post) -> None:
    first, second = await post.owe("1"), await post.owe("2")
    await post.run(NotYet(timedelta(seconds=30), "flood wait"))
    waiting = await post.one(first)
    assert (waiting.state, waiting.said, waiting.unsure_since) == ("owed", "flood wait", None)
    job = await find(post.conn, waiting.job_id or 0)
    assert job is not None
    assert job.retry_count == 0
    assert post.sender.receiver.shown == []
    await testing.pass_time(post.jobs, timedelta(seconds=31))
    await post.run()
    assert post.sender.receiver.shown == [("a", "1"), ("a", "2")]
    assert (await post.one(second)).state == "sent"


async def test_a_wait_of_the_whole_account_holds_up_all_of_its_chats(post: Post) -> None:
    await post.owe(chat="a")
    await post.owe(chat="b")
    await post.run(NotYet(timedelta(seconds=30), "flood wait", whole_account=True))
    assert post.sender.receiver.shown == []
    await execute(post.conn, "UPDATE jobs.pauses SET until = clock_timestamp()")  # their times are not passed
    await testing.pass_time(post.jobs, timedelta(seconds=31))
    await post.run()
    assert len(post.sender.receiver.shown) == 2


@pytest.mark.parametrize(
    ("answer", "state"), [(Refused("too long\0"), "failed"), (Blocked("bot was blocked by the user"), "blocked")]
)
async def test_what_the_receiver_will_not_take_ends_and_what_stands_behind_it_goes_on(
    post: Post, answer: Answer, state: str
) -> None:
    refused, behind = await post.owe("1"), await post.owe("2")
    await post.run(answer)
    ended = await post.one(refused)
    assert (ended.state, ended.said) == (state, answer.reason.replace("\0", "\N{REPLACEMENT CHARACTER}"))  # type: ignore[union-attr]  # both have one
    assert (await post.one(behind)).state == "sent"
    (told,) = await list_notifications(post.conn)
    assert (told.category, told.metadata) == ("delivery", {"delivery": refused, "state": state})
    assert "1" not in told.title.replace(str(refused), "")


@pytest.mark.parametrize("place", ["before", "after"])
async def test_a_cut_is_tried_again_under_the_same_number_where_the_receiver_drops_copies(
    post: Post, place: str
) -> None:
    delivery_id = await post.owe()
    await post.run((place, ConnectionResetError))
    unsure = await post.one(delivery_id)
    assert (unsure.state, unsure.said) == ("owed", "the try was cut off: ConnectionResetError")
    assert unsure.unsure_since is not None
    await testing.pass_time(post.jobs, ALL_WORKED_OUT)
    await post.run()
    assert (await post.one(delivery_id)).state == "sent"
    assert (post.sender.receiver.shown, post.sender.receiver.copies) == ([("a", "Hi.")], int(place == "after"))


@pytest.mark.parametrize("place", ["before", "after"])
async def test_a_cut_is_unknown_where_the_receiver_tells_no_copies(post: Post, place: str) -> None:
    post.sender.remembers = timedelta(0)
    delivery_id = await post.owe()
    await post.run((place, ConnectionResetError))
    assert (await post.one(delivery_id)).state == "unknown"
    assert len(post.sender.receiver.shown) == int(place == "after")
    (told,) = await list_notifications(post.conn)
    assert told.severity == "error"


async def test_a_receiver_is_not_asked_again_when_it_has_forgotten_the_number(post: Post) -> None:
    delivery_id = await post.owe()
    await post.run(("after", ConnectionResetError))
    await execute(post.conn, "UPDATE jobs.deliveries SET unsure_since = unsure_since - interval '1 day'")
    await testing.pass_time(post.jobs, ALL_WORKED_OUT)
    await post.run()
    assert (await post.one(delivery_id)).state == "unknown"
    assert (len(post.sender.receiver.shown), post.sender.receiver.copies) == (1, 0)


@pytest.mark.parametrize("then", [Refused("no"), Blocked("no")])
async def test_a_refusal_says_nothing_of_an_earlier_try_that_may_have_arrived(post: Post, then: Answer) -> None:
    delivery_id = await post.owe()
    await post.run(("after", ConnectionResetError))
    await testing.pass_time(post.jobs, ALL_WORKED_OUT)
    await post.run(NotYet(timedelta(seconds=1), "a moment"))  # nor does a wait
    await testing.pass_time(post.jobs, ALL_WORKED_OUT)
    await post.run(then)
    ended = await post.one(delivery_id)
    assert (ended.state, ended.tries) == ("unknown", 3)


async def test_a_sender_that_breaks_in_its_own_code_does_not_hold_up_its_chat_for_days(post: Post) -> None:
    broken, behind = await post.owe("1"), await post.owe("2")
    for _ in range(DELIVER.retries.max_retries + 1):
        await post.run(("before", ValueError))
        await testing.pass_time(post.jobs, ALL_WORKED_OUT)
    await post.run()
    assert [(await post.one(one)).state for one in (broken, behind)] == ["unknown", "sent"]


async def test_what_waits_too_long_is_given_up_with_a_word(post: Post) -> None:
    delivery_id = await post.owe()
    await post.run(NotYet(timedelta(seconds=1), "the account is away"))
    await testing.pass_time(post.jobs, DELIVER.give_up_after)
    await post.run(NotYet(timedelta(seconds=1), "the account is away"))
    ended = await post.one(delivery_id)
    assert (ended.state, ended.said) == ("failed", "given up after 3 days, 0:00:00: the account is away")
    assert len(await list_notifications(post.conn)) == 1


@pytest.mark.parametrize(("tries", "state"), [(0, "failed"), (1, "unknown")])
async def test_what_a_job_left_owed_that_ended_without_a_word_is_ended_by_whoever_looks(
    post: Post, tries: int, state: str
) -> None:
    delivery_id = await post.owe()
    if tries:
        await post.run(("after", ConnectionResetError))
    await post.jobs.cancel((await post.one(delivery_id)).job_id or 0)
    with pytest.raises(NoSuchDelivery):
        await resend(post.conn, 99)  # it looks as well
    left = await post.one(delivery_id)
    assert left.state == state
    assert "its job ended without a word" in (left.said or "")
    assert len(await list_notifications(post.conn)) == 1


async def test_the_owner_is_told_once_of_a_chat_until_something_arrives_there(post: Post) -> None:
    for _ in range(3):
        await post.owe()
    await post.run(*[Blocked("blocked")] * 3)
    assert len(await list_notifications(post.conn)) == 1
    await post.owe()
    await post.run(Refused("now it is something else"))
    assert len(await list_notifications(post.conn)) == 2
    await post.owe()
    await post.run()
    await post.owe()
    await post.owe(chat="b")
    await post.run(Refused("no"), Refused("no"))
    assert len(await list_notifications(post.conn)) == 4


async def test_of_a_notification_that_did_not_arrive_no_notification_is_made(post: Post) -> None:
    """It would go the same way, and fail, and so on; on the web it is read all the same."""
    given: Any = {"owed_for": "notification:1", "kind": "notification", "payload": {"text": "b"}}
    owed = await owe(post.conn, **given, user_id=None)
    assert owed
    assert ((await post.one(owed.id)).job_id, await post.run()) == (None, [])
    assert await address(post.conn, owed.id, channel="telegram")
    assert await address(post.conn, owed.id, channel="telegram") is None
    await post.run(Blocked("no"))
    ended = await post.one(owed.id)
    assert (ended.state, ended.lane) == ("blocked", "out:telegram:user:owner")
    assert await list_notifications(post.conn) == []


async def test_a_person_has_what_did_not_arrive_sent_again_once_under_its_number(post: Post, other: Connection) -> None:
    post.sender.remembers = timedelta(0)
    delivery_id = await post.owe("1")
    await post.run(("before", ConnectionResetError))
    drawn = (await post.one(delivery_id)).random_id
    await post.owe("2")
    results = await asyncio.gather(*(resend(each, delivery_id) for each in (post.conn, other)), return_exceptions=True)
    assert sum(isinstance(result, NotResent) for result in results) == 1
    await post.run()
    assert post.sender.receiver.shown == [("a", "2"), ("a", "1")]
    assert post.sender.receiver.ids[1] == drawn
    assert (await post.one(delivery_id)).state == "sent"
    with pytest.raises(NotResent, match=f"Delivery {delivery_id} is sent"):
        await resend(post.conn, delivery_id)


async def dying_run(post: Post, place: str) -> None:
    """A worker claims what is ready, not alone, and dies as it sends it, before or after the receiver took it."""
    worker_id = await register_by_hand(post.conn, post.jobs, [QUEUE], 3600.0)
    (job,) = await claim(post.conn, worker_id=worker_id, queues=[QUEUE], job_types=[DELIVER.name], slots=1)
    post.sender.what_next.append((place, Died))
    with suppress(Died):
        await WatchedExecutor(post.jobs).run_watched(job)
    await retire(post.conn, worker_id)
    await do_upkeep(post.jobs)


@pytest.mark.parametrize("place", ["before", "after"])
async def test_after_a_death_nothing_is_sent_again_to_a_receiver_that_tells_no_copies(post: Post, place: str) -> None:
    post.sender.receiver.drops_copies, post.sender.remembers = False, timedelta(0)
    delivery_id = await post.owe()
    await dying_run(post, place)
    await post.run()
    assert (await post.one(delivery_id)).state == "unknown"
    assert len(post.sender.receiver.shown) == int(place == "after")


async def test_a_run_that_was_taken_over_shows_the_receiver_nothing(post: Post) -> None:
    await post.owe()
    worker_id = await register_by_hand(post.conn, post.jobs, [QUEUE], 3600.0)
    (job,) = await claim(post.conn, worker_id=worker_id, queues=[QUEUE], job_types=[DELIVER.name], slots=1)
    async with post.conn.transaction():
        await start(post.conn, job)
    await retire(post.conn, worker_id)
    await do_upkeep(post.jobs)
    job.input = DeliverInput.model_validate_json(job.input)
    handler: Any = post.jobs.table.handler(DELIVER.name)
    with pytest.raises(LeaseLost):
        await handler(job)
    assert post.sender.receiver.shown == []


async def test_a_delivery_whose_process_died_is_sent_by_any_process_but_not_for_ever(post: Post) -> None:
    delivery_id = await post.owe()
    for _ in range(deliver.MOST_LOST + 1):
        await dying_run(post, "before")
    assert (await post.one(delivery_id)).state == "unknown"
    assert post.sender.receiver.shown == []


async def test_a_channel_without_a_sender_waits_and_its_delivery_was_not_tried(post: Post) -> None:
    delivery_id = await post.owe(channel="pigeon", account="telegram")  # its queue is served here
    (run,) = await post.run()
    assert run.state == "pending"
    waiting = await post.one(delivery_id)
    assert (waiting.tries, waiting.unsure_since) == (0, None)


async def deliver_all_with_deaths(post: Post, sends: int, seed: int) -> None:
    """Deliver so many to ten chats; each send may be cut, or its process die, before or after the receiver took it."""
    choose = random.Random(seed)
    for n in range(sends):
        await post.owe(str(n), chat=str(n % 10))
    deaths = dict[int, int]()
    while (await list_deliveries(post.conn, states=["owed"], limit=1)) != []:
        worker_id = await register_by_hand(post.conn, post.jobs, [QUEUE], 3600.0)
        try:
            while job := await next_job(post.jobs, worker_id, [QUEUE]):
                what = (choose.choice(["before", "after"]), choose.choice([Died, ConnectionResetError]))
                happens = choose.random() < 0.3
                deaths[job.id] = deaths.get(job.id, 0) + happens
                post.sender.what_next.append(what if happens else None)
                await WatchedExecutor(post.jobs).run_watched(job)
        except Died:
            pass
        await retire(post.conn, worker_id)
        await do_upkeep(post.jobs)
        await execute(
            post.conn, "UPDATE jobs.jobs SET scheduled_for = clock_timestamp() WHERE scheduled_for IS NOT NULL"
        )
    assert sum(deaths.values()) > sends / 10


def doubled(shown: Sequence[tuple[str, str]]) -> int:
    """How many messages a receiver showed more than once."""
    return len(shown) - len(set(shown))


@pytest.mark.timeout(120)
async def test_who_is_killed_between_sending_and_recording_shows_nothing_twice_and_nothing_out_of_order(
    post: Post,
) -> None:
    await deliver_all_with_deaths(post, 300, seed=secrets.randbits(32))
    receiver = post.sender.receiver
    assert doubled(receiver.shown) == 0
    assert receiver.copies > 0
    for chat in range(10):
        assert [int(text) for to, text in receiver.shown if to == str(chat)] == list(range(chat, 300, 10))


async def test_without_the_number_of_its_row_a_send_that_is_repeated_is_seen_twice(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the number is drawn at the send."""
    take = Receiver.take

    def drawing(receiver: Receiver, delivery: Delivery) -> str | None:
        return take(receiver, replace(delivery, random_id=secrets.randbits(63)))

    monkeypatch.setattr(Receiver, "take", drawing)
    await deliver_all_with_deaths(post, 40, seed=1)
    assert doubled(post.sender.receiver.shown) > 0


@dataclass
class Slow(LocalSender):
    """Takes its time with each, and stands still with what goes to one chat until it is let go."""

    def __post_init__(self) -> None:
        self.stuck, self.go_on = asyncio.Event(), asyncio.Event()

    async def send(self, delivery: Delivery) -> Answer:
        """Later."""
        await asyncio.sleep(random.random() / 200)
        if delivery.chat == "stuck":
            self.stuck.set()
            await self.go_on.wait()
        return await super().send(delivery)


async def test_order_holds_in_each_chat_with_two_workers_and_one_that_stands_still_stops_no_other(
    database: Database, conn: Connection
) -> None:
    sender = Slow()
    handler = {DELIVER: table_of(database, sender).handler(DELIVER.name)}
    async with (
        Jobs(database, table_of(database, sender)) as jobs,
        working(database, handler, queues=[QUEUE], lease_s=60),
        working(database, handler, queues=[QUEUE], lease_s=60),
    ):
        post = Post(jobs, conn, sender)
        for n in range(3):
            await post.owe(str(n), chat="stuck")
        jobs.notifier.wake_all()
        await sender.stuck.wait()
        for n in range(40):
            await post.owe(str(n), chat=str(n % 4))
        jobs.notifier.wake_all()

        async def all_others() -> bool:
            return len(sender.receiver.shown) == 40

        await until(all_others)
        for chat in range(4):
            assert [int(text) for to, text in sender.receiver.shown if to == str(chat)] == list(range(chat, 40, 4))
        sender.go_on.set()

        async def all_of_them() -> bool:
            return await list_deliveries(conn, states=["owed"]) == []

        await until(all_of_them)
    assert [text for to, text in sender.receiver.shown if to == "stuck"] == ["0", "1", "2"]


async def test_a_database_that_goes_away_before_a_try_costs_no_retry(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise db.ConnectionFailed[0]("gone")

    await post.owe()
    with monkeypatch.context() as broken:
        broken.setattr("assistant.sending.begin", away)
        (run,) = await testing.drain(post.jobs, QUEUE, at_most=1)
    assert run.state == "pending"
    assert post.sender.receiver.shown == []
