"""Scopes: what a token may be used for. A route of the web API asks for one of them, a token has some."""

from typing import Literal, get_args

Scope = Literal[
    "chats:read",
    "chats:write",
    "approvals:read",
    "approvals:write",
    "notifications:read",
    "notifications:write",
    "usage:read",
    "tasks:read",
    "tasks:write",
    "schedules:read",
    "schedules:write",
    "webhooks:read",
    "webhooks:write",
    "jobs:read",
    "jobs:write",
    "agents:read",
    "agents:write",
    "users:read",
    "users:write",
    "tokens:read",
    "tokens:write",
]
"""Reading, and changing: the one does not imply the other."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
_OF_PEOPLE = {"chats", "approvals", "notifications", "usage", "tokens"}
OF_PEOPLE: tuple[Scope, ...] = tuple(scope for scope in SCOPES if scope.partition(":")[0] in _OF_PEOPLE)
"""Those that mean something for somebody who is no owner, each for what is theirs."""
