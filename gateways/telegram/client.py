"""A Telethon client that hands each batch of updates over with how far it brings the account, and sends only while it may.

    Telegram ─▶ Telethon: gaps, differences, order ─▶ on_batch(updates, states) ─▶ (nothing is left for Telethon to dispatch)
                                                        states: as of after this batch, to be committed with it

What is overridden here is not Telethon's public interface: its version is pinned.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import structlog
from telethon import TelegramClient, functions, types, utils
from telethon.errors import AuthKeyDuplicatedError, AuthKeyNotFound, RPCError, UnauthorizedError
from telethon.network import ConnectionTcpFull

from gateways.telegram.errors import KeyRefused, Unreachable
from gateways.telegram.lease import Held
from gateways.telegram.session import OWN, AccountSession, Progress, States

log = structlog.get_logger()

RETRY_DELAY_S = 1
"""Between two tries to connect."""
UNREACHABLE_S = 30.0
"""Without a connection: then another process, from another place perhaps, may try (gateway.py). Telethon's own tries go on."""
_LOOK_S = 1.0
MOST_USERS = 10_000
"""Whom a user account is told of that are kept in memory: whoever is forgotten is asked for again."""
KEY_REFUSED = (UnauthorizedError, AuthKeyDuplicatedError, AuthKeyNotFound)
"""What Telethon raises when Telegram takes the account's key no more."""


class Client(TelegramClient):  # type: ignore[misc]  # Telethon has no types
    """The client of an account that this process holds."""

    def __init__(
        self,
        held: Held,
        session: AccountSession,
        *,
        on_batch: Callable[[Sequence[Any], States], None],
        on_reconnect: Callable[[], None],
    ) -> None:
        super().__init__(
            session,
            held.api_id,
            held.api_hash,
            connection=_guarded(held.may_send),
            connection_retries=None,
            retry_delay=RETRY_DELAY_S,
            request_retries=0,  # a delivery's retries are its job's
            raise_last_call_error=True,
            flood_sleep_threshold=0,  # likewise its waits
            sequential_updates=True,
            catch_up=True,
            device_model="Jobs",
            base_logger=_quiet(),
        )
        self._on_batch = on_batch
        self._on_reconnect = on_reconnect
        self._is_bot = held.is_bot
        self._users = dict[int, Any]()
        """Whom a user account's updates have told of, those told of last: some updates tell of nobody."""
        self._answering = set[asyncio.Future[None]]()
        self.refused: asyncio.Future[KeyRefused] = asyncio.get_running_loop().create_future()
        """Done when Telegram has refused the account's key: no request will ever be answered again."""

    async def __call__(self, request: Any, ordered: bool = False, flood_sleep_threshold: int | None = None) -> Any:  # noqa: FBT001, FBT002 - Telethon's
        """Make a request, as Telethon's; a refusal of the key is noted for who holds the account, whoever asked."""
        try:
            return await super().__call__(request, ordered, flood_sleep_threshold)
        except KEY_REFUSED as error:
            if not self.refused.done():
                self.refused.set_result(refusal(error))
            raise

    async def ended(self) -> NoReturn:
        """Wait until this client is of no use any more.

        Raises KeyRefused where that is for good, Unreachable after 30 s without a connection, else ConnectionError.
        """
        disconnected, unreachable = asyncio.ensure_future(self.disconnected), asyncio.ensure_future(self._unreachable())
        try:
            await asyncio.wait({self.refused, disconnected, unreachable}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            unreachable.cancel()
        if unreachable.done() and not (self.refused.done() or disconnected.done()):
            raise Unreachable(f"Telegram could not be reached for {UNREACHABLE_S:g} s")
        if self.refused.done():
            raise self.refused.result()
        error = disconnected.exception() or self._updates_error
        if isinstance(error, KEY_REFUSED):
            raise refusal(error)
        raise ConnectionError(f"Telethon gave the connection up: {type(error).__name__}")

    async def _unreachable(self) -> None:
        """Return when there was no connection for so long; Telethon calls itself connected while it tries again."""
        there_s = time.monotonic()
        while time.monotonic() < there_s + UNREACHABLE_S:
            await asyncio.sleep(_LOOK_S)
            if self._sender._transport_connected():  # noqa: SLF001 - there is no other way to ask
                there_s = time.monotonic()

    def look_for_missed(self) -> None:
        """Have all lines of updates looked through for what did not come: Telethon asks only when it sees a gap."""
        for entry in list(self._message_box.map):
            if isinstance(entry, int):
                self._message_box.try_begin_get_diff(entry, "looking for missed updates")
        self._updates_queue.put_nowait(types.UpdatesTooLong())

    def answer(self, query_id: int, text: str) -> None:
        """Show something to who pressed a button; where that fails they see nothing, and may press again."""
        task = asyncio.ensure_future(self._answer(query_id, text))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, query_id: int, text: str) -> None:
        try:
            await self(functions.messages.SetBotCallbackAnswerRequest(query_id, cache_time=0, message=text))
        except (RPCError, OSError) as error:
            log.warning("telegram.press_not_answered", error=type(error).__name__)

    def follow(self, channel_id: int, pts: int) -> None:
        """Have the updates of a supergroup looked through from here on; nothing happens where they are already."""
        self._message_box.try_set_channel_state(channel_id, pts)

    @property
    def states(self) -> States:
        """How far Telethon has come."""
        own, channels = self._message_box.session_state()
        states = {
            utils.get_peer_id(types.PeerChannel(one)): Progress(pts, 0, own["date"], 0) for one, pts in channels.items()
        }
        if own["pts"]:
            states[OWN] = Progress(**own)
        return states

    async def _preprocess_updates(self, updates: list[Any], users: Any, chats: Any) -> list[Any]:
        """Called with each batch that is in order and complete, before Telethon reads on."""
        updates = await super()._preprocess_updates(updates, users, chats)
        if not self._is_bot:
            # By what a group tells of its members in short nobody can be written to.
            self._keep(user for user in users if isinstance(user, types.User) and not user.min)
            await self._say_who(updates)
        self._on_batch(updates, self.states)
        return []

    async def _say_who(self, updates: list[Any]) -> None:
        """Give short updates, which a user account gets, their senders: by these bots are told from people, and answered."""
        short = [one for one in updates if isinstance(one, types.UpdateShortMessage | types.UpdateShortChatMessage)]
        senders = [one.user_id if isinstance(one, types.UpdateShortMessage) else one.from_id for one in short]
        if not self._users.keys() >= set(senders):
            try:
                answer = await self(dialogs(limit=20))
                self._keep(answer.users)
            except (RPCError, OSError) as error:
                log.warning("telegram.senders_unknown", error=type(error).__name__)
        for update, sender in zip(short, senders, strict=True):
            found = {sender: self._users[sender]} if sender in self._users else {}
            update._entities = found  # noqa: SLF001 - where Telethon puts them

    def _keep(self, users: Iterable[Any]) -> None:
        """Keep these, the newest last, and forget the oldest."""
        for user in users:
            self._users.pop(user.id, None)
            self._users[user.id] = user
        while len(self._users) > MOST_USERS:
            del self._users[next(iter(self._users))]

    async def _handle_auto_reconnect(self) -> None:
        """Called when a connection that broke is there again. Telethon itself does not ask what it missed."""
        await super()._handle_auto_reconnect()
        self.look_for_missed()
        self._on_reconnect()


