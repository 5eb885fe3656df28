"""`./jobs web`: the web API alone; and the hidden command by which `up` runs it."""

from typing import Annotated

import typer

from cli.options import Data, JsonLogs


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: DATABASE_URL=postgresql://… JOBS_TOKEN=… ./jobs web --port 8080")(web)
    app.command("serve", hidden=True)(serve)


def web(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port [default: JOBS_PORT, or 8080]; 0: any free")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; JOBS_HOSTS names what it is known by")] = "127.0.0.1",
    data: Data = None,
    as_json: JsonLogs = False,
) -> None:
    """Run the web API on DATABASE_URL, or on the database of the ./jobs up that runs.

    Its token is JOBS_TOKEN, or the one in the folder, made where there is none.
    """
    import asyncio

    from cli.database import choose_database, require_usable
    from cli.folder import Folder
    from cli.listener import listen
    from cli.printing import note
    from cli.settings import CliSettings
    from cli.web_process import run_web
    from jobs_core.log import set_up_logs
    from jobs_core.settings import CoreSettings
    from sessions.settings import SessionSettings

    set_up_logs(CoreSettings.read(log_format="json" if as_json else None))
    settings = CliSettings.read(data=data, port=port)
    with listen(settings.port, host=host) as listener:
        database_url = choose_database(settings)
        asyncio.run(require_usable(database_url))
        token = settings.token or Folder(settings.data).make_token()
        note(f"Serving on http://{host}:{listener.getsockname()[1]}")
        asyncio.run(run_web(listener, database_url, token=token, model=SessionSettings.read().model))


def serve(fd: Annotated[int, typer.Option()], model: Annotated[str, typer.Option()]) -> None:
    """Serve on an inherited socket, for `up`."""
    from cli.parent import end_with_parent

    end_with_parent()
    import asyncio
    import socket

    from cli.settings import CliSettings
    from cli.web_process import run_web
    from jobs_core.log import set_up_logs
    from jobs_core.settings import CoreSettings

    core = CoreSettings.read()
    set_up_logs(core)
    with socket.socket(fileno=fd) as listener:
        asyncio.run(run_web(listener, core.database_url, token=CliSettings.read().token, model=model))
