"""`./jobs up`: everything on this machine, with one command."""

from typing import Annotated

import typer

from cli.options import Data, Json, Processes, Slots


def register(app: typer.Typer) -> None:
    """Add the command, and the hidden one that it starts."""
    app.command(epilog="Example: ./jobs up --port 8080")(up)
    app.command("probe-model", hidden=True)(probe_model)


def up(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of the web API [default: JOBS_PORT, or 8080]; 0: any free"),
    ] = None,
    data: Data = None,
    processes: Processes = None,
    slots: Slots = None,
    as_json: Json = False,
) -> None:
    """Run Postgres, the web API and workers until Ctrl-C, and start again what dies.

    DATABASE_URL names another Postgres (15 or newer). With ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN the real API
    serves, otherwise the built-in simulator.
    """
    import os

    from cli.run import run_until_stopped
    from cli.settings import CliSettings
    from cli.up import up as run_up
    from jobs_core.log import set_up_logs
    from jobs_core.settings import CoreSettings

    if slots is not None:
        os.environ["JOBS_SLOTS"] = str(slots)  # read by the workers, which are other processes
    set_up_logs(CoreSettings.read())
    settings = CliSettings.read(data=data, port=port, processes=processes)
    run_until_stopped(lambda forced: run_up(settings, forced, as_json=as_json))


def probe_model() -> None:
    """Try model and credentials by one call; print one JSON line that says how that went."""
    import asyncio

    from cli.parent import end_with_parent
    from cli.printing import print_json
    from jobs_core import ConfigurationError
    from jobs_core.log import set_up_logs
    from jobs_core.settings import CoreSettings
    from sessions.probe import probe
    from sessions.settings import SessionSettings

    end_with_parent()
    set_up_logs(CoreSettings.read())  # to stderr: stdout is the report
    try:
        asyncio.run(probe(SessionSettings.read()))
    except ConfigurationError as error:
        print_json({"failed": str(error)})
    else:
        print_json({"failed": None})
