"""Who may call a route: declared beside it, in routes.py, and asked here before anything of the request is read but its head.

OPEN                      whoever reaches the door
BY_ANYBODY                whoever has a token, of whatever scopes
by_people("chats:read")   people with a token of that scope, each for what is theirs; owners for everybody's
by_owners("jobs:read")    owners alone, with a token of that scope
BY_OPERATOR               whoever holds JOBS_TOKEN, who may call all other routes, too
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request

from gateways.scopes import Scope
from gateways.web.caller import Caller, caller_of
from gateways.web.errors import Refused

Who = Literal["open", "anybody", "people", "owners", "operator"]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a route; scope: what their token must be for."""

    who: Who
    scope: Scope | None = None

    def require(self, caller: Caller) -> None:
        """Raises Refused, 403, where the caller may not."""
        if caller.is_operator:
            return
        if self.who == "operator":
            raise Refused(403, "operators_only", "Only the operator's token, JOBS_TOKEN, is good for this")
        if self.who == "owners" and not caller.is_owner:
            raise Refused(403, "owners_only", "Only owners may do this, and the token is of somebody else's")
        if self.scope and self.scope not in caller.scopes:
            raise Refused(403, "no_such_scope", f"The token is not for this: it lacks the scope {self.scope}")


OPEN = Access("open")
BY_ANYBODY = Access("anybody")
BY_OPERATOR = Access("operator")


def by_people(scope: Scope) -> Access:
    """People with a token of that scope, each for what is theirs: the route sees to it by its caller."""
    return Access("people", scope)


def by_owners(scope: Scope) -> Access:
    """Owners with a token of that scope."""
    return Access("owners", scope)


def required(access: Access) -> Callable[[Request], Coroutine[Any, Any, None]]:
    """A route's dependency: whoever calls it may."""

    async def require(request: Request) -> None:
        access.require(caller_of(request))

    return require
