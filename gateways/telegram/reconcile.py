"""Looks for what did not come, each minute and after each reconnect.

    hurry, or a minute ─▶ differences: Telethon asks what each line of updates has beyond what it knows
                       └▶ by id: numbers below the newest of a minute ago that are no message of ours, asked for once

A difference knows no update that Telegram counted and did not tell; ids have no holes. What comes twice is known by then.
Bots may not read history, but may ask for messages by id; a user account is asked for its dialogs besides, whose newest
messages say how far the ids go.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from telethon import functions, types, utils
from telethon.errors import RPCError

from gateways import metrics
from gateways.telegram.client import Client, dialogs
from gateways.telegram.incoming import Entities, Incoming, read_message
from gateways.telegram.ingress import Ingress
from gateways.telegram.lease import Held
from gateways.telegram.session import OWN
from jobs_core import Connection, Database, db, execute, fetch, statement
from jobs_core.tasks import wait_at_most

log = structlog.get_logger()

EVERY_S = 60.0
MOST_AT_A_TIME = 300
"""Ids asked for in one mailbox each time: three requests. What is left is asked for the next time."""
_IDS_A_REQUEST = _DIALOGS = 100
"""What Telegram takes, and gives."""


@dataclass(slots=True)
class Mailbox:
    """Where message ids are one line: the account's own chats and basic groups (peer_id OWN), or a supergroup.

    checked_id: up to here none is missing; None: nobody looked yet. newest_id: of the newest known one, None where none is.
    """

    peer_id: int
    access_hash: int | None
    checked_id: int | None
    newest_id: int | None
    missing: Sequence[int] = field(default_factory=list)


class Reconcile:
    """The one who looks, for an account that this process holds."""

    def __init__(self, database: Database, held: Held, ingress: Ingress) -> None:
        self._database = database
        self._held = held
        self._ingress = ingress
        self._hurried = asyncio.Event()
        self._newest = dict[int, int]()
        """Of each mailbox the newest id as it was the last time: what was told since then may still be on its way."""

    def hurry(self) -> None:
        """Look now."""
        self._hurried.set()

    async def run(self, client: Client) -> None:
        """Look, until cancelled."""
        while True:
            await wait_at_most(self._hurried, EVERY_S)
            self._hurried.clear()
            await self.run_once(client)

    async def run_once(self, client: Client) -> None:
        """Look once; what fails is done the next time."""
        try:
            tops = {} if self._held.is_bot else await _dialogs(client)
            client.look_for_missed()
            await self._ingress.settle()
            for mailbox in await self._mailboxes(tops):
                try:
                    await self._look_through(client, mailbox)
                except RPCError as error:  # of one group that it was put out of, say: the others are looked through
                    self._log_failure(error)
            metrics.telegram_reconciled.labels(self._held.name).set_to_current_time()
        except (RPCError, OSError) as error:
            self._log_failure(error)
        except Exception as error:
            if not db.will_pass(error):
                raise
            self._log_failure(error)

    def _log_failure(self, error: Exception) -> None:
        log.warning("telegram.not_reconciled", account=self._held.name, error=db.describe(error))

    async def _mailboxes(self, tops: dict[int, int]) -> list[Mailbox]:
        """All mailboxes, and in each the ids that are missing."""
        async with self._database.connection() as conn:
            rows = await fetch(conn, statement("gateways", "mailbox/list"), {"account": self._held.name})
            found = [Mailbox(**row) for row in rows]
            for mailbox in found:
                await self._find_missing(conn, mailbox, tops.get(mailbox.peer_id, 0))
        return found

    async def _find_missing(self, conn: Connection, mailbox: Mailbox, top: int) -> None:
        seen = self._ingress.seen[mailbox.peer_id]
        last = self._newest.get(mailbox.peer_id, 0)
        self._newest[mailbox.peer_id] = max(mailbox.newest_id or 0, top, *seen, last)
        if mailbox.checked_id is None:  # the first look: what is older was said before there was a door
            mailbox.checked_id = self._newest[mailbox.peer_id] or None
            return
        values = {
            "account": self._held.name,
            "peer_id": mailbox.peer_id,
            "first": mailbox.checked_id + 1,
            "last": last,
            "most": MOST_AT_A_TIME + len(seen),
        }
        rows = await fetch(conn, statement("gateways", "mailbox/missing"), values)
        mailbox.missing = [row["message_id"] for row in rows if row["message_id"] not in seen][:MOST_AT_A_TIME]
        if last > mailbox.checked_id:
            mailbox.checked_id = mailbox.missing[-1] if len(mailbox.missing) == MOST_AT_A_TIME else last

    async def _look_through(self, client: Client, mailbox: Mailbox) -> None:
        """Ask for what is missing, take it in, and note that it is not missing any more."""
        for begin in range(0, len(mailbox.missing), _IDS_A_REQUEST):
            found = await _messages(client, mailbox, mailbox.missing[begin : begin + _IDS_A_REQUEST])
            if found:
                log.info(
                    "telegram.found_missing", account=self._held.name, mailbox=mailbox.peer_id, messages=len(found)
                )
                self._ingress.put_messages(found)
        await self._ingress.settle()
        async with self._database.connection() as conn:
            await self._note(conn, mailbox)
        seen = self._ingress.seen[mailbox.peer_id]
        seen.difference_update([one for one in seen if one <= (mailbox.checked_id or 0)])

    async def _note(self, conn: Connection, mailbox: Mailbox) -> None:
        values = {"account": self._held.name, "peer_id": mailbox.peer_id, "checked_id": mailbox.checked_id}
        await execute(conn, statement("gateways", "mailbox/checked"), values)


async def _messages(client: Client, mailbox: Mailbox, ids: Iterable[int]) -> list[Incoming]:
    """The messages of people that are there by these ids, the oldest first."""
    wanted = [types.InputMessageID(one) for one in ids]
    if mailbox.peer_id == OWN:
        answer = await client(functions.messages.GetMessagesRequest(wanted))
    else:
        bare, _ = utils.resolve_id(mailbox.peer_id)
        channel = types.InputChannel(bare, mailbox.access_hash or 0)
        answer = await client(functions.channels.GetMessagesRequest(channel, wanted))
    entities = {utils.get_peer_id(one): one for one in (*answer.users, *answer.chats)}
    read = [_read(message, entities) for message in answer.messages]
    return sorted(filter(None, read), key=lambda message: message.message_id)


def _read(message: Any, entities: Entities) -> Incoming | None:
    """What a message says; one that cannot be read must not keep those behind it from being looked for."""
    try:
        return read_message(message, entities, is_edit=False)
    except Exception:
        log.exception("telegram.not_read", message=message.id)
        return None


async def _dialogs(client: Client) -> dict[int, int]:
    """The newest id in each mailbox, as a user account's dialogs say; supergroups that were not followed are from now on."""
    answer: Any = await client(dialogs(limit=_DIALOGS))
    supergroups = {utils.get_peer_id(one) for one in answer.chats if getattr(one, "megagroup", False)}
    tops = defaultdict[int, int](int)
    for dialog in answer.dialogs:
        peer_id = utils.get_peer_id(dialog.peer)
        if not isinstance(dialog.peer, types.PeerChannel):
            tops[OWN] = max(tops[OWN], dialog.top_message)
        elif peer_id in supergroups:
            tops[peer_id] = dialog.top_message
            client.follow(dialog.peer.channel_id, dialog.pts)
    return tops
