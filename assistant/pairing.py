"""Pairing: a code by which the owner shows, from their phone, that they are who can reach the database.

    ./jobs user pair ─▶ begin ─▶ code, for ten minutes ─ `/start CODE` to the bot ─▶ redeem ─▶ the sender is the owner

The code is random enough that nobody guesses it, and stored hashed. What is no code, or is one no more, is answered as any
`/start` is: who guesses learns nothing, and after five wrong guesses of one sender, or fifty of all, the right one counts no
more. Verbs take the connection first.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from assistant import action_cards, contact_cards, held, people
from assistant.held import Answered
from assistant.people import TELEGRAM, User
from assistant.person_links import link, write_to
from jobs_core import Connection, Jobs, execute, fetch_one, statement

VALID_FOR = timedelta(minutes=10)
MAX_GUESSES, MAX_GUESSES_OF_SENDER = 50, 5
_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # none that is read as another
_CODE_CHARS = 12
"""60 bits: fifty guesses find it once in 10^16 times, and who reads its hash cannot try them all in ten minutes."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """A code that counts until then."""

    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Paired:
    """The sender is this owner now. Call `answered.wake()` after the commit."""

    owner: User
    answered: Answered


async def begin(conn: Connection) -> Pairing:
    """A new code, the only one that counts from now on."""
    code = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_CHARS))
    values = {"digest": _digest(code), "valid_s": VALID_FOR.total_seconds()}
    row = await fetch_one(conn, statement("assistant", "pairing/begin"), values)
    assert row is not None, "an insert without a condition returns its row"
    return Pairing(code, row["expires_at"])


async def redeem(conn: Connection, jobs: Jobs, sender: User, address: str, code: str) -> Paired | None:
    """Make whoever has sent the code the owner; None: it does not count, and is answered as if there had been none.

    sender: who `people.contact` says comes by this address at Telegram; what was kept of them is taken in. Call it inside a
    transaction that is committed whatever comes of it: guesses are counted there.
    """
    guesses = {"sender": address, "most": MAX_GUESSES, "most_of_sender": MAX_GUESSES_OF_SENDER}
    counts = await fetch_one(conn, statement("assistant", "pairing/hold"), guesses)
    if counts is None:
        return None
    if not hmac.compare_digest(counts["digest"], _digest(code.strip().upper())):
        await execute(conn, statement("assistant", "pairing/wrong"), {"sender": address})
        return None
    await execute(conn, statement("assistant", "pairing/use"))
    owner = await people.owner(conn)
    paired = await write_to(conn, await link(conn, TELEGRAM, address, owner.id), address)
    is_new = paired.tg_user_id != owner.tg_user_id
    if is_new:
        await contact_cards.hold_open(conn)
        await action_cards.show_open(conn, user_id=paired.id, anew=f"phone {address}")
    answered = await held.answer(conn, jobs, sender.id, "allowed", by=paired.id)
    if is_new:  # behind that: they were a stranger themselves
        await contact_cards.show_open(conn, user_id=paired.id, anew=f"phone {address}")
    return Paired(paired, answered)


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode(errors="replace")).digest()