def dialogs(*, limit: int) -> Any:
    """Ask for the chats of a user account in which something was said last."""
    return functions.messages.GetDialogsRequest(
        offset_date=None, offset_id=0, offset_peer=types.InputPeerEmpty(), limit=limit, hash=0
    )


def refusal(error: BaseException) -> KeyRefused:
    """What an error says about the key that Telegram refused."""
    name = type(error).__name__.removesuffix("Error")
    return KeyRefused("burnt" if isinstance(error, AuthKeyDuplicatedError) else "revoked", name)


def _quiet() -> logging.Logger:
    """Telethon's log, which says nothing: lines of it hold requests, and those what people say. We log what comes of it."""
    logger = logging.getLogger("jobs.telethon")
    logger.setLevel(logging.CRITICAL)
    return logger


def _guarded(may_send: Callable[[], bool]) -> type[Any]:
    """A connection that lets no byte out when it may not: in a process that was frozen, tasks wake up in any order."""

    class Guarded(ConnectionTcpFull):  # type: ignore[misc]  # Telethon has no types
        async def connect(self, timeout: float | None = None, ssl: Any = None) -> None:
            self._check()
            await super().connect(timeout, ssl)

        def _send(self, data: bytes) -> None:
            self._check()
            super()._send(data)

        @staticmethod
        def _check() -> None:
            if not may_send():
                raise ConnectionError("this process may not use the account's key any more")

    return Guarded
