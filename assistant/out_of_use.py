"""Accounts of ours that are out of use: what people are to be told by one goes by another, or waits for the next login.

    log out, or the key is refused ─▶ close ─┬─ notices that were not sent ─▶ wait for a way ─▶ `tell` ─▶ by another account
                                             └─ what waits for a decision ─▶ cards by another account
    log in ─▶ open ─▶ what waits for a way goes out; what is owed by the account was never taken from it

Answers stay: they belong into their chat. Cards stay owed as well, and say what is true when they arrive. Call both in the
transaction of the fact; verbs take the connection first.
"""

from collections.abc import Sequence

from assistant import action_cards, contact_cards, waiting
from assistant.recipients import recipient
from jobs_core import Connection, execute, fetch, statement


async def close(conn: Connection, channel: str, accounts: Sequence[str]) -> None:
    """Have nothing more owed to people by these accounts, as lanes name them."""
    values = {"channel": channel, "accounts": list(accounts)}
    await execute(conn, statement("assistant", "account/close"), values)
    people = await fetch(conn, statement("assistant", "waiting_notification/take_back"), values)
    await _go_on(conn, [row["user_id"] for row in people])


async def open_again(conn: Connection, channel: str, accounts: Sequence[str]) -> None:
    """They are in use (again): what waits for a way may have one now."""
    if await execute(conn, statement("assistant", "account/open"), {"channel": channel, "accounts": list(accounts)}):
        people = await fetch(conn, statement("assistant", "waiting_notification/whose"))
        await _go_on(conn, [row["user_id"] for row in people])


async def _go_on(conn: Connection, user_ids: Sequence[str | None]) -> None:
    """Have people told by the ways that there are now, and shown what waits for a decision."""
    for user_id in user_ids:
        await waiting.look_at(conn, await recipient(conn, user_id))
    await contact_cards.hold_open(conn)
    await action_cards.show_open(conn)
    await contact_cards.show_open(conn)
