"""What Telethon keeps of an account, kept in Postgres, and no further than what is committed.

Telethon saves how far it has come in the updates from memory, once a minute and as it disconnects: before their handlers have
ended. A crash then loses them. And its sessions are asked synchronously. So this one is filled before the client connects,
keeps all in memory, and takes no state from Telethon at all: states are written by who commits the updates (ingress.py), and
peers that were met are handed to the same transaction (docs/decisions/0027).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from telethon import types, utils
from telethon.crypto import AuthKey
from telethon.sessions import MemorySession

from gateways.telegram.lease import Held
from jobs_core import Connection, execute, fetch, statement

OWN = 0
"""The peer that stands for the account's own line of updates: private chats and basic groups."""


MOST_PEERS = 10_000
"""Kept in memory: of more, people are forgotten, and met anew. Groups are not: Telethon asks for their updates by name."""


class Progress(NamedTuple):
    """How far a line of updates has been taken in, as Telegram counts it. Of a supergroup only `pts` means something."""

    pts: int
    qts: int
    date: datetime
    seq: int


class Peer(NamedTuple):
    """By what an account names somebody, as Telethon makes rows of it. peer_id: marked."""

    peer_id: int
    access_hash: int
    username: str | None
    phone: str | None
    name: str | None


States = Mapping[int, Progress]
"""By marked id of the supergroup, or OWN."""


class AccountSession(MemorySession):  # type: ignore[misc]  # Telethon has no types
    """An account's session: its key, the states that were committed, and whom it has met since it was loaded."""

    def __init__(self, held: Held, states: States, peers: Iterable[Peer]) -> None:
        super().__init__()
        self.set_dc(held.key.dc_id, held.key.server_address, held.key.port)
        self.auth_key = AuthKey(held.key.auth_key)
        self._committed = states
        self._peers = {peer.peer_id: peer for peer in peers}
        self._peers[OWN] = Peer(OWN, held.tg_user_id, None, None, None)  # where Telethon looks for who it is
        self.met: dict[int, Peer] = {}
        """Whom the client met and no transaction has written yet."""

    def get_update_states(self) -> list[tuple[int, Any]]:
        """What to go on from, as Telethon asks it: supergroups by their bare id."""
        return [
            (utils.resolve_id(peer_id)[0] if peer_id else OWN, _state(at)) for peer_id, at in self._committed.items()
        ]

    def set_update_state(self, entity_id: int, state: Any) -> None:
        """Keep nothing: Telethon says here how far it has read, not how far anything is committed."""

    def process_entities(self, tlo: Any) -> None:
        """Note whom an answer or an update speaks of."""
        for row in self._entities_to_rows(tlo):
            peer = Peer(*row)
            if peer.peer_id and self._peers.get(peer.peer_id) != peer:
                self._peers[peer.peer_id] = self.met[peer.peer_id] = peer
        while len(self._peers) > MOST_PEERS and (person := next((one for one in self._peers if one > OWN), None)):
            del self._peers[person]

    def forget_met(self, written: Iterable[Peer]) -> None:
        """These are written; who was met meanwhile is not."""
        for peer in written:
            if self.met.get(peer.peer_id) is peer:
                del self.met[peer.peer_id]

    def get_entity_rows_by_id(self, id: int, exact: bool = True) -> tuple[int, int] | None:  # noqa: A002, FBT001, FBT002 - Telethon's names
        """By a marked id, or, not exact, by a bare one of any kind."""
        kinds = (types.PeerUser, types.PeerChat, types.PeerChannel)
        candidates = [id] if exact or not id else [utils.get_peer_id(kind(id)) for kind in kinds]
        return next(((peer.peer_id, peer.access_hash) for one in candidates if (peer := self._peers.get(one))), None)

    def clone(self, to_instance: Any = None) -> Any:
        """A session for a data centre of files: it shares nothing with the account's."""
        return to_instance or MemorySession()


async def load_session(conn: Connection, held: Held) -> AccountSession:
    """What is kept of an account: its states, and the peers that Telethon needs for them."""
    values = {"account": held.name}
    states = {
        row.pop("peer_id"): Progress(**row)
        for row in await fetch(conn, statement("gateways", "update_state/load"), values)
    }
    peers = [Peer(**row) for row in await fetch(conn, statement("gateways", "peer/of_states"), values)]
    return AccountSession(held, states, peers)


async def save_states(conn: Connection, account: str, states: States) -> None:
    """Write how far an account's updates are taken in, in the transaction that commits the last of them."""
    if states:
        values = {"account": account, "peer_ids": list(states), **_columns(Progress._fields, states.values())}
        await execute(conn, statement("gateways", "update_state/save"), values)


async def begin_at(conn: Connection, account: str, state: Progress) -> None:
    """Have an account begin there whose updates nobody has taken in yet; one that was held goes on where it was."""
    await execute(conn, statement("gateways", "update_state/begin"), {"account": account, **state._asdict()})


async def save_peers(conn: Connection, account: str, peers: Iterable[Peer]) -> None:
    """Write by what an account names people and groups."""
    peers = list(peers)
    if peers:
        values = {"account": account, **_columns(Peer._fields, peers)}
        await execute(conn, statement("gateways", "peer/save"), values)


def _columns(names: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Rows as an array a column."""
    rows = list(rows)
    return {name: [row[nth] for row in rows] for nth, name in enumerate(names)}


def _state(at: Progress) -> Any:
    return types.updates.State(at.pts, at.qts, at.date.astimezone(UTC), at.seq, unread_count=0)
