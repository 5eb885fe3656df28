"""Budgets: what runs of turns may spend on models, reserved before they begin and settled by what the ledger says.

    caps ─▶ accounts (a key in a period): spent + reserved
    reserve, in the run's first transaction ─▶ the run, under the cap that it got ─▶ settle, in the settling one
       └─ too little is left: the job waits ◀── settle gives back · somebody raises · the period ends
       a run that died: its turn's next run settles it, or a sweep

All accounts that a run spends from are locked in one order before anything is decided, so that what is reserved never passes a
cap, whoever races. What is spent may: by what a run's last response cost over its own cap. Amounts are US dollars by the price
list. Every verb but `begin` takes the connection first: the caller owns the transaction.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, NamedTuple, TypeVar, get_args
from uuid import UUID

import structlog

from jobs_core import AnyJob, Connection, Database, execute, fetch, fetch_one, statement
from jobs_core.job import still_held
from jobs_core.waits import emit
from jobs_core.wake import Ready
from sessions import usage
from sessions.errors import SessionsError

log = structlog.get_logger()

T = TypeVar("T")

ScopeKind = Literal["turn", "job", "chat", "user", "project", "agent", "day"]
SCOPES: tuple[ScopeKind, ...] = get_args(ScopeKind)
EVERY = "*"
"""The key of what a scope says for each of its keys; of `day`, which is everything together, the only one."""

RUN_USD = Decimal(5)
"""The most that one run reserves, so that a turn with a large cap does not keep a day's money from all others."""
LEAST_USD = Decimal("0.10")
"""With less left a run is not worth its start: one request with a long conversation costs as much."""
_TOLD_FOR_USD = Decimal(1)
"""Of those who wait, one is told for each such part of what is left: what a run takes is not known before."""
_FORGET_AFTER_DAYS = 90


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose money a run spends, in one respect: a user, an agent, everything of the day …"""

    kind: ScopeKind
    key: str = EVERY

    def __str__(self) -> str:
        return self.kind if self.key == EVERY else f"{self.kind}:{self.key}"


@dataclass(frozen=True, slots=True)
class Balance:
    """An account under a cap. allowed_usd: the cap, with what it was raised by for this period. ends_at: None: never."""

    id: int
    scope: ScopeKind
    key: str
    period: Literal["once", "day", "month"]
    starts_on: date
    spent_usd: Decimal
    reserved_usd: Decimal
    allowed_usd: Decimal
    left_usd: Decimal
    ends_at: datetime | None

    def __str__(self) -> str:
        name = str(Scope(self.scope, self.key))
        return name if self.period == "once" or self.scope == "day" else f"{name} this {self.period}"


class News(NamedTuple):
    """Who has not heard yet: whoever asked, that this waits; the owner, that anything waits for the account."""

    to_who_asked: bool
    to_owner: bool


class BudgetShort(SessionsError):
    """Too little is left for a run: let its job wait for `balance` until `needs_usd` are (`wait_for_budget`)."""

    def __init__(self, balance: Balance, needs_usd: Decimal) -> None:
        super().__init__(
            f"the budget of {balance} is used up: {dollars(balance.spent_usd)} of {dollars(balance.allowed_usd)} are spent"
            + (f" and {dollars(balance.reserved_usd)} reserved by what runs" if balance.reserved_usd else "")
        )
        self.balance = balance
        self.needs_usd = needs_usd


def scopes_of(
    job: AnyJob, turn_id: UUID, *, chat: str | None = None, user: str | None = None, agent: str | None = None
) -> list[Scope]:
    """On whose account a run of this job spends; its own user is that of a job without a chat."""
    keys: dict[ScopeKind, object] = {
        "turn": turn_id,
        "job": job.id,
        "chat": chat,
        "user": user or job.user_id,
        "project": job.project_id,
        "agent": agent,
    }
    return [Scope("day"), *(Scope(kind, str(key)) for kind, key in keys.items() if key is not None)]


async def reserve(
    conn: Connection, job: AnyJob, turn_id: UUID, scopes: Iterable[Scope], *, usd: Decimal = RUN_USD
) -> Decimal | None:
    """Reserve up to `usd` for this run, in every account that a cap on one of the scopes asks for, or in none.

    Returns what was reserved, which is the run's cap: what is left in the tightest account where that is less; None: no cap
    concerns it. What earlier runs of the turn had reserved is settled with it; what this one has reserved stays. Call it last
    in the run's first, fenced transaction. Raises BudgetShort: roll back.
    """
    chosen = sorted({(scope.kind, scope.key) for scope in scopes})
    keys = {"scopes": [kind for kind, _ in chosen], "keys": [key for _, key in chosen]}
    of_turn = {"turn_id": turn_id, "token": job.token}
    if held := await fetch_one(conn, statement("sessions", "budget/held"), of_turn):
        return Decimal(held["usd"])
    await execute(conn, statement("sessions", "budget/open"), keys)
    locked = await fetch(conn, statement("sessions", "budget/lock"), {**keys, **of_turn})
    for left in await fetch(conn, statement("sessions", "budget/held_before"), of_turn):
        await _book(conn, turn_id, left["token"], died=True)
    ours = await fetch(conn, statement("sessions", "budget/of_keys"), {**keys, "ids": [row["id"] for row in locked]})
    balances = [Balance(**row) for row in ours]
    if not balances:
        return None
    taken = _share(balances, usd)
    values = {**of_turn, "job_id": job.id, "usd": taken, "ids": [balance.id for balance in balances]}
    await execute(conn, statement("sessions", "budget/hold"), values)
    await execute(conn, statement("sessions", "budget/waited"), {"job_id": job.id})
    return taken


async def settle(conn: Connection, turn_id: UUID, token: int) -> set[Ready]:
    """Book what a run has spent and give back what it reserved, once however often it is called.

    Call it in the settling transaction. Returns where jobs that waited go on; wake them after the commit.
    """
    if not await fetch(conn, statement("sessions", "budget/lock_held"), {"turn_id": turn_id, "token": token}):
        return set()
    return await _tell(conn, await _book(conn, turn_id, token, died=False))


async def sweep(conn: Connection) -> set[Ready]:
    """Settle for the runs that died, and tell those who wait where there is money; returns where jobs go on.

    The connection is not in a transaction. A run has died whose claim no longer holds its job.
    """
    ready = set[Ready]()
    await execute(conn, statement("sessions", "budget/forget_waits"))
    holders = await fetch(conn, statement("sessions", "budget/holders"))
    living = await still_held(conn, [(row["job_id"], row["token"]) for row in holders])
    for row in holders:
        if row["token"] not in living:
            async with conn.transaction():
                of_run = {"turn_id": row["turn_id"], "token": row["token"]}
                await fetch(conn, statement("sessions", "budget/lock_held"), of_run)
                ready |= await _tell(conn, await _book(conn, row["turn_id"], row["token"], died=True))
    for row in await fetch(conn, statement("sessions", "budget/waited_for")):
        async with conn.transaction():
            await fetch(conn, statement("sessions", "budget/lock_one"), {"id": row["id"]})
            ready |= await _tell(conn, [row["id"]])
    return ready


async def begin(
    database: Database, first: Callable[[], Awaitable[T]], wake: Callable[[set[Ready]], object] | None = None
) -> T:
    """What a run's first transaction, which calls `reserve`, comes to; once more where dead runs had the money.

    wake: hears where jobs go on with what those gave back; without it they are found by polls. Raises BudgetShort.
    """
    try:
        return await first()
    except BudgetShort:
        async with database.connection() as conn:
            ready = await sweep(conn)
    if wake:
        wake(ready)
    return await first()


async def wait_for_budget(conn: Connection, job: AnyJob, short: BudgetShort) -> News:
    """Note in the settling transaction that the job waits for `event_of(job, short)`; returns to whom that is news.

    Where somebody has given back enough since the run came short, the event is emitted at once.
    """
    at = short.balance
    named = {"scope": at.scope, "key": at.key, "period": at.period, "starts_on": at.starts_on}
    (account,) = await fetch(conn, statement("sessions", "budget/open_one"), named)
    values = {"job_id": job.id, "needs_usd": short.needs_usd, "event": event_of(job, short)}
    (noted,) = await fetch(conn, statement("sessions", "budget/wait"), {**values, "account_id": account["id"]})
    await _tell(conn, [account["id"]])
    return News(to_who_asked=noted["first"], to_owner=noted["alone"])


def event_of(job: AnyJob, short: BudgetShort) -> str:
    """What a job that came short waits for: an event of this claim's own, told as soon as it may try again."""
    return f"budget:{short.balance.scope}:{short.balance.key[:100]}:{job.token}"


