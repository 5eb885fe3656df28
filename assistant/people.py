"""People: who it is that comes by a channel, what they may do, and for whom this run acts.

    contact(channel, address) ─▶ known by it ─▶ that person, name kept current
                               └▶ a stranger ─▶ a new person, external

A person is told by ids that the channel vouches for, never by what they call themselves: a copied name gives no right. The
owner is whoever holds the web API's token, and whoever has the Telegram number in JOBS_OWNER_TG_USER_ID; both are one person.
Who becomes somebody (first contacts, roles, links) is decided by one at a time; those who are known wait for nobody. Verbs take
the connection first: the caller owns the transaction.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from assistant import recipients, waiting
from assistant.errors import NoSuchUser, RoleFixed
from jobs_core import Connection, InvalidInput, execute, fetch, fetch_one, gate, statement

Role = Literal["owner", "external"]
Admission = Literal["unknown", "held", "allowed", "denied", "blocked"]
ADMISSIONS: tuple[Admission, ...] = ("unknown", "held", "allowed", "denied", "blocked")

WEB_TOKEN = {"channel": "web", "address": "token"}
"""The channel of whoever holds the web API's token."""
TELEGRAM = recipients.TELEGRAM
BIGGEST_ID = 2**63 - 1
"""Of numbers at Telegram: what a bigint holds."""
_LONGEST_NAME = 100

_acting_for: ContextVar["User"] = ContextVar("acting_for")


@dataclass(frozen=True, slots=True)
class User:
    """A person. `name` and `username` are what the channel of their last contact says; `seen_at` is true to the minute.

    admission: what an owner has said of serving them, see held.py; an owner is served whatever it is.
    """

    id: str
    name: str
    username: str | None
    role: Role
    tg_user_id: int | None
    created_at: datetime
    seen_at: datetime
    admission: Admission = "unknown"

    @property
    def is_owner(self) -> bool:
        """Whether they have the owner's rights."""
        return self.role == "owner"


@dataclass(frozen=True, slots=True)
class Address:
    """A channel by which a person comes, and their id there."""

    channel: str
    address: str
    created_at: datetime


class Seen(NamedTuple):
    """Somebody who has come. account: of ours, by which they came last; None: no word of it."""

    address: str
    account: str | None
    user: User


async def contact(
    conn: Connection,
    channel: str,
    address: str,
    *,
    name: str | None = None,
    username: str | None = None,
    tg_user_id: int | None = None,
    owner_tg_user_id: int | None = None,
    account: str | None = None,
) -> User:
    """Whoever comes by this channel, made now where they were never seen; of two contacts at once one makes them.

    address: their id on the channel, which the channel itself vouches for. name, username: what they call themselves, None
    where the channel does not say. tg_user_id: their number at Telegram, by which other addresses of theirs are found;
    owner_tg_user_id: the owner's, of the settings. account: of ours, by which they come now; they are written to by the last
    one. Call it first in a transaction. Raises InvalidInput, also for the channel of the token: who shows that is `owner`.
    """
    where = {"channel": check_id(channel, "channel"), "address": check_id(address, "address")}
    if where == WEB_TOKEN:
        raise InvalidInput("address: names whoever holds the web API's token; nobody comes by it", field="address")
    if tg_user_id is not None and not 0 < tg_user_id <= BIGGEST_ID:
        raise InvalidInput(f"tg_user_id: {tg_user_id} is no person's number at Telegram", field="tg_user_id")
    said = {"name": tidy(name), "username": tidy(username)}
    user = await _seen(conn, where | said)
    if user is None:
        await lock(conn)
        user = await _seen(conn, where | said) or await _first_contact(conn, where, said, tg_user_id)
    if tg_user_id is not None and tg_user_id == owner_tg_user_id and not user.is_owner:
        user = await _become_owner(conn, user)
    if account is not None:
        await execute(conn, statement("assistant", "user/came_by"), where | {"account": account})
    return user


