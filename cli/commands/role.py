"""`./jobs role create-sql`: a Postgres role that may create jobs of given types by SQL, and do nothing else."""

from typing import Annotated

import typer

from cli.options import Data

_EXAMPLE = "Example: ./jobs role create-sql billing --type hello --dry-run"


def register(app: typer.Typer) -> None:
    """Add the group and its command."""
    role = typer.Typer(help="Postgres roles with fewer rights than ours.", epilog=_EXAMPLE, no_args_is_help=True)
    role.command("create-sql", epilog=_EXAMPLE)(create_sql)
    app.add_typer(role, name="role")


def create_sql(
    name: Annotated[str, typer.Argument(help="The Postgres role; made, without a login, where there is none")],
    types: Annotated[list[str], typer.Option("--type", help="A job type that it may create; repeat for more")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; print the SQL")] = False,
    data: Data = None,
) -> None:
    """Let a Postgres role create jobs of these types by SQL, and nothing else. Again with other types: those from then on."""
    import asyncio

    from cli.database import choose_database, connected, require_usable
    from cli.printing import note
    from cli.settings import CliSettings
    from cli.table import build_table
    from jobs_core import roles

    settings = CliSettings.read(data=data)
    table = build_table(settings.handlers)
    known = [table.job_type(one).name for one in types]
    if dry_run:
        print(f"BEGIN;\n{roles.may_create_sql(name, known)};\nCOMMIT;")  # psql would go on behind a refusal
        return

    async def work() -> None:
        dsn = choose_database(settings)
        await require_usable(dsn)
        async with connected(dsn) as conn:
            await roles.let_create(conn, name, known)

    asyncio.run(work())
    print(f"{name} may create {', '.join(known)}: with {roles.function_of(name)}(…)")
    note(f"For a login of its own: ALTER ROLE {name} LOGIN PASSWORD '…'; or GRANT {name} TO the role of your program.")