async def tell_all(conn: Connection, account_ids: Sequence[int]) -> set[Ready]:
    """Let everyone who waits for these accounts try again; the caller holds them. Returns where jobs go on."""
    ready = set[Ready]()
    for account_id in account_ids:
        while (event := await _next_waiting(conn, account_id, None)) is not None:
            ready.update((await emit(conn, event)).ready)
    return ready


async def forget_accounts(conn: Connection) -> int:
    """Delete accounts of periods that ended, and of turns and jobs that nobody went on with, 90 days ago; returns how many."""
    forgotten = await execute(conn, statement("sessions", "budget/forget"), {"days": _FORGET_AFTER_DAYS})
    await execute(conn, statement("sessions", "budget/forget_caps"), {"days": _FORGET_AFTER_DAYS})
    return forgotten


def dollars(usd: Decimal) -> str:
    """An amount for people: cents, or more places where that would show nothing."""
    return f"${usd:.2f}" if usd == 0 or usd >= Decimal("0.01") else f"${usd:.6f}"


def _share(balances: Sequence[Balance], usd: Decimal) -> Decimal:
    """What a run may have of accounts that are locked. Raises BudgetShort."""
    floor = min(LEAST_USD, usd, *(balance.allowed_usd for balance in balances))
    short = [balance for balance in balances if balance.left_usd < floor or balance.left_usd <= 0]
    if (
        short
    ):  # first for what a person must raise, then for what ends last: after the other's end this one would be short
        raise BudgetShort(max(short, key=lambda balance: (balance.ends_at is None, balance.ends_at)), floor)
    return min(usd, *(balance.left_usd for balance in balances))


