"""A session's transcript in Postgres, as the SDK's `SessionStore` and for ourselves.

One store serves one run: it is bound to a session and to the epoch under which the run took it. Each append begins with
the fence on that epoch, so that a run that was taken over cannot add a line. The SDK names a session by its working
directory as well (`project_key`); here the session's id alone decides, so that any host may go on with it.
"""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobs_core import Connection, Database, LeaseLost, execute, fetch, statement
from sessions.errors import MirrorFailed
from sessions.records import fence_session
from sessions.resume import classify

if TYPE_CHECKING:
    from claude_agent_sdk import SessionKey, SessionStoreEntry

Entries = list[dict[str, Any]]
"""Transcript entries in store order, as the CLI wrote them."""


async def load_transcript(conn: Connection, session_id: UUID, subpath: str = "", *, copied: bool = True) -> Entries:
    """The entries of a session, oldest first, [] where there are none; `subpath` names a subagent's.

    copied: with those that it began with, as a copy of another session or of a file (`copies`).
    """
    parameters = {"session_id": session_id, "subpath": subpath, "from_epoch": 0 if copied else 1}
    rows = await fetch(conn, statement("sessions", "transcript/load"), parameters)
    return [json.loads(row["entry"]) for row in rows]


async def is_answered(conn: Connection, session_id: UUID, turn_id: UUID) -> bool:
    """Whether a turn's answer is on record, so that no model is asked for it again, and no money is needed."""
    return classify(await load_transcript(conn, session_id), str(turn_id)).state == "finished"


async def append_transcript(
    conn: Connection, session_id: UUID, epoch: int, entries: Sequence[Any], subpath: str = ""
) -> None:
    """Add entries, leaving out those whose uuid is stored; call it inside a transaction.

    Raises LeaseLost where the epoch is no longer the session's: nothing was written.
    """
    await fence_session(conn, session_id, epoch)
    parameters = {
        "session_id": session_id,
        "subpath": subpath,
        "epoch": epoch,
        "entry_uuids": [entry.get("uuid") for entry in entries],
        "entries": [json.dumps(entry) for entry in entries],  # ASCII: NUL and lone surrogates stay escaped
    }
    await execute(conn, statement("sessions", "transcript/append"), parameters)


class TranscriptStore:
    """What the SDK mirrors a run's transcript to.

    The SDK tries a refused append three times and then lets the CLI go on, so a run must not wait for its word:
    `on_lost` is called as soon as the session turns out to be somebody else's. Entries that the SDK gave up are a hole,
    behind which nothing is stored: a transcript may end early, but never lack what came before its end.
    """

    def __init__(self, db: Database, session_id: UUID, epoch: int, *, on_lost: Callable[[], object]) -> None:
        self.lost: LeaseLost | None = None
        self._db = db
        self._session_id = session_id
        self._epoch = epoch
        self._on_lost = on_lost
        self._refused: list[SessionStoreEntry] | None = None

    async def append(self, key: "SessionKey", entries: "list[SessionStoreEntry]") -> None:
        """Store entries; returns once they are committed.

        Raises LeaseLost for a run that was taken over, MirrorFailed for another session's key or for entries that come
        after a hole, and what the connection raises where Postgres cannot be reached. To try again, pass the same list.
        """
        if self._refused is not None and self._refused is not entries:
            raise MirrorFailed(f"Earlier entries of session {self._session_id} were not stored, so later ones are not")
        self._refused = entries
        subpath = self._subpath(key)
        try:
            if entries:
                async with self._db.transaction() as conn:
                    await append_transcript(conn, self._session_id, self._epoch, entries, subpath)
        except LeaseLost as lost:
            self.lost = lost
            self._on_lost()
            raise
        self._refused = None

    async def load(self, key: "SessionKey") -> "list[SessionStoreEntry] | None":
        """Return what was stored, None where nothing was."""
        subpath = self._subpath(key)
        async with self._db.connection() as conn:
            entries: Any = await load_transcript(conn, self._session_id, subpath)
        return entries or None

    def _subpath(self, key: "SessionKey") -> str:
        if key["session_id"] != str(self._session_id):
            raise MirrorFailed(f"The CLI wrote to session {key['session_id']}, but this run holds {self._session_id}")
        return key.get("subpath", "")
