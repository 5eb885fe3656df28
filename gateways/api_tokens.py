"""Tokens of the web API that belong to people: made by the operator, shown once, looked up by their hash.

    create ─▶ "jobs_" and 43 characters, shown ─▶ in force ─┬─ expires_at has come
                       └─ SHA-256 ─▶ api_tokens             ├─ revoke
                                                            └─ its address is unlinked

A token is random, 256 bits: its plain hash cannot be turned back, and a look-up by it takes as long for a wrong one as for a
right one, so that nobody finds it out piece by piece. Verbs take the connection first.
"""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from assistant import people
from assistant.people import Role
from gateways.scopes import OF_PEOPLE, SCOPES, Scope
from jobs_core import Connection, InvalidInput, fetch, fetch_one, gate, statement

_PREFIX = "jobs_"
"""By which people, and programs that look for secrets, know one."""
_BYTES = 32
_TOKEN = re.compile(rf"{_PREFIX}[A-Za-z0-9_-]{{43}}")
LONGEST = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is listed. used_at: true to the minute; None: never."""

    id: int
    name: str
    user_id: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class InForce:
    """A token that somebody showed, and whose it is."""

    id: int
    user_id: str
    role: Role
    scopes: list[Scope]
    expires_at: datetime | None


async def create(
    conn: Connection,
    *,
    name: str,
    user_id: str | None,
    address: str | None = None,
    scopes: Collection[str] | None = None,
    expires_in: timedelta | None = None,
) -> tuple[Token, str]:
    """A new token of a person, the owner where `user_id` is None, and its text, which nobody can tell again.

    address: the person's on the web, whose the token is: it ends when the address is theirs no more. scopes: None: all that a
    person of that role may use. Call it inside a transaction. Raises NoSuchUser, InvalidInput.
    """
    person = await (people.owner(conn) if user_id is None else people.get(conn, user_id))
    if expires_in is not None and not timedelta(0) < expires_in <= LONGEST:
        raise InvalidInput(f"expires_in: is not between 0 s and {LONGEST.days} days", field="expires_in_s")
    text = _PREFIX + secrets.token_urlsafe(_BYTES)
    values = {
        "hash": _hash_of(text),
        "name": _line(name),
        "user_id": person.id,
        "address": address,
        "scopes": _checked(scopes, person),
        "expires_in_s": expires_in.total_seconds() if expires_in else None,
    }
    row = await fetch_one(conn, statement("gateways", "api_token/create"), values)
    assert row is not None, "an insert without a condition returns its row"
    return Token(**row), text


def may_be_one(text: str) -> bool:
    """Whether a text looks like a token, so that it is worth a look-up."""
    return _TOKEN.fullmatch(text) is not None


async def find(conn: Connection, text: str) -> InForce | None:
    """The token of this text, whose use is noted; None: there is none, or it expired, was revoked, or its person is blocked."""
    row = await fetch_one(conn, statement("gateways", "api_token/find"), {"hash": _hash_of(text)})
    return InForce(**row) if row else None


async def list_tokens(
    conn: Connection, *, user_id: str | None = None, limit: int = 50, before_id: int | None = None
) -> list[Token]:
    """The newest tokens, of one person or of all, revoked ones, too; page on with the last one's id as `before_id`."""
    values = {"user_id": user_id, "limit": limit, "before_id": before_id}
    return [Token(**row) for row in await fetch(conn, statement("gateways", "api_token/list"), values)]


async def revoke(conn: Connection, token_id: int, *, user_id: str | None = None) -> Token | None:
    """Have a token be good for nothing from now on; None where there is none, or not this person's (None: whoever's)."""
    values = {"id": token_id, "user_id": user_id}
    row = await fetch_one(conn, statement("gateways", "api_token/revoke"), values)
    return Token(**row) if row else None


def _hash_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _line(name: str) -> str:
    if not gate.check_name(name.strip(), field="name").isprintable():
        raise InvalidInput("name: holds a control character; remove it", field="name")
    return name.strip()


def _checked(scopes: Collection[str] | None, person: people.User) -> list[str]:
    known = SCOPES if person.is_owner else OF_PEOPLE
    if scopes is None:
        return list(known)
    if unknown := sorted(set(scopes) - set(known)):
        whose = "an owner" if person.is_owner else "somebody who is no owner"
        raise InvalidInput(
            f"scopes: {', '.join(unknown)[:200]} cannot be given to {whose}; {', '.join(known)} can", field="scopes"
        )
    if not scopes:
        raise InvalidInput("scopes: are none; a token without any is good for nothing", field="scopes")
    return sorted(set(scopes))
