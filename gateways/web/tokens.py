"""Tokens of people for this API: the operator makes them, and their people list and revoke them; and whom a token makes of one.

No token makes another: one that was stolen would never end.
"""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from assistant import people
from assistant.recipients import recipient
from gateways import api_tokens
from gateways.scopes import SCOPES, Scope
from gateways.web.body import read
from gateways.web.caller import Calling
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Id, Name
from gateways.web.parameters import Page as Part
from jobs_core import Connection, InvalidInput

_WEB = "web"


class NewToken(BaseModel):
    """A token to make, and for whom: a user, or whoever has this address at the program that asks; neither: the owner.

    person_name: what somebody is called who comes by that address for the first time. scopes: all of their role, unless given.
    """

    model_config = ConfigDict(extra="forbid")

    name: Name
    user_id: Name | None = None
    address: Name | None = None
    person_name: Name | None = None
    scopes: list[Scope] | None = Field(None, min_length=1, max_length=len(SCOPES))
    expires_in_s: float | None = Field(None, gt=0, le=api_tokens.LONGEST.total_seconds())


class MadeToken(BaseModel):
    """A new token; `token` is shown this once."""

    token: str
    about: api_tokens.Token


class Page(Part):
    """Which tokens, the newest first; user_id: of this person, for owners."""

    user_id: Name | None = None


class Tokens(BaseModel):
    """Tokens, without their texts."""

    tokens: list[api_tokens.Token]


class Me(BaseModel):
    """Who asks: the person of the token, what it is good for, and until when. user null: an operator who never said a word."""

    user: people.User | None
    operator: bool
    scopes: list[Scope]
    expires_at: datetime | None


async def create(request: Request, context: Here) -> MadeToken:
    """Make a token."""
    wanted = await read(request, NewToken)
    async with context.database.transaction() as conn:
        made, text = await api_tokens.create(
            conn,
            name=wanted.name,
            user_id=await _person(conn, wanted),
            address=wanted.address,
            scopes=wanted.scopes,
            expires_in=None if wanted.expires_in_s is None else timedelta(seconds=wanted.expires_in_s),
        )
    return MadeToken(token=text, about=made)


async def listed(context: Here, caller: Calling, page: Annotated[Page, Query()]) -> Tokens:
    """Tokens that were made, revoked and expired ones, too."""
    whose = caller.about(page.user_id)
    async with context.database.connection() as conn:
        return Tokens(
            tokens=await api_tokens.list_tokens(conn, user_id=whose, limit=page.limit, before_id=page.before_id)
        )


async def revoke(context: Here, caller: Calling, token_id: Annotated[Id, Path()]) -> api_tokens.Token:
    """Have a token be good for nothing from now on."""
    async with context.database.connection() as conn:
        revoked = await api_tokens.revoke(conn, token_id, user_id=caller.about(None))
    if revoked is None:
        raise Refused(
            404, "no_such_token", f"There is no token {token_id}: GET /api/tokens lists them", field="token_id"
        )
    return revoked


async def me(context: Here, caller: Calling) -> Me:
    """Who asks, as this door knows them."""
    async with context.database.connection() as conn:
        user_id = (await recipient(conn, caller.user_id)).user_id
        user = None if user_id is None else await people.get(conn, user_id)
    scopes = [scope for scope in SCOPES if scope in caller.scopes]
    return Me(user=user, operator=caller.is_operator, scopes=scopes, expires_at=caller.expires_at)


async def _person(conn: Connection, wanted: NewToken) -> str | None:
    if wanted.address is None:
        if wanted.person_name is not None:
            raise InvalidInput("person_name: goes with address only", field="person_name")
        return wanted.user_id
    if wanted.user_id is not None:
        raise InvalidInput("address: user_id is given, too; leave one out", field="address")
    return (await people.contact(conn, _WEB, wanted.address, name=wanted.person_name)).id