async def _book(conn: Connection, turn_id: UUID, token: int, *, died: bool) -> list[int]:
    """Settle a run whose accounts are locked; returns them, none where it was settled before.

    Its hold goes first: only who took that knows that no later run of the turn has calls open.
    """
    of_run = {"turn_id": turn_id, "token": token}
    ids = [row["id"] for row in await fetch(conn, statement("sessions", "budget/give_back"), of_run)]
    if not ids:
        return []
    if died:
        await usage.close_open_calls(conn, turn_id)
    spent_usd = await usage.spent(conn, turn_id, token)
    await execute(conn, statement("sessions", "budget/book"), {"ids": ids, "spent_usd": spent_usd})
    if died:
        log.info("reservation.settled", turn_id=str(turn_id), token=token, spent_usd=str(spent_usd), why="its run died")
    return ids


async def _tell(conn: Connection, account_ids: Sequence[int]) -> set[Ready]:
    """Tell so many of those who wait for these accounts, which are locked, as there is money for."""
    rows = await fetch(conn, statement("sessions", "budget/balances"), {"ids": list(account_ids)})
    left = {row["id"]: row["left_usd"] for row in rows}
    ready = set[Ready]()
    for account_id in account_ids:
        if account_id not in left:  # its cap was taken away
            ready |= await tell_all(conn, [account_id])
            continue
        while left[account_id] > 0 and (event := await _next_waiting(conn, account_id, left[account_id])) is not None:
            if woken := (await emit(conn, event)).ready:  # else its job was cancelled
                ready.update(woken)
                left[account_id] -= _TOLD_FOR_USD
    return ready


async def _next_waiting(conn: Connection, account_id: int, left_usd: Decimal | None) -> str | None:
    values = {"account_id": account_id, "left_usd": left_usd}
    row = await fetch_one(conn, statement("sessions", "budget/next_waiting"), values)
    return row["event"] if row else None
