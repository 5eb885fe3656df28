"""`./jobs scale`: more or fewer worker processes under the `./jobs up` that runs."""

from typing import Annotated

import typer

from cli.options import Data, Json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs scale 4")(scale)


def scale(
    processes: Annotated[int, typer.Argument(metavar="N", min=1, max=64, help="How many are to run")],
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Have the ./jobs up of this folder run N worker processes, until it ends. Those that leave drain first."""
    from cli.folder import Folder
    from cli.printing import print_json
    from cli.settings import CliSettings

    running = Folder(CliSettings.read(data=data).data).scale(processes)
    if as_json:
        print_json({"processes": processes})
    else:
        print(f"{processes} worker processes asked for: {running.url}/health counts the workers")
