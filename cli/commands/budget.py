"""`./jobs budget`: what may be spent on models, and by whom: list, show, set, raise and remove."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from decimal import Decimal

    from jobs_core import Connection
    from jobs_core.wake import Ready
    from sessions.budgets import Scope
    from sessions.caps import Budget, Period

_EXAMPLE = "Example: ./jobs budget raise day --by 10"

ScopeText = Annotated[
    str, typer.Argument(metavar="SCOPE", help="day, or turn, job, chat, user, project, agent with a key: user:ada")
]
PeriodText = Annotated[
    str | None, typer.Option("--period", help="day, month or once [default: of users, projects … a day]")
]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    budget = typer.Typer(help="What may be spent on models, and who waits for more.", no_args_is_help=True)
    budget.command("list", epilog="Example: ./jobs budget list --json")(list_all)
    budget.command("show", epilog="Example: ./jobs budget show user:ada")(show)
    budget.command("set", epilog="Example: ./jobs budget set user:ada 20 --period month")(set_one)
    budget.command("raise", epilog=_EXAMPLE)(raise_one)
    budget.command("remove", epilog="Example: ./jobs budget remove user:ada --period month")(remove)
    app.add_typer(budget, name="budget", epilog=_EXAMPLE)


def list_all(as_json: Json = False, data: Data = None) -> None:
    """List all caps with what is spent and reserved of them, and everything that jobs wait for."""
    from cli.database import ask
    from sessions.caps import list_budgets

    _print(ask(list_budgets, data), as_json=as_json)


def show(scope: ScopeText, as_json: Json = False, data: Data = None) -> None:
    """Show what may be spent by one key, and what it has spent in this period."""
    from cli.database import ask
    from cli.errors import CommandFailed
    from sessions.caps import list_budgets

    chosen = _scope(scope)
    found = ask(lambda conn: list_budgets(conn, chosen), data)
    if not found:
        raise CommandFailed(f"{chosen} has no cap of its own and has spent nothing under one: see ./jobs budget list")
    _print(found, as_json=as_json)


def set_one(
    scope: ScopeText,
    usd: Annotated[str, typer.Argument(metavar="USD", help="US dollars; none: it may spend what it likes")],
    period: PeriodText = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Cap what a scope spends in each period; without a key, what each spends that has no cap of its own."""
    from cli.commands.pauses import person
    from sessions.caps import set_cap

    chosen, of, cap = _scope(scope), _period(period), None if usd == "none" else _usd(usd, "USD")
    _change(lambda conn: set_cap(conn, chosen, cap, period=of, set_by=person()), chosen, data, as_json=as_json)


def raise_one(
    scope: ScopeText,
    by: Annotated[str, typer.Option("--by", metavar="USD", help="US dollars more")],
    for_good: Annotated[
        bool, typer.Option("--for-good", help="In each period from now on, not in this one only")
    ] = False,
    period: PeriodText = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Approve more: jobs that wait for it go on at once."""
    from cli.commands.pauses import person
    from sessions.caps import raise_cap

    chosen, of, by_usd = _scope(scope), _period(period), _usd(by, "--by")
    _change(
        lambda conn: raise_cap(conn, chosen, by_usd, period=of, for_good=for_good, set_by=person()),
        chosen,
        data,
        as_json=as_json,
    )


def remove(scope: ScopeText, period: PeriodText = None, as_json: Json = False, data: Data = None) -> None:
    """Remove a cap: its scope's default counts then, or none."""
    from cli.errors import CommandFailed
    from cli.printing import print_json, print_plain
    from sessions.caps import remove_cap

    chosen, of = _scope(scope), _period(period)
    if _changed(lambda conn: remove_cap(conn, chosen, period=of), data) is None:
        raise CommandFailed(f"no such cap is on {chosen}: ./jobs budget list lists them")
    if as_json:
        print_json({"removed": str(chosen)})
    else:
        print_plain(f"removed: {chosen}")


def _scope(text: str) -> "Scope":
    from sessions.caps import parse_scope

    return parse_scope(text, field="SCOPE")


def _period(text: str | None) -> "Period | None":
    from sessions.caps import parse_period

    return None if text is None else parse_period(text, field="--period")


def _usd(text: str, field: str) -> "Decimal":
    from decimal import Decimal, InvalidOperation

    from jobs_core import InvalidInput

    try:
        return Decimal(text.removeprefix("$"))
    except InvalidOperation:
        raise InvalidInput(f"{field}: {text!r} is no amount of US dollars; write 5 or 0.50", field=field) from None


def _change(
    change: "Callable[[Connection], Coroutine[Any, Any, set[Ready]]]", scope: "Scope", data: Data, *, as_json: bool
) -> None:
    """Make the change, wake who goes on, and show how it stands."""
    from cli.database import ask
    from sessions.caps import list_budgets

    _changed(change, data)
    _print(ask(lambda conn: list_budgets(conn, scope), data), as_json=as_json)


def _changed(
    change: "Callable[[Connection], Coroutine[Any, Any, set[Ready] | None]]", data: Data
) -> "set[Ready] | None":
    import asyncio

    from cli.database import opened
    from cli.settings import CliSettings
    from jobs_core import db
    from jobs_core.wake import Notifier

    async def work() -> "set[Ready] | None":
        async with opened(CliSettings.read(data=data)) as database, Notifier(database) as notifier:

            async def once() -> "set[Ready] | None":
                async with database.transaction() as conn:
                    return await change(conn)

            ready = await db.retried(once)
            notifier.wake(ready or ())
            return ready

    return asyncio.run(work())


def _print(budgets: "list[Budget]", *, as_json: bool) -> None:
    from cli.printing import print_json, print_plain
    from sessions.caps import shown

    if as_json:
        print_json([shown(budget) for budget in budgets])
        return
    for budget in budgets:
        print_plain(_line(budget))
    if not budgets:
        print_plain("no caps: ./jobs budget set makes one, and a worker that starts sets the settings' defaults")


def _line(budget: "Budget") -> str:
    """`user:ada this month: $12.30 of $20.00 spent, $2.00 reserved · 2 jobs wait (7, 9)`."""
    from sessions.budgets import dollars

    of = {"day": "a day", "month": "a month", "once": "in all"}[budget.period]
    if budget.cap_usd is None:
        return f"{budget.scope}: no cap {of}"
    raised = f" (raised by {dollars(budget.raised_usd)})" if budget.raised_usd else ""
    allowed = f"{dollars(budget.cap_usd + budget.raised_usd)} {of}{raised}"
    parts = [f"{dollars(budget.spent_usd)} of {allowed} spent"]
    if budget.ends_at is None and budget.spent_usd == budget.reserved_usd == budget.raised_usd == 0:
        parts = [allowed]
    if budget.reserved_usd:
        parts.append(f"{dollars(budget.reserved_usd)} reserved by what runs")
    if budget.waiting:
        parts.append(f"waited for by {', '.join(map(str, budget.waiting[:5]))}{' …' if budget.waiting[5:] else ''}")
    return f"{budget.scope}: {' · '.join(parts)}"
