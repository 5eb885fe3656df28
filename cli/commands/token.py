"""`./jobs token`: the web API's own token, for programs on this machine, and tokens of people: create, list and revoke."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import BIGGEST_ID, Before, Data, Json, Limit

if TYPE_CHECKING:
    from datetime import datetime

    from gateways.api_tokens import Token
    from jobs_core import Connection

_EXAMPLE = 'Example: curl -H "Authorization: Bearer $(./jobs token)" http://127.0.0.1:8080/api/jobs'

Whose = Annotated[str | None, typer.Option("--user", help="Whose: a user's id [default: the owner's]")]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    token = typer.Typer(help="Print the web API's token; create, list and revoke tokens of people.")
    token.callback(invoke_without_command=True, epilog=_EXAMPLE)(show)
    token.command("create", epilog='Example: ./jobs token create "my page" --scope chats:read --scope chats:write')(
        create
    )
    token.command("ls", epilog="Example: ./jobs token ls --user u_0123456789abcdef")(list_some)
    token.command("revoke", epilog="Example: ./jobs token revoke 3")(revoke)
    app.add_typer(token, name="token")


def show(context: typer.Context, as_json: Json = False, data: Data = None) -> None:
    """Print the web API's token. Who has it may do all that you may."""
    if context.invoked_subcommand is not None:
        return
    from cli.folder import Folder
    from cli.printing import print_json
    from cli.settings import CliSettings

    settings = CliSettings.read(data=data)
    found = settings.token or Folder(settings.data).token()
    if as_json:
        print_json({"token": found})
    else:
        print(found)


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for, in words")],
    user: Whose = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may be used for, chats:read; repeat for more [default: all]")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="How long it is good: 12h, 30d [default: for ever]")
    ] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Make a token of a person, with the rights of their role, and print it: it is shown this once."""
    from dataclasses import asdict

    from cli.database import ask
    from cli.durations import parse_duration
    from cli.printing import note, print_json
    from gateways import api_tokens

    expires_in = None if expires is None else parse_duration(expires, option="--expires")

    async def made(conn: "Connection") -> "tuple[Token, str]":
        async with conn.transaction():
            return await api_tokens.create(conn, name=name, user_id=user, scopes=scope, expires_in=expires_in)

    token, text = ask(made, data)
    if as_json:
        print_json({"token": text, "about": asdict(token)})
        return
    note(_line(token))
    print(text)


def list_some(
    user: Annotated[str | None, typer.Option(help="Whose: a user's id [default: everybody's]")] = None,
    limit: Limit = 50,
    before: Before = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List tokens of people, the newest first; none of them can be shown again."""
    from dataclasses import asdict

    from cli.database import ask
    from cli.printing import note, print_json, print_plain
    from gateways.api_tokens import list_tokens

    found = ask(lambda conn: list_tokens(conn, user_id=user, limit=limit, before_id=before), data)
    if as_json:
        print_json([asdict(token) for token in found])
        return
    for token in found:
        print_plain(_line(token))
    if not found:
        note("no tokens: ./jobs token create makes one")


def revoke(
    token_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=BIGGEST_ID, help="As ls shows it")],
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Have a token be good for nothing from now on; streams that it opened end within half a minute."""
    from dataclasses import asdict

    from cli.database import ask
    from cli.errors import CommandFailed
    from cli.printing import print_json, print_plain
    from gateways import api_tokens

    revoked = ask(lambda conn: api_tokens.revoke(conn, token_id), data)
    if revoked is None:
        raise CommandFailed(f"there is no token {token_id}: ./jobs token ls lists them")
    if as_json:
        print_json(asdict(revoked))
    else:
        print_plain(_line(revoked))


def _line(token: "Token") -> str:
    from datetime import UTC, datetime

    ends = "for ever" if token.expires_at is None else f"until {_told(token.expires_at)}"
    if token.revoked_at:
        ends = f"revoked {_told(token.revoked_at)}"
    elif token.expires_at and token.expires_at <= datetime.now(UTC):
        ends = f"expired {_told(token.expires_at)}"
    used = f"used {_told(token.used_at)}" if token.used_at else "never used"
    return f"{token.id}  {token.name}  of {token.user_id}, {ends}, {used}: {' '.join(token.scopes)}"


def _told(at: "datetime") -> str:
    from datetime import UTC

    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
