"""The web API as one process, put together: settings, database, job types, and the door itself."""

import socket
import tomllib

from assistant.settings import MediaSettings
from cli.rooms import ROOMS
from cli.run import stopped_by_signals
from cli.settings import CHECKOUT, CliSettings
from cli.table import build_table
from gateways.web.app import app
from gateways.web.context import Context, hosts_at
from gateways.web.server import serve
from gateways.webhooks.settings import CallbackSettings
from jobs_core import Database, Jobs
from jobs_core.settings import CoreSettings


async def run_web(listener: socket.socket, database_url: str, *, token: str, model: str) -> None:
    """Serve on a socket that listens, until SIGTERM or SIGINT; a second one cuts the requests that still run short."""
    core, settings, media = CoreSettings.read(), CliSettings.read(), MediaSettings.read()
    callbacks = CallbackSettings.read()
    async with (
        Database(database_url, name="jobs web", max_connections=core.database_connections) as database,
        Jobs(database, build_table(settings.handlers)) as jobs,
    ):
        port = listener.getsockname()[1]
        names = filter(None, settings.hosts.split(","))
        context = Context(
            jobs=jobs,
            token=token,
            hosts=hosts_at(port, names),
            version=_version(),
            model=model,
            rooms=ROOMS,
            media=media,
            callbacks=callbacks,
        )
        await stopped_by_signals(serve(app(context), listener))


def _version() -> str:
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        version: str = tomllib.load(file)["project"]["version"]
    return version
