"""`deliver`: sends one delivery. Queue `out:{account}`, lane `out:{account}:{chat}`. Created by `deliveries.owe`.

    a try is on record ─▶ send ─┬─ Sent, Refused, Blocked ─▶ the delivery ends with the job, one transaction
                                ├─ NotYet ─▶ snooze
                                └─ cut ─▶ again, under the same number, for as long as the receiver remembers it
                                             └─ else unknown: a person decides

It shows something to a receiver outside. It may be repeated at any point: the number by which the receiver tells copies was
drawn with the delivery, and where it cannot tell them, a second try after a crash sends nothing.

A delivery that did not arrive is no failure of its job: that completes, and what became of the delivery stands in its row.
"""

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

import structlog

from assistant import actions, sending
from assistant.deliveries import DELIVER, DeliverInput, DeliverResult
from assistant.senders import Blocked, NotYet, Refused, Sender, Senders, Sent
from assistant.sending import Try
from jobs_core import Complete, Database, HandlerTable, Job, LeaseLost, Outcome, Retry, RetryPolicy, Snooze, db

log = structlog.get_logger()

DATABASE_PAUSE = timedelta(seconds=1)
NO_SENDER_PAUSE = timedelta(minutes=1)
NETWORK_RETRIES = RetryPolicy(max_retries=1_000, first_s=2.0, last_s=300.0)
"""After a connection that broke: 2, 4, 8 s …, 5 min: for longer than a job lives, so that its time to give up is the end."""
MOST_LOST = 20
"""So many processes may die while they send one delivery; of more it is to blame itself."""
LEFT_EVERY_S = 60.0
"""What jobs left that ended without a word, owed or to be decided, is looked for so often, by each process that sends."""


def register(table: HandlerTable, *, database: Database, senders: Senders) -> None:
    """Bind the handler to its type; its worker serves `senders.queues` as well."""
    table.register_handler(DELIVER, Deliveries(database, senders).run)


class Deliveries:
    """The handler of `deliver` jobs."""

    def __init__(self, database: Database, senders: Senders) -> None:
        self._database = database
        self._senders = senders
        self._looked_s = float("-inf")

    async def run(self, job: Job[DeliverInput]) -> Outcome:
        """Send what is owed. Raises LeaseLost, with nothing written."""
        sender = self._senders.find(job.input.channel)
        if sender is None:
            why = f"no sender for channel {job.input.channel!r} runs in this process, which serves queue {job.queue!r}"
            return Snooze(NO_SENDER_PAUSE, reason=why)
        try:
            begun = await self._begin(job)
        except Exception as error:
            if not db.will_pass(error):
                raise
            return Snooze(DATABASE_PAUSE, reason=f"the database was away: {db.describe(error)}")
        return Complete(DeliverResult(state="not_owed")) if begun is None else await _send(sender, job, begun)

    async def _begin(self, job: Job[DeliverInput]) -> Try | None:
        async with self._database.connection() as conn:
            if time.monotonic() - self._looked_s > LEFT_EVERY_S:
                await sending.end_left(conn)
                await actions.end_with_jobs(conn)
                self._looked_s = time.monotonic()
            return await sending.begin(conn, job, job.input.delivery_id)


async def _send(sender: Sender, job: Job[DeliverInput], begun: Try) -> Outcome:
    if why_not := _no_more(sender, job, begun):
        return _unknown(begun, why_not)
    try:
        answer = await sender.send(begun.delivery)
    except LeaseLost:
        raise
    except Exception as error:  # noqa: BLE001 - whatever cut it off, it may have arrived
        return _cut(job, begun, error, may_repeat=sender.remembers > timedelta(0))
    match answer:
        case Sent(receiver_id):
            return _ended(begun, "sent", None, receiver_id)
        case NotYet():
            return _put_off(job, begun, answer)
        case Refused(reason):
            return _ended(begun, "failed", reason)
        case Blocked(reason):
            return _ended(begun, "blocked", reason)


def _no_more(sender: Sender, job: Job[DeliverInput], begun: Try) -> str | None:
    """Why it must not be shown to the receiver any more; None: it may be."""
    if begun.unsure_for is not None and begun.unsure_for >= sender.remembers:
        return begun.delivery.said or "a try was cut off"
    if job.lost_count >= MOST_LOST:
        return f"{job.lost_count} processes died while they sent it"
    return None


def _ended(
    begun: Try, state: Literal["sent", "failed", "blocked"], said: str | None, receiver_id: str | None = None
) -> Outcome:
    """The delivery's end. That this try was refused says nothing of an earlier one that may have arrived."""
    if state != "sent" and begun.unsure_for is not None:
        return _unknown(begun, f"a later try was refused: {said}")
    also = partial(sending.end, delivery_id=begun.delivery.id, state=state, said=said, receiver_id=receiver_id)
    return Complete(DeliverResult(state=state), also=also)


def _unknown(begun: Try, why: str) -> Outcome:
    said = f"it may have arrived, and may not: {why}"
    return Complete(
        DeliverResult(state="unknown"),
        also=partial(sending.end, delivery_id=begun.delivery.id, state="unknown", said=said),
    )


def _put_off(job: Job[DeliverInput], begun: Try, answer: NotYet) -> Outcome:
    if _gives_up(job):
        return _ended(begun, "failed", f"given up after {DELIVER.give_up_after}: {answer.reason}")
    return Snooze(
        answer.after,
        reason=answer.reason,
        pause_queue_until=answer.after if answer.whole_account else None,
        also=partial(
            sending.put_off,
            delivery_id=begun.delivery.id,
            said=answer.reason,
            arrived_not=True,
            unsure_since=begun.delivery.unsure_since,
        ),
    )


def _cut(job: Job[DeliverInput], begun: Try, error: Exception, *, may_repeat: bool) -> Outcome:
    """Nobody knows whether it arrived."""
    by_network = isinstance(error, (OSError, EOFError))
    if not by_network:
        log.error("delivery.broke", delivery=begun.delivery.id, error=db.describe(error))
    reason = f"the try was cut off: {db.describe(error)}"
    policy = NETWORK_RETRIES if by_network else DELIVER.retries
    if not may_repeat or _gives_up(job) or job.retry_count >= policy.max_retries:
        return _unknown(begun, reason)
    also = partial(sending.put_off, delivery_id=begun.delivery.id, said=reason, arrived_not=False, unsure_since=None)
    return Retry(reason, policy=policy, also=also)


def _gives_up(job: Job[DeliverInput]) -> bool:
    """Whether a job that is put back now would be ended for it, and its delivery left without a word."""
    return datetime.now(UTC) >= job.give_up_at
