"""`./jobs migrate`: bring the database to this code's schema, or see what that would do."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from jobs_core.migrations import Migration

EXIT_PENDING = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: DATABASE_URL=postgresql://… ./jobs migrate --check")(migrate)


def migrate(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if something is pending")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Change nothing; print the SQL of what is pending")] = False,
    wait: Annotated[str, typer.Option(help="How long to try where others hold what must be locked: 30s, 5m")] = "1m",
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Apply what is pending to DATABASE_URL, or to the database of the ./jobs up that runs, and tell SQL of the job types."""
    import asyncio

    from cli.database import bring_up_to_date, choose_database, connected
    from cli.durations import parse_duration
    from cli.rooms import ROOMS
    from cli.settings import CliSettings
    from cli.table import build_table
    from jobs_core import db, migrations

    if check and sql:
        raise typer.BadParameter("give --check or --sql, not both")
    wait_s = parse_duration(wait, option="--wait").total_seconds()
    look_only = check or sql
    settings = CliSettings.read(data=data)

    async def work() -> "list[Migration]":
        async with connected(choose_database(settings)) as conn:
            await db.check_server(conn)
            if look_only:
                return await migrations.pending(conn, ROOMS)
            return await bring_up_to_date(conn, build_table(settings.handlers), wait_s=wait_s)

    found = asyncio.run(work())
    if sql and not as_json:
        _print_sql(found)
    else:
        _print(found, "pending" if look_only else "applied", as_json=as_json, with_sql=sql)
    return EXIT_PENDING if check and found else 0


def _print_sql(found: "list[Migration]") -> None:
    for migration in found:
        print(f"-- {migration}\n{migration.sql.rstrip()}\n")


def _print(found: "list[Migration]", word: str, *, as_json: bool, with_sql: bool) -> None:
    from cli.printing import print_json

    if as_json:
        shown = [
            {"room": one.room, "number": one.number, "name": one.name, **({"sql": one.sql} if with_sql else {})}
            for one in found
        ]
        print_json({word: shown})
        return
    for migration in found:
        print(f"{word}: {migration}")
    if not found:
        print("nothing pending" if word == "pending" else "nothing to apply: the schema is this code's")