async def owner(conn: Connection) -> User:
    """Whoever holds the web API's token: the owner. Made at the first call, once; call it inside a transaction."""
    user = await _seen(conn, WEB_TOKEN | _UNSAID)
    if user is None:
        await lock(conn)
        user = await _seen(conn, WEB_TOKEN | _UNSAID)
    if user is None:
        user = await first_owner(conn) or await _create(conn, {"name": "owner", "username": None}, "owner", None)
        await execute(conn, statement("assistant", "user/add_channel"), WEB_TOKEN | {"user_id": user.id})
    return user


async def name_owner(conn: Connection, name: str) -> User:
    """The owner, called so from now on, until a channel by which they come says otherwise; call it inside a transaction.

    Raises InvalidInput where nothing of the name can be seen.
    """
    values = {"id": (await owner(conn)).id, "name": tidy(name)}
    if values["name"] is None:
        raise InvalidInput("name: nothing of it can be seen; give one", field="name")
    row = await fetch_one(conn, statement("assistant", "user/rename"), values)
    assert row is not None, "an owner is merged into nobody"
    return User(**row)


async def first_owner(conn: Connection) -> User | None:
    """The owner who came first; None where there is none yet. Nobody was seen by this."""
    row = await fetch_one(conn, statement("assistant", "user/first_owner"))
    return User(**row) if row else None


async def get(conn: Connection, user_id: str) -> User:
    """The person of this id, or whom they were merged into. Raises NoSuchUser."""
    row = await fetch_one(conn, statement("assistant", "user/get"), {"id": check_id(user_id, "user_id")})
    if row is None:
        raise NoSuchUser(f"There is no user {user_id!r}: ./jobs user find looks for people by name")
    return User(**row)


async def list_users(
    conn: Connection,
    *,
    role: Role | None = None,
    admission: Admission | None = None,
    limit: int = 50,
    before: str | None = None,
) -> list[User]:
    """People, the newest first; page on with the last one's id as `before`."""
    values = {"role": role, "admission": admission, "limit": limit, "before": before}
    return [User(**row) for row in await fetch(conn, statement("assistant", "user/list"), values)]


async def named(conn: Connection, ids: Sequence[str]) -> dict[str, str]:
    """What others are told of who these are: of people their name, which they choose, and their id; else what is given."""
    rows = await fetch(conn, statement("assistant", "user/names"), {"ids": list(ids)})
    quoted = {row["id"]: json.dumps(row["name"], ensure_ascii=False) for row in rows}  # a name may look like an id
    return {one: f"{quoted[one]} ({one})" if one in quoted else one for one in ids}


async def channels(conn: Connection, user_id: str) -> list[Address]:
    """The channels by which a person comes."""
    rows = await fetch(conn, statement("assistant", "user/channels"), {"user_id": user_id})
    return [Address(**row) for row in rows]


async def set_role(conn: Connection, user_id: str, role: Role) -> User:
    """Give a person another role, from their next run on; call it inside a transaction.

    Raises NoSuchUser, and RoleFixed where nobody would be owner then, or whoever holds the web API's token would not.
    """
    await lock(conn)
    user = await get(conn, user_id)
    if role == "external" and user.is_owner:
        if await _count_owners(conn) == 1:
            raise RoleFixed(f"{user.id} is the only owner: make somebody else one first")
        if any((known.channel, known.address) == tuple(WEB_TOKEN.values()) for known in await channels(conn, user.id)):
            raise RoleFixed(f"{user.id} holds the web API's token, and with it all rights: change JOBS_TOKEN instead")
    row = await fetch_one(conn, statement("assistant", "user/set_role"), {"id": user.id, "role": role})
    assert row is not None  # nobody is merged while the lock is held
    return User(**row)


async def seen(conn: Connection, channel: str, contacts: Sequence[tuple[str, str | None, str | None]]) -> list[Seen]:
    """Those who are known by these addresses of a channel, with the names that they have there now: address, name, username.

    Names as `tidy` leaves them. Whoever comes by two of the addresses may be told by one of them only.
    """
    if not contacts:
        return []
    addresses, names, usernames = map(list, zip(*contacts, strict=True))
    values = {"channel": channel, "addresses": addresses, "names": names, "usernames": usernames}
    rows = await fetch(conn, statement("assistant", "user/seen"), values)
    return [Seen(row.pop("address"), row.pop("account"), User(**row)) for row in rows]


