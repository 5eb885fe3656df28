"""`./jobs token`: the web API's token, for other programs on this machine."""

import typer

from cli.options import Data, Json


def register(app: typer.Typer) -> None:
    """Add the command."""
    example = 'Example: curl -H "Authorization: Bearer $(./jobs token)" http://127.0.0.1:8080/api/jobs'
    app.command(epilog=example)(token)


def token(as_json: Json = False, data: Data = None) -> None:
    """Print the web API's token. Who has it may do all that you may."""
    from cli.folder import Folder
    from cli.printing import print_json
    from cli.settings import CliSettings

    settings = CliSettings.read(data=data)
    found = settings.token or Folder(settings.data).token()
    if as_json:
        print_json({"token": found})
    else:
        print(found)
