"""`./jobs provider`: how the provider of the models does, and having a run try it now."""

from typing import TYPE_CHECKING

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from sessions.provider import Provider

_EXAMPLE = "Example: ./jobs provider show"


def register(app: typer.Typer) -> None:
    """Add the command and its two verbs."""
    provider = typer.Typer(help="How the provider of the models does.", no_args_is_help=True)
    provider.command("show", epilog="Example: ./jobs provider show --json")(show)
    provider.command("resume", epilog="Example: ./jobs provider resume")(resume)
    app.add_typer(provider, name="provider", epilog=_EXAMPLE)


def show(as_json: Json = False, data: Data = None) -> None:
    """Show whether agents' jobs run, or why they are kept back and until when."""
    from cli.database import ask
    from cli.printing import print_json, print_plain
    from sessions.provider import look, shown

    found = ask(look, data)
    if as_json:
        print_json(shown(found))
    else:
        print_plain(_line(found))


def resume(as_json: Json = False, data: Data = None) -> None:
    """Have one job try now, whatever the pause says; all go on when it gets an answer."""
    import asyncio

    from cli.database import opened
    from cli.errors import CommandFailed
    from cli.printing import print_json, print_plain
    from cli.settings import CliSettings
    from jobs_core.wake import Notifier
    from sessions.provider import look, resume, shown

    async def resumed() -> "Provider":
        async with (
            opened(CliSettings.read(data=data)) as database,
            Notifier(database) as notifier,
            database.connection() as conn,
        ):
            if await resume(conn) is None:
                raise CommandFailed("the provider is not paused: ./jobs provider show says how it does")
            notifier.wake_all()
            return await look(conn)

    found = asyncio.run(resumed())
    if as_json:
        print_json(shown(found))
    else:
        print_plain("one job tries now; the others go on when it gets an answer")


def _line(provider: "Provider") -> str:
    since = f"since {provider.since:%Y-%m-%d %H:%M:%S} UTC"
    if provider.state == "open":
        return f"open {since}: agents' jobs run"
    if provider.prober_job is not None:
        tries = f"job {provider.prober_job} tries it now"
    elif provider.waits_s > 0:
        tries = f"a job tries it in {provider.waits_s:.0f} s"
    else:
        tries = "the next job tries it"
    return f"{provider.state} {since}, {tries}: {provider.reason}"
