"""Caps: what may be spent, as an operator sees, sets, raises and removes it.

    settings ─ a worker starts ─▶ defaults of `day` and `turn` ─▶ set by hand ─▶ raised, for this period or for good
    user:*  each user may spend that much ◀── user:ada  but for this one, who may spend more, less, or as much as she likes

Verbs take the connection first: the caller owns the transaction. What makes room lets all who wait for it try again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, get_args

from jobs_core import Connection, InvalidInput, execute, fetch, fetch_one, gate, statement
from jobs_core.waits import awaited
from jobs_core.wake import Ready
from sessions.budgets import EVERY, SCOPES, Scope, dollars, tell_all

Period = Literal["once", "day", "month"]
PERIODS: tuple[Period, ...] = get_args(Period)
MOST_USD = Decimal(1_000_000)
_MOST_PLACES = 6


@dataclass(frozen=True, slots=True)
class Budget:
    """A cap, or an account under its scope's default, as a list shows it.

    cap_usd: None, no cap. raised_usd: on top of it, in this period. by_hand: None, it has no cap of its own. waiting: the jobs
    that wait for it, the longest first. ends_at: of the period; None: it never does, or nothing was spent in it yet.
    """

    scope: str
    period: Period
    cap_usd: Decimal | None
    raised_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal
    by_hand: bool | None
    set_by: str | None
    ends_at: datetime | None
    waiting: Sequence[int]


def parse_scope(text: str, *, field: str = "scope") -> Scope:
    """`day`, `user:ada`, or `user` (`user:*`) for each that has no cap of its own. Raises InvalidInput naming the field."""
    gate.check_text(text, field=field)
    kind, colon, key = text.partition(":")
    for known in SCOPES:
        if kind == known:
            key = gate.check_name(key, field=field) if colon else EVERY
            if known == "day" and key != EVERY:
                raise InvalidInput(f"{field}: {text!r}: day is everything of a UTC day and takes no key", field=field)
            return Scope(known, key)
    raise InvalidInput(f"{field}: {text!r} is none; write {', '.join(SCOPES)}, and a key as in user:ada", field=field)


def parse_period(text: str, *, field: str = "period") -> Period:
    """The period of that name. Raises InvalidInput naming the field."""
    for known in PERIODS:
        if text == known:
            return known
    raise InvalidInput(f"{field}: {text!r} is none; write {', '.join(PERIODS)}", field=field)


def shown(budget: Budget) -> dict[str, Any]:
    """As programs are told: amounts as numbers, to a millionth."""
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in asdict(budget).items()}


async def list_budgets(conn: Connection, scope: Scope | None = None) -> list[Budget]:
    """All caps, and all accounts that jobs wait for; with a scope, all there is about it."""
    values = {"scope": scope and scope.kind, "key": scope and scope.key}
    rows = await fetch(conn, statement("sessions", "cap/list"), values)
    ids = [row["id"] for row in rows if row["id"] is not None]
    waits = await fetch(conn, statement("sessions", "cap/waiting"), {"ids": ids})
    living = await awaited(conn, [wait["event"] for wait in waits])
    budgets = list[Budget]()
    for row in rows:
        account_id, kind, key = row.pop("id"), row.pop("scope"), row.pop("key")
        jobs = [wait["job_id"] for wait in waits if wait["account_id"] == account_id and wait["event"] in living]
        budgets.append(Budget(str(Scope(kind, key)), **row, waiting=jobs))
    return budgets


async def set_cap(
    conn: Connection, scope: Scope, cap_usd: Decimal | None, *, period: Period | None = None, set_by: str
) -> set[Ready]:
    """Cap what the scope spends in each period, None: it may spend what it likes; counted from its next run on.

    period: a day's unless given; of turns and jobs, their whole life. What runs goes on. Returns where jobs go on that waited;
    wake them after the commit. Raises InvalidInput.
    """
    if cap_usd is not None:
        _check_amount(cap_usd, "cap_usd", least=Decimal(0))
    await execute(conn, statement("sessions", "cap/put"), _values(scope, _fit(scope, period), cap_usd, set_by))
    return await _tell_all(conn, scope)


async def raise_cap(
    conn: Connection,
    scope: Scope,
    by_usd: Decimal,
    *,
    period: Period | None = None,
    for_good: bool = False,
    set_by: str,
) -> set[Ready]:
    """Let the scope spend more: in this period, or for good. Returns where jobs go on that waited; wake them after the commit.

    period: which of its caps; the only one unless given. Raises InvalidInput: it has no such cap, or several.
    """
    _check_amount(by_usd, "by_usd", least=Decimal(1).scaleb(-_MOST_PLACES))
    if scope.key == EVERY and scope.kind != "day" and not for_good:
        raise InvalidInput(
            f"scope: {scope} is a default, of which no period can be raised: name one, as {scope.kind}:KEY, or raise for good",
            field="scope",
        )
    period, cap_usd = await _cap_of(conn, scope, period)
    if for_good:
        _check_amount(cap_usd + by_usd, "by_usd", least=Decimal(0))
        values = _values(scope, period, cap_usd + by_usd, set_by) | {"by_usd": by_usd}
        await execute(conn, statement("sessions", "cap/raise_for_good"), values)
    else:
        values = {"scope": scope.kind, "key": scope.key, "period": period, "by_usd": by_usd}
        await fetch_one(conn, statement("sessions", "cap/raise"), values)
    return await _tell_all(conn, scope)


async def remove_cap(conn: Connection, scope: Scope, *, period: Period | None = None) -> set[Ready] | None:
    """Forget a cap, so that its scope's default counts, or none; None where there is none. Otherwise as `set_cap`.

    The defaults of the settings come back when the next worker starts: set those to None.
    """
    values = {"scope": scope.kind, "key": scope.key, "period": _fit(scope, period)}
    if not await execute(conn, statement("sessions", "cap/remove"), values):
        return None
    return await _tell_all(conn, scope)


async def set_defaults(conn: Connection, *, daily_usd: Decimal | None, turn_usd: Decimal | None) -> set[Ready]:
    """Set what the settings say of `day` and `turn`, where nobody has said otherwise by hand; None: no cap."""
    ready = set[Ready]()
    for scope, cap_usd in ((Scope("day"), daily_usd), (Scope("turn"), turn_usd)):
        values = _values(scope, _fit(scope, None), cap_usd, "settings")
        if await fetch_one(conn, statement("sessions", "cap/put_default"), values):
            ready |= await _tell_all(conn, scope)
    return ready


async def declare_caps(conn: Connection, caps_usd: Mapping[Scope, Decimal | None], *, set_by: str) -> None:
    """Have these caps stand as an agent's row says, None: none of its own; what somebody said by hand stays.

    Call it in the run's first transaction, before `reserve`.
    """
    values = {
        "scopes": [scope.kind for scope in caps_usd],
        "keys": [scope.key for scope in caps_usd],
        "periods": [_fit(scope, None) for scope in caps_usd],
        "caps_usd": list(caps_usd.values()),
        "set_by": set_by,
    }
    await execute(conn, statement("sessions", "cap/declare"), values)


async def tell_agent(conn: Connection, agent: str) -> set[Ready]:
    """Let all who wait for what an agent's row allows try again: it says something else now, which their runs will declare.

    Returns where jobs go on; wake them after the commit, or they are found by polls.
    """
    rows = await fetch(conn, statement("sessions", "cap/lock_of_agent"), {"agent": agent})
    return await tell_all(conn, [row["id"] for row in rows])


async def _cap_of(conn: Connection, scope: Scope, period: Period | None) -> tuple[Period, Decimal]:
    """The cap that the scope stands under, and its period."""
    rows = await fetch(conn, statement("sessions", "cap/of_key"), {"scope": scope.kind, "key": scope.key})
    caps: dict[Period, Decimal] = {row["period"]: row["cap_usd"] for row in rows if row["cap_usd"] is not None}
    if period is None and len(caps) > 1:
        raise InvalidInput(
            f"period: {scope} has caps of several: name one of {', '.join(sorted(caps))}", field="period"
        )
    chosen = period or next(iter(caps), None)
    if chosen not in caps:
        raise InvalidInput(f"scope: no such cap is on {scope}, so there is nothing to raise; set one", field="scope")
    return chosen, caps[chosen]


async def _tell_all(conn: Connection, scope: Scope) -> set[Ready]:
    values = {"scope": scope.kind, "key": scope.key}
    rows = await fetch(conn, statement("sessions", "cap/lock_accounts"), values)
    return await tell_all(conn, [row["id"] for row in rows])


def _values(scope: Scope, period: Period, cap_usd: Decimal | None, set_by: str) -> dict[str, object]:
    by = gate.check_name(set_by, field="set_by")
    return {"scope": scope.kind, "key": scope.key, "period": period, "cap_usd": cap_usd, "set_by": by}


def _fit(scope: Scope, period: Period | None) -> Period:
    """The period, or the usual one of the scope. Raises InvalidInput where the scope cannot have it."""
    usual: Period = "once" if scope.kind in {"turn", "job"} else "day"
    if scope.kind in {"turn", "job", "day"} and period not in {None, usual}:
        raise InvalidInput(f"period: a cap on {scope.kind} is always for {usual}; leave it out", field="period")
    return period or usual


def _check_amount(usd: Decimal, field: str, *, least: Decimal) -> None:
    """Raises InvalidInput unless it is an amount of dollars, to a millionth."""
    if not usd.is_finite() or not least <= usd <= MOST_USD or usd != round(usd, _MOST_PLACES):
        raise InvalidInput(
            f"{field}: {usd} is no amount from {dollars(least)} to {dollars(MOST_USD)} with {_MOST_PLACES} places at most",
            field=field,
        )
