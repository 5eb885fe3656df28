"""The accounts of ours at Telegram: who we are there, by what key, and what became of it.

    log_in ─▶ active ─┬─ Telegram refuses the key ─▶ revoked │ burnt ─┐
                      └─ log_out ─▶ logged_out ──────────────────────┴─ log_in, under the same name

A row outlives its logout: chats are named after it. Verbs take the connection first: the caller owns the transaction.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from assistant import out_of_use
from assistant.notifications import notify
from gateways.telegram.errors import KeyRefused, LoginFailed, NoSuchAccount
from jobs_core import Connection, InvalidInput, db, execute, fetch, fetch_one, statement

Kind = Literal["bot", "user"]
State = Literal["active", "revoked", "burnt", "logged_out"]

CHANNEL: Literal["telegram"] = "telegram"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_HOW_TO_GO_ON = (
    "Log in anew: ./jobs telegram login --account {name}. Answers that are owed there wait until then; "
    "you are told what else there is by another account, if you have come by one."
)


@dataclass(frozen=True, slots=True)
class Key:
    """What an account is reached with: where, and by which key. None of it is for anybody's eyes."""

    dc_id: int
    server_address: str
    port: int
    auth_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """An account. prefix: of the ids of its chat sessions. said: what Telegram said, where it is not active.

    holder: the process that holds it; held: whether its lease still runs.
    """

    name: str
    kind: Kind
    prefix: str
    tg_user_id: int
    username: str | None
    state: State
    said: str | None
    holder: str | None
    held: bool
    created_at: datetime

    @property
    def is_bot(self) -> bool:
        """Whether it has buttons and commands, and is refused history."""
        return self.kind == "bot"


@dataclass(frozen=True, slots=True)
class Login:
    """What a login came to: who we are, and how to come back without another."""

    kind: Kind
    tg_user_id: int
    username: str | None
    api_id: int
    api_hash: str = field(repr=False)
    token: str | None = field(repr=False)
    key: Key


@dataclass(frozen=True, slots=True)
class LoggingOut:
    """An account that is to be logged out. key: None: it has none. held: a process is still connected by it."""

    api_id: int
    api_hash: str = field(repr=False)
    key: Key | None
    login: int
    state: State
    held: bool


def check_name(name: str) -> str:
    """The name itself, if an account can have it. Raises InvalidInput."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"account: {name!r} is no account's name: a small letter, then up to 30 small letters, digits and dashes",
            field="account",
        )
    return name


async def log_in(conn: Connection, name: str, login: Login) -> Account:
    """Keep a login under a name; of an account that is there, only the same one's. Whoever holds it takes the new key.

    Raises LoginFailed where the name is another account's, or the account has another name, or where a second one is to be
    called as the channel: whoever holds the first would serve its queue. The caller rolls back, and logs the key out.
    """
    values = {
        "name": check_name(name),
        "kind": login.kind,
        "tg_user_id": login.tg_user_id,
        "username": login.username,
        "api_id": login.api_id,
        "api_hash": login.api_hash,
        "token": login.token,
        "dc_id": login.key.dc_id,
        "server_address": login.key.server_address,
        "port": login.key.port,
        "auth_key": login.key.auth_key,
    }
    try:
        async with conn.transaction():
            await execute(conn, statement("gateways", "account/take_turns"))
            row = await fetch_one(conn, statement("gateways", "account/log_in"), values)
    except db.UniqueViolation:
        raise LoginFailed(
            f"This account (number {login.tg_user_id}) is logged in under another name: ./jobs telegram ls shows it"
        ) from None
    if row is None:
        raise LoginFailed(f"The name {name!r} is another account's: choose another one with --account")
    if row["prefix"] != name == CHANNEL:
        raise LoginFailed(
            f"The name {name!r} stands for the first account in what names none: choose another one with --account"
        )
    await out_of_use.open_again(conn, CHANNEL, _lanes(name, row["prefix"]))
    return Account(**row)


async def begin_log_out(conn: Connection, name: str) -> LoggingOut:
    """Have nobody take an account up; whoever holds it lets go within two seconds. Raises NoSuchAccount."""
    row = await fetch_one(conn, statement("gateways", "account/begin_log_out"), {"name": name})
    if row is None:
        raise _none(name)
    auth_key = row.pop("auth_key")
    where = {part: row.pop(part) for part in ("dc_id", "server_address", "port")}
    return LoggingOut(**row, key=Key(**where, auth_key=bytes(auth_key)) if auth_key else None)


async def log_out(conn: Connection, name: str, login: int) -> None:
    """Forget the key and the token of an account's login, unless there is a newer one; what is to be told goes by others."""
    async with conn.transaction():
        row = await fetch_one(conn, statement("gateways", "account/log_out"), {"name": name, "login": login})
        if row:
            await out_of_use.close(conn, CHANNEL, _lanes(name, row["prefix"]))


async def list_accounts(conn: Connection) -> Sequence[Account]:
    """All accounts, the first one first."""
    return [Account(**row) for row in await fetch(conn, statement("gateways", "account/list"), {"name": None})]


async def find_account(conn: Connection, name: str) -> Account:
    """The account. Raises NoSuchAccount."""
    row = await fetch_one(conn, statement("gateways", "account/list"), {"name": name})
    if row is None:
        raise _none(name)
    return Account(**row)


async def put_out_of_use(conn: Connection, name: str, login: int, why: KeyRefused) -> None:
    """Note that Telegram takes the key of this login no more, and tell the owner, once; nothing where there is a newer one."""
    values = {"name": name, "login": login, "state": why.state, "said": why.said}
    row = await fetch_one(conn, statement("gateways", "account/put_out_of_use"), values)
    if row is None:
        return
    await out_of_use.close(conn, CHANNEL, _lanes(name, row["prefix"]))
    what = {
        "revoked": "ended our session",
        "burnt": "ended our session because its key was used in two places at once",
    }[why.state]
    await notify(
        conn,
        user_id=None,
        title=f"The Telegram account {name} is out of use",
        body=f"Telegram {what} ({why.said}). {_HOW_TO_GO_ON.format(name=name)}",
        category="telegram",
        severity="error",
        metadata={"account": name, "state": why.state},
        not_by=name,
    )


def _lanes(name: str, prefix: str) -> Sequence[str]:
    """What the lanes of an account are called: those that name none are the first one's."""
    return [name, CHANNEL] if prefix == CHANNEL else [name]


def _none(name: str) -> NoSuchAccount:
    return NoSuchAccount(f"There is no Telegram account {name!r}: ./jobs telegram ls lists them")
