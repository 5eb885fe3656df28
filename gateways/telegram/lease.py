"""The right to connect as an account: one process at a time, anywhere. A key that is used from two places is burnt for good.

    standby ─ acquire ─▶ held ── renew, every 2 s ──┐
       ▲                  ▲  └───── accepted ◀──────┤
       │                  │                         └─ refused, or 4.8 s without ─▶ no byte goes out any more, disconnect
       └── after 6 s ─────┴── release

Postgres' clock alone decides who may take an account over. The holder stops by its own clock, which goes on while the machine
sleeps, at 0.8 of the lease, counted from when the last renewal that was accepted was sent: so before anybody else connects.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import structlog

from gateways.telegram.accounts import Key, Kind
from gateways.telegram.errors import AccountLost
from jobs_core import Connection, Database, db, execute, fetch, fetch_one, statement
from workers.process_tree import boottime_s

log = structlog.get_logger()

LEASE_S = 6.0
RENEW_S = 2.0
DEADLINE_SHARE = 0.8
"""Of the lease: from then on nothing is sent."""
_AGAIN_S = 0.2
"""After a renewal that got no answer."""


@dataclass(slots=True)
class Held:
    """An account that this process holds, and what is needed to connect as it. deadline_s: on the clock of `boottime_s`."""

    name: str
    kind: Kind
    prefix: str
    tg_user_id: int
    username: str | None
    api_id: int
    api_hash: str = field(repr=False)
    key: Key = field(repr=False)
    login: int
    holder: str
    deadline_s: float

    @property
    def is_bot(self) -> bool:
        """Whether it has buttons and commands, and is refused history."""
        return self.kind == "bot"

    def may_send(self) -> bool:
        """Whether nobody else can have connected by now."""
        return boottime_s() < self.deadline_s


async def acquire(conn: Connection, names: Sequence[str] | None = None, *, besides: Sequence[str] = ()) -> list[Held]:
    """Take what accounts are free, of these or (None) of all, and not of those `besides`."""
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:12]}"
    asked_s = boottime_s()
    wanted = list(names) if names is not None else None
    values = {"names": wanted, "besides": list(besides), "holder": holder, "lease_s": LEASE_S}
    rows = await fetch(conn, statement("gateways", "account/acquire"), values)
    return [_held(row, holder, asked_s) for row in rows]


async def release(conn: Connection, held: Held) -> None:
    """Let go, after nothing is connected any more."""
    await execute(conn, statement("gateways", "account/release"), {"name": held.name, "holder": held.holder})


async def fence(conn: Connection, held: Held) -> None:
    """Begin a transaction that writes for an account: until it ends, nobody takes the account over. Raises AccountLost."""
    values = {"name": held.name, "holder": held.holder}
    if await fetch_one(conn, statement("gateways", "account/fence"), values) is None:
        raise AccountLost(f"Another process holds the Telegram account {held.name}: nothing is written for it here")


class Keeper:
    """Renews a lease, on a connection of its own."""

    def __init__(self, database: Database, held: Held) -> None:
        self._database = database
        self._held = held
        self._conn: Connection | None = None

    async def run(self) -> None:
        """Renew until cancelled. Raises AccountLost when this process holds the account no more; nothing is sent then."""
        held = self._held
        try:
            while True:
                sent_s = boottime_s()
                renewal = asyncio.create_task(self._renew())
                # Not asyncio.timeout: a cancelled statement on a connection that stalls comes back only 10 s later.
                await asyncio.wait({renewal}, timeout=max(held.deadline_s - sent_s, 0.0))
                if not renewal.done() or sent_s >= held.deadline_s:
                    renewal.cancel()
                    raise AccountLost(f"The lease of the Telegram account {held.name} could not be renewed in time")
                if renewed := renewal.result():
                    held.deadline_s = sent_s + DEADLINE_SHARE * LEASE_S
                await asyncio.sleep(min(RENEW_S if renewed else _AGAIN_S, max(held.deadline_s - boottime_s(), 0.0)))
        finally:
            held.deadline_s = float("-inf")
            await self._disconnect()

    async def _renew(self) -> bool:
        """False: no telling, the database did not answer as it should. Raises AccountLost."""
        held = self._held
        values = {"name": held.name, "holder": held.holder, "login": held.login, "lease_s": LEASE_S}
        try:
            if self._conn is None:
                self._conn = await self._database.connect("telegram lease")
            accepted = await execute(self._conn, statement("gateways", "account/renew"), values)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no renewal: the deadline decides
            log.warning("telegram.not_renewed", account=held.name, error=db.describe(error))
            await self._disconnect()
            return False
        if not accepted:
            raise AccountLost(f"The Telegram account {held.name} was taken over, logged in anew or logged out")
        return True

    async def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()


def _held(row: db.Row, holder: str, asked_s: float) -> Held:
    key = Key(row.pop("dc_id"), row.pop("server_address"), row.pop("port"), bytes(row.pop("auth_key")))
    return Held(**row, key=key, holder=holder, deadline_s=asked_s + DEADLINE_SHARE * LEASE_S)
