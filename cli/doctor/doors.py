"""Checks of the doors: is each account of ours held by a process, and connected?"""

from assistant.arrivals import queue_of
from cli.doctor.check import Finding, fail, ok, skipped, warn
from cli.doctor.place import Place
from gateways.telegram.accounts import list_accounts
from jobs_core.leases import live_workers


async def telegram(place: Place) -> Finding:
    """Is each account logged in, held and connected?"""
    async with place.look() as conn:
        accounts = [account for account in await list_accounts(conn) if account.state != "logged_out"]
        served = {queue for worker in await live_workers(conn) for queue in worker["queues"]}
    if not accounts:
        return skipped("no account is logged in: ./jobs telegram login")
    for account in accounts:
        if account.state != "active":
            text = f"Telegram has ended the session of {account.name} ({account.state}: {account.said})"
            return fail(text, f"./jobs telegram login --account {account.name}")
    unheld = [account.name for account in accounts if not account.held]
    if unheld:
        text = f"no process holds {', '.join(unheld)}: what people write there waits"
        return fail(text, "start ./jobs up, or ./jobs telegram")
    away = [account for account in accounts if queue_of(account.name) not in served]
    if away:
        text = f"{away[0].holder} holds {away[0].name}, and is not connected to Telegram"
        return warn(text, "see in its log what Telegram said, and that the host may reach it")
    return ok(", ".join(f"{account.name} is held by {account.holder}" for account in accounts))
