"""`./jobs callback`: which other programs are told of events, and of which."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from assistant.callbacks import Callback
    from jobs_core import Connection

_ADD = "Example: ./jobs callback add shop --url https://shop.example/jobs --event turn.ended:state=failed --event job.ended"
_HEADINGS = {
    "name": "callback",
    "enabled": "on",
    "events": "events",
    "failing_since": "failing since (UTC)",
    "url": "url",
}
_OVERLAP = "1d"

Name = Annotated[str, typer.Argument(metavar="CALLBACK", help="The callback's name")]
Url = Annotated[str, typer.Option(help="Where events are sent: https://, a public address")]
Events = Annotated[
    list[str],
    typer.Option(
        "--event",
        help="job.ended, turn.ended, approval.waiting, notification.created; some of them: turn.ended:agent=helper,"
        "state=failed; repeat for more",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    callback = typer.Typer(help="Tell other programs of events, by signed webhooks.", no_args_is_help=True)
    callback.command("ls", epilog="Example: ./jobs callback ls --json")(list_all)
    callback.command("show", epilog="Example: ./jobs callback show shop")(show)
    callback.command("add", epilog=_ADD)(add)
    callback.command("change", epilog="Example: ./jobs callback change shop --on")(change)
    callback.command("rotate", epilog="Example: ./jobs callback rotate shop --overlap 2h")(rotate)
    callback.command("rm", epilog="Example: ./jobs callback rm shop")(remove)
    callback.command("test", epilog="Example: ./jobs callback test shop")(send_test)
    app.add_typer(callback, name="callback", epilog=_ADD)


def list_all(as_json: Json = False, data: Data = None) -> None:
    """List the callbacks."""
    from dataclasses import asdict

    from assistant.callbacks import list_callbacks
    from cli.database import ask
    from cli.printing import print_table

    print_table([asdict(one) for one in ask(list_callbacks, data)], _HEADINGS, as_json=as_json)


def show(name: Name, as_json: Json = False, data: Data = None) -> None:
    """Show a callback, and since when which secrets sign; those themselves are never shown again."""
    from assistant.callbacks import find_callback
    from cli.database import ask

    _print(ask(lambda conn: find_callback(conn, name), data), as_json=as_json)


def add(name: Name, url: Url, event: Events, as_json: Json = False, data: Data = None) -> None:
    """Add a callback, and print the secret by which its receiver knows us, this once."""
    from cli.database import ask
    from gateways.webhooks import callbacks
    from gateways.webhooks.settings import CallbackSettings

    given, settings = {"url": url, "events": _events(event)}, CallbackSettings.read()
    _tell_secret(name, ask(lambda conn: callbacks.add(conn, name, given, settings=settings), data), as_json=as_json)


def change(
    name: Name,
    url: Annotated[str | None, typer.Option(help="Where events are sent")] = None,
    event: Annotated[
        list[str] | None, typer.Option("--event", help="Events, in place of all before; as for add")
    ] = None,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="Whether it is told anything")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Change what is given."""
    from cli.database import ask
    from gateways.webhooks import callbacks
    from gateways.webhooks.settings import CallbackSettings

    given = {"url": url, "events": _events(event) if event else None, "enabled": enabled}
    changes = {field: value for field, value in given.items() if value is not None}
    settings = CallbackSettings.read()
    _print(ask(lambda conn: callbacks.change(conn, name, changes, settings=settings), data), as_json=as_json)


def rotate(
    name: Name,
    overlap: Annotated[str, typer.Option(help="How long those before it sign, too: 0s, 2h, 1d")] = _OVERLAP,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Sign with another secret, and print it, this once."""
    from cli.database import ask
    from cli.durations import parse_duration
    from gateways.webhooks import callbacks

    span = parse_duration(overlap, option="--overlap")
    _tell_secret(name, ask(lambda conn: callbacks.rotate(conn, name, span), data), as_json=as_json)


def remove(name: Name, as_json: Json = False, data: Data = None) -> None:
    """Remove a callback and its secrets; what it is owed fails."""
    from assistant.callbacks import remove_callback
    from cli.database import ask
    from cli.printing import tell

    ask(lambda conn: remove_callback(conn, name), data)
    tell({"removed": name}, f"removed: {name}", as_json=as_json)


def send_test(name: Name, as_json: Json = False, data: Data = None) -> None:
    """Send a callback an event that tells nothing, by the way that all go; also while it is off."""
    from cli.database import ask
    from cli.printing import tell
    from gateways.webhooks import callbacks

    async def owed(conn: "Connection") -> int:
        return (await callbacks.send_test(conn, name)).id

    delivery_id = ask(owed, data)
    text = f"owed: what came of it tells ./jobs deliveries show {delivery_id}"
    tell({"delivery_id": delivery_id}, text, as_json=as_json)


def _events(given: list[str]) -> dict[str, dict[str, list[str]]]:
    """By event, the values of each field that it is chosen by; an event given twice has both's."""
    events = dict[str, dict[str, list[str]]]()
    for text in given:
        event, colon, fields = text.partition(":")
        chosen = events.setdefault(event, {})
        for pair in fields.split(",") if colon else ():
            field, equals, value = pair.partition("=")
            if not equals:
                raise typer.BadParameter(f"--event {text}: write it as turn.ended:agent=helper,state=failed")
            chosen.setdefault(field, []).append(value)
    return events


def _tell_secret(name: str, secret: str, *, as_json: bool) -> None:
    from cli.printing import note, tell

    tell({"callback": name, "secret": secret}, secret, as_json=as_json)
    note(f"This is the secret of {name}, and is not shown again. Its receiver checks by it: docs/callbacks.md")


def _print(callback: "Callback", *, as_json: bool) -> None:
    from dataclasses import asdict

    from cli.with_secrets import print_with_secrets

    print_with_secrets(asdict(callback), as_json=as_json)
