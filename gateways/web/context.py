"""What the web door is given, and what its routes ask it for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from assistant.settings import MediaSettings
from gateways.webhooks.settings import CallbackSettings
from jobs_core import Database, Jobs

_HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Context:
    """One door.

    jobs: creates jobs of the types in its table, on its database. token: what callers must show, 16 characters at least.
    hosts: the Host headers that are answered (`hosts_at`). version, model: shown by /health.
    rooms: whose migrations must have been applied. chat_wait_s: how long a chat request waits for the reply.
    media: which files are taken. callbacks: which URLs callbacks may have.
    """

    jobs: Jobs
    token: str = field(repr=False)
    hosts: frozenset[str]
    version: str
    model: str
    rooms: Sequence[str]
    chat_wait_s: float = 60.0
    media: MediaSettings = field(default_factory=MediaSettings)
    callbacks: CallbackSettings = field(default_factory=CallbackSettings)

    @property
    def database(self) -> Database:
        """The database of everything here."""
        return self.jobs.database


def hosts_at(port: int, names: Iterable[str] = ()) -> frozenset[str]:
    """The Host headers of a door at this port: those of the loopback, and `names` it is known by beside them.

    A name is taken as it is too, with a port of its own or without: what a proxy in front of the door shows.
    """
    known = {name.lower() for name in names}
    local = {"127.0.0.1", "localhost", "[::1]"}
    with_port = {f"{name}:{port}" for name in local | known}
    return frozenset(known | with_port | (local if port == _HTTP_PORT else set()))


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]
"""A route's parameter: the door it belongs to."""
