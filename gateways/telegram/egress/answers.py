"""What an error of Telegram means for the delivery that met it, and what whoever reads it can do.

| Telegram says                            | the delivery                                                             |
|------------------------------------------|--------------------------------------------------------------------------|
| FLOOD_WAIT, SLOWMODE_WAIT                | waits as long; so does all its account where another chat waits already   |
| the key is no longer good                | waits, with all its account: somebody logs it in again                    |
| the person has blocked us, or is no more | blocked                                                                  |
| anything else that it will not do        | failed, with what to do                                                   |
| an error of its own                      | nobody knows: it is asked again under the same number                     |
"""

import time
from datetime import timedelta

from telethon.errors import (
    AuthKeyError,
    FloodError,
    InvalidDCError,
    RPCError,
    ServerError,
    SlowModeWaitError,
    TimedOutError,
    UnauthorizedError,
)

from assistant.senders import Blocked, NotYet, Refused
from gateways import metrics
from gateways.telegram.egress.ask import name_of
from gateways.telegram.egress.places import Place

SOON = timedelta(seconds=2)
KEY_LOST = timedelta(minutes=1)
FROZEN = timedelta(hours=1)

_BLOCKED = {
    "USER_IS_BLOCKED": "the person has blocked this account",
    "INPUT_USER_DEACTIVATED": "the person's account at Telegram is deleted",
    "USER_PRIVACY_RESTRICTED": "the person's settings let this account not write to them",
    "YOU_BLOCKED_USER": "this account has blocked the person: unblock them in Telegram, then send it again",
}
_PASSING = {"CONNECTION_NOT_INITED", "MSG_WAIT_FAILED", "MSG_WAIT_TIMEOUT"}
"""Of the connection, not of the message."""
_GONE = "the account is no member of this chat any more, or it is gone: add the account again, then send it again"
_REFUSED = {
    # Not to the group's general topic instead: others read that one.
    "TOPIC_DELETED": "the topic was deleted: write in another one, whose answers go there",
    "TOPIC_CLOSED": "the topic is closed: open it, or make the account an administrator, then send it again",
    "CHAT_WRITE_FORBIDDEN": "the account may not write in this chat: give it the right, then send it again",
    "CHAT_GUEST_SEND_FORBIDDEN": "only members write in this chat: add the account, then send it again",
    "CHAT_RESTRICTED": "Telegram has restricted this chat",
    "CHAT_ADMIN_REQUIRED": "only administrators write here: make the account one, then send it again",
    "USER_BANNED_IN_CHANNEL": "the account is banned from writing in groups: ask @SpamBot on it",
    "PEER_FLOOD": "Telegram keeps the account from writing to people who have not written to it: ask @SpamBot on it",
    "PEER_ID_INVALID": "the account does not know this chat: somebody writes from there first, then send it again",
    "CHAT_ID_INVALID": _GONE,
    "CHAT_FORBIDDEN": _GONE,
    "CHANNEL_INVALID": _GONE,
    "CHANNEL_PRIVATE": _GONE,
    "MESSAGE_TOO_LONG": "a message of it is longer than Telegram takes: an error of this program",
    "MESSAGE_EMPTY": "Telegram sees nothing in its text",
    "MESSAGE_ID_INVALID": "the message that it changes was deleted",
}


class Floods:
    """Which chats of which account wait: Telegram does not say whether a wait is a chat's or the whole account's."""

    def __init__(self) -> None:
        self._until_s = dict[tuple[str, int], float]()

    def is_of_account(self, place: Place, seconds: float) -> bool:
        """Note that a chat has to wait; True where another one of its account waits as well."""
        now_s = time.monotonic()
        self._until_s = {chat: until_s for chat, until_s in self._until_s.items() if until_s > now_s}
        self._until_s[place.account, place.chat_id] = now_s + seconds
        return sum(account == place.account for account, _ in self._until_s) > 1


def answer_to(error: RPCError, place: Place, floods: Floods) -> NotYet | Blocked | Refused | None:
    """What the error means; None: nobody knows whether what was asked for was done."""
    name = name_of(error)
    match error:
        case ServerError() | TimedOutError():
            return None
        case FloodError():
            return _wait(error, place, floods)
        case UnauthorizedError() | AuthKeyError() | InvalidDCError():
            reason = f"Telegram takes the key of account {place.account} no longer ({name}): ./jobs telegram login"
            return NotYet(KEY_LOST, reason, whole_account=True)
    if name in _PASSING:
        return NotYet(SOON, f"the connection to Telegram is not ready ({name})")
    if name in _BLOCKED:
        return Blocked(_BLOCKED[name])
    return Refused(_REFUSED.get(name) or f"Telegram refused it: {name}")


def _wait(error: FloodError, place: Place, floods: Floods) -> NotYet:
    seconds = getattr(error, "seconds", None)
    metrics.telegram_flood_waits.labels(place.account).inc()
    if seconds is None:
        return NotYet(FROZEN, f"Telegram has frozen account {place.account} ({name_of(error)})", whole_account=True)
    seconds = max(seconds, 1)
    metrics.telegram_flood_wait_seconds.labels(place.account).inc(seconds)
    if isinstance(error, SlowModeWaitError):
        return NotYet(timedelta(seconds=seconds), f"slow mode: once in {seconds} s in this chat")
    whole_account = floods.is_of_account(place, seconds)
    return NotYet(timedelta(seconds=seconds), f"Telegram asks to wait {seconds} s", whole_account=whole_account)