@contextmanager
def acting_for(user: User) -> Iterator[User]:
    """Inside, and in tasks and threads (`asyncio.to_thread`) begun inside, this is the user of the run."""
    token = _acting_for.set(user)
    try:
        yield user
    finally:
        _acting_for.reset(token)


def current_user() -> User:
    """For whom this run acts. Raises LookupError outside of a run: whoever asks there must be told otherwise."""
    return _acting_for.get()


async def lock(conn: Connection) -> None:
    """Take the turn of those who change who is who, until the caller's transaction ends."""
    await execute(conn, statement("assistant", "user/lock"))


async def merge(conn: Connection, user: User, into: User) -> None:
    """Make one person of two, with all that is theirs; the lock is held. Their roles are the caller's to weigh."""
    both = {"id": user.id, "into": into.id}
    await execute(conn, statement("assistant", "user/move_channels"), both)
    await execute(conn, statement("assistant", "user/merge"), both)
    await execute(conn, statement("assistant", "user/give_all"), both)
    await execute(conn, statement("assistant", "task/give"), {"user_id": user.id, "into": into.id})
    await waiting.give(conn, user.id, into.id)
    if user.tg_user_id is not None and into.tg_user_id is None:
        await set_tg_user_id(conn, user.id, None)
        await set_tg_user_id(conn, into.id, user.tg_user_id)


async def set_tg_user_id(conn: Connection, user_id: str, tg_user_id: int | None) -> None:
    """Note a person's number at Telegram; the lock is held."""
    await execute(conn, statement("assistant", "user/set_tg_user_id"), {"id": user_id, "tg_user_id": tg_user_id})


def check_id(text: str, field: str) -> str:
    """The text itself, if it can be an id: 1 to 200 characters, none of them invisible. Raises InvalidInput."""
    if not gate.check_name(text, field=field).isprintable():
        raise InvalidInput(f"{field}: contains a character that cannot be seen", field=field)
    return text


_UNSAID: dict[str, Any] = {"name": None, "username": None}


async def _seen(conn: Connection, contacted: dict[str, Any]) -> User | None:
    found = await seen(conn, contacted["channel"], [(contacted["address"], contacted["name"], contacted["username"])])
    return found[0].user if found else None


async def _first_contact(
    conn: Connection, where: dict[str, str], said: dict[str, str | None], tg_user_id: int | None
) -> User:
    """The person of a channel that nobody was known by: somebody known at Telegram by the number, or new."""
    known = None
    if tg_user_id is not None:
        known = await fetch_one(conn, statement("assistant", "user/by_tg_user_id"), {"tg_user_id": tg_user_id})
    if known:
        user = await get(conn, known["id"])
    else:
        named = said | {"name": said["name"] or said["username"] or f"{where['channel']} {where['address']}"}
        user = await _create(conn, named, "external", tg_user_id)
    await execute(conn, statement("assistant", "user/add_channel"), where | {"user_id": user.id})
    return user


async def _create(conn: Connection, named: dict[str, str | None], role: Role, tg_user_id: int | None) -> User:
    values = named | {"id": f"u_{secrets.token_hex(8)}", "role": role, "tg_user_id": tg_user_id}
    row = await fetch_one(conn, statement("assistant", "user/create"), values)
    assert row is not None  # an insert without a condition
    return User(**row)


async def _become_owner(conn: Connection, user: User) -> User:
    """Whom the settings name is whoever holds the token, if they have no other number at Telegram; else one more owner."""
    await lock(conn)
    holder = await fetch_one(conn, statement("assistant", "user/of_channel"), WEB_TOKEN)
    if holder is None or holder["tg_user_id"] is not None:
        return await set_role(conn, user.id, "owner")
    await merge(conn, user, User(**holder))
    return await get(conn, holder["id"])


async def _count_owners(conn: Connection) -> int:
    row = await fetch_one(conn, statement("assistant", "user/count_owners"))
    assert row is not None  # a count
    return int(row["owners"])


def tidy(name: str | None) -> str | None:
    """A name as others may be shown it: on one line, nothing in it that cannot be seen; None where nothing is left."""
    if name is None:
        return None
    seen = "".join(char if char.isprintable() else " " for char in name)
    return " ".join(seen.split())[:_LONGEST_NAME].strip() or None
