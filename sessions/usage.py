"""The usage ledger: what each run of a turn used at the API, kept from before a call is made until after it has ended.

    open_call ─▶ the API ─▶ close_call
        └─ a crash in between: close_open_calls, by the turn's next run, or a sweep; estimated

Every verb takes the connection first: the caller owns the transaction.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, get_args
from uuid import UUID

from jobs_core import Connection, execute, fetch, fetch_one, statement
from sessions.account import RunAccount, Usage
from sessions.prices import Tokens, cost_usd, listed

By = Literal["project", "user", "agent", "session", "job", "task", "day", "model"]
BY: tuple[By, ...] = get_args(By)
"""What usage can be added up by."""

ABANDONED_AFTER = timedelta(hours=1)
"""A call takes ten minutes at most: the CLI gives it up then."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that is about to be made. id: unique in its run. input_tokens: by its size. max_tokens: that it asks for."""

    id: str
    model: str
    input_tokens: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Total:
    """Usage added up: of which project, user … (None: of none), of how many sessions and turns.

    guessed_price: some of it is of models that are in no price list.
    """

    name: str | None
    sessions: int
    turns: int
    usage: Usage
    guessed_price: bool

    def plain(self) -> dict[str, Any]:
        """All of it in one mapping that JSON can hold."""
        about = {"name": self.name, "sessions": self.sessions, "turns": self.turns, "guessed_price": self.guessed_price}
        return about | asdict(self.usage) | {"cost_usd": float(self.usage.cost_usd)}


async def open_call(conn: Connection, account: RunAccount, session_id: UUID, epoch: int, call: OpenCall) -> bool:
    """Record a call before it is made; False where another run has taken the session: then it must not be made."""
    parameters = {
        "session_id": session_id,
        "epoch": epoch,
        "turn_id": account.turn_id,
        "token": account.token,
        "model": call.model,
        "job_id": account.job_id,
        "user_id": account.user_id,
        "task_id": account.task_id,
        "project_id": account.project_id,
        "agent": account.agent,
        "guessed_price": listed(call.model) is None,
        "call_id": call.id,
        "input_tokens": call.input_tokens,
        "max_tokens": call.max_tokens,
        "input_usd": cost_usd(call.model, Tokens(cache_write=1)),
        "output_usd": cost_usd(call.model, Tokens(output=1)),
    }
    return await fetch_one(conn, statement("sessions", "usage/open_call"), parameters) is not None


async def close_call(conn: Connection, account: RunAccount, call: OpenCall, used: Usage) -> bool:
    """Record what a call used; False where it is not open. To be tried again after any failure: it counts once."""
    parameters = {
        "turn_id": account.turn_id,
        "token": account.token,
        "model": call.model,
        "call_id": call.id,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cache_read_tokens": used.cache_read_tokens,
        "cache_write_tokens": used.cache_write_tokens,
        "cost_usd": used.cost_usd,
        "tool_calls": used.tool_calls,
        "duration_s": used.duration_s,
        "estimated_calls": used.estimated_calls,
    }
    return bool(await execute(conn, statement("sessions", "usage/close_call"), parameters))


async def close_open_calls(conn: Connection, turn_id: UUID) -> int:
    """Close what crashed runs of a turn left open, estimated; returns how many rows had such calls.

    Only for who holds the turn's session, or knows that nobody does.
    """
    return await execute(conn, statement("sessions", "usage/close_open_calls"), {"turn_id": turn_id})


async def close_abandoned_calls(conn: Connection) -> int:
    """Likewise for turns that nobody runs again; returns how many they were."""
    rows = await fetch(conn, statement("sessions", "usage/abandoned"), {"idle_s": ABANDONED_AFTER.total_seconds()})
    for row in rows:
        await close_open_calls(conn, row["turn_id"])
    return len(rows)


async def usage_of_turn(conn: Connection, turn_id: UUID, token: int | None = None) -> Usage:
    """What a turn used, in all its runs or in that of `token`; open calls estimated."""
    row = await fetch_one(conn, statement("sessions", "usage/of_turn"), {"turn_id": turn_id, "token": token})
    assert row is not None
    return Usage(**row)


async def costs_of_turns(conn: Connection, turn_ids: Sequence[UUID]) -> dict[UUID, float]:
    """The US dollars that each of these turns has cost in all its runs, of those that have used anything."""
    rows = await fetch(conn, statement("sessions", "usage/costs_of_turns"), {"turn_ids": list(turn_ids)})
    return {row["turn_id"]: float(row["cost_usd"]) for row in rows}


async def usage_of_user(conn: Connection, user_id: str, since: datetime) -> Usage:
    """What turns for a user used in runs that began since then; open calls estimated."""
    row = await fetch_one(conn, statement("sessions", "usage/of_user"), {"user_id": user_id, "since": since})
    assert row is not None
    return Usage(**row)


async def spent(conn: Connection, turn_id: UUID, token: int) -> Decimal:
    """The US dollars that one run of a turn has spent; open calls estimated."""
    return (await usage_of_turn(conn, turn_id, token)).cost_usd


async def totals(
    conn: Connection,
    by: By,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    user_id: str | None = None,
    limit: int = 1_000,
) -> Sequence[Total]:
    """Usage of runs that began in that time, for everybody or one person, added up; the dearest first, days newest first."""
    parameters = {"by": by, "since": since, "until": until, "user_id": user_id, "limit": limit}
    rows = await fetch(conn, statement("sessions", "usage/totals"), parameters)
    return [_total(row) for row in rows]


def _total(row: dict[str, object]) -> Total:
    about = {name: row.pop(name) for name in ("name", "sessions", "turns", "guessed_price")}
    return Total(**about, usage=Usage(**row))  # type: ignore[arg-type]  # the statement's columns are the fields
