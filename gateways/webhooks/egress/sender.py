"""The sender of channel `webhook`: an event to a callback, signed by Standard Webhooks.

    delivery ─▶ callback's URL, secrets ─▶ signed now, under the delivery's own id ─▶ POST ─┬─ 2xx ─▶ Sent
                                                                                            ├─ 410 ─▶ callback off, Refused
                                                                                            ├─ others, not reached ─▶ NotYet
                                                                                            └─ no answer ─▶ a raise: again

Each try has the same id and the same body, so that a receiver which remembers ids takes an event once. The URL and where its
name leads are looked at anew with each.
"""

import json
import time
from datetime import UTC, timedelta

import structlog

from assistant import callbacks
from assistant.deliveries import Delivery
from assistant.senders import Answer, NotYet, Refused, Sent
from gateways.webhooks.egress import REMEMBERS
from gateways.webhooks.egress.call import Answered, AnswerLost, Caller, NotReached
from gateways.webhooks.signing import sign
from jobs_core import Database, RetryPolicy, db

log = structlog.get_logger()

BACKOFF = RetryPolicy(first_s=5.0, last_s=3600.0)
"""After what a receiver refuses: 5, 10, 20 s … an hour, for as long as a delivery's job lives."""
_DATABASE_PAUSE = timedelta(seconds=1)
_TAKEN = range(200, 300)
_ASK_LATER = frozenset({429, 503})
_GONE = 410


class WebhookSender:
    """Sends events; it writes only how its callbacks do."""

    remembers = REMEMBERS

    def __init__(self, database: Database, caller: Caller) -> None:
        self._database = database
        self._caller = caller

    async def send(self, delivery: Delivery) -> Answer:
        """As `Sender.send`. Raises AnswerLost, an OSError."""
        name = delivery.chat or ""
        try:
            async with self._database.connection() as conn:
                target = await callbacks.target(conn, name)
        except Exception as error:
            if not db.will_pass(error):
                raise
            return NotYet(_DATABASE_PAUSE, f"the database was away: {db.describe(error)}")
        if target is None or delivery.created_at < target.created_at:  # one of that name may be somebody else's
            return Refused(f"callback {name} was removed")
        if not target.enabled and delivery.payload["event"] != "callback.test":
            return Refused(f"callback {name} is off: {target.off_why or 'somebody switched it off'}")
        body = body_of(delivery)
        headers = sign(target.secrets, message_id(delivery), int(time.time()), body)
        headers |= {"content-type": "application/json", "user-agent": "jobs"}
        try:
            reached = await self._caller.post(target.url, headers, body)
        except AnswerLost:
            await self._note(delivery, arrived=False)
            raise
        return await self._answer(delivery, reached)

    async def _answer(self, delivery: Delivery, reached: Answered | NotReached) -> Answer:
        match reached:
            case Answered(status) if status in _TAKEN:
                await self._note(delivery, arrived=True)
                return Sent()
            case Answered(status) if status == _GONE:
                await self._switch_off(delivery.chat or "", "its receiver answered 410, Gone")
                return Refused("HTTP 410: it is gone")
        await self._note(delivery, arrived=False)
        return _not_yet(reached, BACKOFF.delay_s(max(delivery.tries, 1)))

    async def _switch_off(self, name: str, why: str) -> None:
        async def once() -> None:
            async with self._database.connection() as conn:
                await callbacks.switch_off(conn, name, why)

        await db.retried(once)  # it tells, and who tells locks lanes

    async def _note(self, delivery: Delivery, *, arrived: bool) -> None:
        """Note how the callback does. Where that cannot be, what became of the try is not to be lost for it."""
        name = delivery.chat or ""
        try:
            async with self._database.connection() as conn:
                await callbacks.note_try(conn, name, arrived=arrived, first=delivery.tries <= 1)
        except Exception as error:
            if not db.will_pass(error):
                raise
            log.warning("callback.not_noted", callback=name, error=db.describe(error))


def _not_yet(reached: Answered | NotReached, backoff_s: float) -> NotYet:
    """After how long it is tried again: no sooner than it asks for, and each time later, whatever it asks for."""
    match reached:
        case NotReached(reason):
            return NotYet(timedelta(seconds=backoff_s), reason)
        case Answered(status, asked_s) if status in _ASK_LATER and asked_s is not None:
            return NotYet(timedelta(seconds=max(asked_s, backoff_s)), f"HTTP {status}: it asks for {asked_s:.0f} s")
    return NotYet(timedelta(seconds=backoff_s), f"HTTP {reached.status}")


def message_id(delivery: Delivery) -> str:
    """By which the receiver tells a second copy: the same in each try, and in a retry by a person."""
    return f"msg_{delivery.random_id}"


def body_of(delivery: Delivery) -> bytes:
    """What is sent, the same in each try. timestamp: when it happened."""
    said = {"type": delivery.payload["event"], "timestamp": delivery.created_at.astimezone(UTC).isoformat()}
    return json.dumps(said | {"data": delivery.payload["data"]}, ensure_ascii=False, separators=(",", ":")).encode()
