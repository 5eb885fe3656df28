"""Logging an account in, with a client of its own, before any process holds it; and out, after none does.

    begin ─▶ token, or phone + code (+ password), or a link that its owner opens (+ password) ─▶ done ─▶ key, and where we are
                                                                                                          └─▶ accounts.log_in

What came before the first login is not taken in; what comes after it is, whenever a process first holds the account. One that
is logged in anew goes on where it was: what came meanwhile, and what its holder has received and not committed, comes again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from telethon import TelegramClient, functions, types
from telethon.crypto import AuthKey
from telethon.errors import FloodWaitError, RPCError, SessionPasswordNeededError
from telethon.sessions import MemorySession

from gateways.telegram.accounts import Account, Key, Login, log_in
from gateways.telegram.errors import LoginFailed
from gateways.telegram.session import Progress, begin_at
from jobs_core import Connection

_DC = 2
"""The data centre that a login begins at; Telegram sends it on where the account lies elsewhere."""
_PATIENCE_S = 60.0
"""That a link may be open before another one is shown: Telegram takes them for half a minute."""
_HELLO = "This is Jobs: {name} is logged in. It answers while ./jobs telegram, or ./jobs up, runs."

Ask = Callable[[str], str]
"""Asks the person who logs in for something that only they know."""


class LoggingIn:
    """A login that is under way. Its verbs raise LoginFailed."""

    def __init__(self, client: TelegramClient, api_id: int, api_hash: str) -> None:
        self._client = client
        self._api_id = api_id
        self._api_hash = api_hash
        self._token: str | None = None

    async def bot(self, token: str) -> None:
        """Log a bot in."""
        await _told(self._client.sign_in(bot_token=token))
        self._token = token

    async def phone(self, number: str, ask: Ask) -> None:
        """Log a user account in. ask: for the code that Telegram sends there, and its password where it has one."""
        await _told(self._client.send_code_request(number))
        code = ask("The code that Telegram has sent you")
        await self._with_password(self._client.sign_in(number, code), ask)

    async def link(self, show: Callable[[str], None], ask: Ask) -> None:
        """Log a user account in by a link. show: shows it, again each half minute, until one was opened at Telegram."""
        drawn = await _told(self._client.qr_login())
        while True:
            show(drawn.url)
            try:
                await self._with_password(drawn.wait(), ask)
            except TimeoutError:
                await _told(drawn.recreate())
            else:
                return

    async def done(self) -> tuple[Login, Progress]:
        """Who was logged in, and where the account is in its updates."""
        me = await _told(self._client.get_me())
        if me is None:
            raise LoginFailed("Telegram took the login and does not know it: try again")
        state = await _told(self._client(functions.updates.GetStateRequest()))
        session = self._client.session
        login = Login(
            kind="bot" if me.bot else "user",
            tg_user_id=me.id,
            username=me.username,
            api_id=self._api_id,
            api_hash=self._api_hash,
            token=self._token,
            key=Key(session.dc_id, session.server_address, session.port, session.auth_key.key),
        )
        return login, Progress(state.pts, state.qts, state.date, state.seq)

    async def greet(self, name: str, owner_tg_user_id: int | None) -> str | None:
        """Send a test message to the owner, a user account's to itself where there is none; returns why it did not go out."""
        to = types.InputPeerSelf() if owner_tg_user_id is None else types.InputPeerUser(owner_tg_user_id, 0)
        if owner_tg_user_id is None and self._token is not None:
            return (
                "JOBS_OWNER_TG_USER_ID is not set; ./jobs user pair makes whoever sends its code to the bot the owner"
            )
        try:
            await self._client.send_message(to, _HELLO.format(name=name))
        except (RPCError, ValueError) as error:
            return f"Telegram did not take it ({type(error).__name__}): the owner has to write to the account first"
        return None

    async def undo(self) -> None:
        """Log out again."""
        await self._client.log_out()

    async def leave(self) -> None:
        """Disconnect: from now on somebody else may use the key."""
        await self._client.disconnect()

    async def _with_password(self, signing_in: Awaitable[Any], ask: Ask) -> None:
        try:
            await signing_in
        except SessionPasswordNeededError:
            await _told(self._client.sign_in(password=ask("The account's password (two-step verification)")))
        except RPCError as error:
            raise _failed(error) from None


@asynccontextmanager
async def begin(api_id: int, api_hash: str, server: str = "") -> AsyncIterator[LoggingIn]:
    """Connect to log in. server: `host:port`; empty: Telegram's. Raises LoginFailed."""
    session = MemorySession()
    if server:
        host, _, port = server.partition(":")
        session.set_dc(_DC, host, int(port))
    async with _connected(session, api_id, api_hash) as client:
        yield LoggingIn(client, api_id, api_hash)


async def keep(conn: Connection, name: str, login: Login, state: Progress) -> Account:
    """Keep a login under a name. state: where a new account begins. Call it inside a transaction. Raises LoginFailed."""
    account = await log_in(conn, name, login)
    await begin_at(conn, name, state)
    return account


async def end(api_id: int, api_hash: str, key: Key) -> None:
    """Have Telegram forget a key; nobody else uses it. Raises LoginFailed where Telegram could not be told."""
    session = MemorySession()
    session.set_dc(key.dc_id, key.server_address, key.port)
    session.auth_key = AuthKey(key.auth_key)
    async with _connected(session, api_id, api_hash) as client:
        await _told(client(functions.auth.LogOutRequest()))


@asynccontextmanager
async def _connected(session: MemorySession, api_id: int, api_hash: str) -> AsyncIterator[TelegramClient]:
    client = TelegramClient(session, api_id, api_hash, flood_sleep_threshold=0, device_model="Jobs")
    try:
        await _told(client.connect())
        yield client
    finally:
        await client.disconnect()


async def _told(asking: Awaitable[Any]) -> Any:
    """What Telegram answers. Raises LoginFailed where it refuses, or cannot be reached."""
    try:
        return await asking
    except RPCError as error:
        raise _failed(error) from None
    except (OSError, ValueError) as error:
        raise LoginFailed(
            f"Telegram cannot be reached, or did not answer ({error}): see that this host may, and try again"
        ) from None


def _failed(error: RPCError) -> LoginFailed:
    if isinstance(error, FloodWaitError):
        return LoginFailed(f"Telegram asks to wait {error.seconds} s before the next try")
    name = type(error).__name__.removesuffix("Error")
    return LoginFailed(f"Telegram refused ({name}): {_MEANING.get(name, 'try again with what it asks for')}")


_MEANING = {
    "AccessTokenInvalid": "that is no bot's token; @BotFather shows it",
    "AccessTokenExpired": "the token was replaced by another; @BotFather shows it",
    "ApiIdInvalid": "the API id and hash do not belong together; my.telegram.org shows them",
    "PhoneNumberInvalid": "that is no phone number; give it with the country's code, as +49…",
    "PhoneNumberUnoccupied": "no account has that number",
    "PhoneNumberBanned": "that account was banned",
    "PhoneCodeInvalid": "the code is another one",
    "PhoneCodeExpired": "the code is too old; begin anew",
    "PasswordHashInvalid": "the password is another one",
}
