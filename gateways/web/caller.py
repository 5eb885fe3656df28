"""Who calls a route: whoever holds JOBS_TOKEN."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope as AsgiScope

from gateways.scopes import SCOPES, Scope

_STATE = "caller"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token. user_id: whose it is; None: the operator's, who is the owner."""

    user_id: str | None = None
    is_owner: bool = True
    scopes: frozenset[Scope] = frozenset(SCOPES)

    @property
    def is_operator(self) -> bool:
        """Whether they hold JOBS_TOKEN."""
        return self.user_id is None


OPERATOR = Caller()


def note_caller(scope: AsgiScope, caller: Caller) -> None:
    """Note who asks, for the routes."""
    scope.setdefault("state", {})[_STATE] = caller


def caller_of(request: Request) -> Caller:
    """Who asks; of a request that the guard let in with a token."""
    caller: Caller = request.scope["state"][_STATE]
    return caller


Calling = Annotated[Caller, Depends(caller_of)]
"""A route's parameter: who calls it."""
