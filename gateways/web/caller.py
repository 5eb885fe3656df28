"""Who calls a route: whoever holds JOBS_TOKEN, or a person, by a token of theirs (gateways/api_tokens.py).

What is whose is looked at here: an owner may see to everybody's, all others to their own.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Request
from starlette.types import Scope as AsgiScope

from assistant.incoming import require_theirs
from gateways import api_tokens
from gateways.scopes import SCOPES, Scope
from gateways.web.context import Context, Here
from gateways.web.errors import Refused
from gateways.web.parameters import Name

_STATE = "caller"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token. user_id: whose it is; None: the operator's, who is the owner. expires_at: None: never."""

    user_id: str | None = None
    is_owner: bool = True
    scopes: frozenset[Scope] = frozenset(SCOPES)
    token_id: int | None = None
    expires_at: datetime | None = None

    @property
    def is_operator(self) -> bool:
        """Whether they hold JOBS_TOKEN."""
        return self.token_id is None

    def about(self, user_id: str | None) -> str | None:
        """Whose things are meant where `user_id` is asked for: of an owner as given, None for everybody's; else one's own.

        Raises Refused, 403, for somebody else's.
        """
        if self.is_owner:
            return user_id
        if user_id not in {None, self.user_id}:
            raise Refused(403, "not_yours", "user_id: is somebody else; leave it out", field="user_id")
        return self.user_id

    def acting_for(self, user_id: str | None) -> str | None:
        """For whom something is done where `user_id` is given: the caller unless told otherwise; None: the owner.

        Raises Refused, 403, for somebody else where the caller is no owner.
        """
        return self.user_id if user_id is None else self.about(user_id)


OPERATOR = Caller()


async def known_by(context: Context, token: str) -> Caller | None:
    """Who shows this token; None: nobody does. Raises what the database raises while it is away."""
    if hmac.compare_digest(token.encode("latin-1"), context.token.encode()):
        return OPERATOR
    if not api_tokens.may_be_one(token):
        return None
    async with context.database.connection() as conn:
        found = await api_tokens.find(conn, token)
    if found is None:
        return None
    return Caller(found.user_id, found.role == "owner", frozenset(found.scopes), found.id, found.expires_at)


def note_caller(scope: AsgiScope, caller: Caller) -> None:
    """Note who asks, for the routes."""
    scope.setdefault("state", {})[_STATE] = caller


def caller_in(scope: AsgiScope) -> Caller:
    """Who asks; of a request that the guard let in with a token."""
    caller: Caller = scope["state"][_STATE]
    return caller


def caller_of(request: Request) -> Caller:
    """Likewise, for routes."""
    return caller_in(request.scope)


Calling = Annotated[Caller, Depends(caller_of)]
"""A route's parameter: who calls it."""


async def _their_chat(context: Here, caller: Calling, session_id: Annotated[Name, Path()]) -> str:
    if not caller.is_owner and caller.user_id is not None:
        async with context.database.connection() as conn:
            await require_theirs(conn, session_id, caller.user_id)
    return session_id


ChatId = Annotated[str, Depends(_their_chat)]
"""A route's parameter: the `session_id` in its path, of a chat that is the caller's to see to; else NoSuchChat is raised.

An owner's may be of no chat at all.
"""
