"""`./jobs notifications`: what people are told without having asked."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BIGGEST_ID, Data, Json

if TYPE_CHECKING:
    from jobs_core import Connection

Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many")]
Before = Annotated[int | None, typer.Option(min=1, max=BIGGEST_ID, help="Only those older than this id: the next page")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs notifications --unread, then ./jobs notifications --read 7")(notifications)


def notifications(
    user: Annotated[str | None, typer.Option(help="Only this user's")] = None,
    unread: Annotated[bool, typer.Option("--unread", help="Only those that nobody has read")] = False,
    read: Annotated[
        int | None, typer.Option(min=1, max=BIGGEST_ID, help="Instead: note that this one was read")
    ] = None,
    limit: Limit = 20,
    before: Before = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List the newest notifications; those without a user are the owner's."""
    from assistant.notifications import list_notifications
    from cli.database import ask
    from cli.filters import check_names
    from cli.printing import print_table

    if read is not None:
        _mark(read, as_json=as_json, data=data)
        return
    check_names({"--user": user})
    which: dict[str, Any] = {"user_id": user, "unread": unread, "before_id": before, "limit": limit}
    rows = [asdict(one) for one in ask(lambda conn: list_notifications(conn, **which), data)]
    headings = {"id": "id", "read": "read", "severity": "severity", "user_id": "user", "created_at": "created (UTC)"}
    print_table(rows, headings | {"title": "title", "body": "body"}, as_json=as_json)


def _mark(notification_id: int, *, as_json: bool, data: Data) -> None:
    from assistant.notifications import mark_read
    from cli.database import ask
    from cli.errors import CommandFailed
    from cli.printing import print_json, print_plain

    async def marked(conn: "Connection") -> bool:
        return await mark_read(conn, notification_id)

    if not ask(marked, data):
        raise CommandFailed(f"there is no notification {notification_id}: ./jobs notifications lists them")
    if as_json:
        print_json({"read": notification_id})
    else:
        print_plain(f"notification {notification_id} is read")
