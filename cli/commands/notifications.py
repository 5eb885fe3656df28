"""`./jobs notifications`: what people are told without having asked: list, look, mark as read, follow."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands import notification_prefs
from cli.options import BIGGEST_ID, Before, Data, Json, Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assistant.notifications import Notification
    from assistant.recipients import Recipient
    from jobs_core import Connection

_EXAMPLE = "Example: ./jobs notifications ls --unread"
_HEADINGS = {"id": "id", "read": "read", "severity": "severity", "user_id": "user", "created_at": "created (UTC)"}
_LOOK_S = 1.0
_MOST = 1_000

User = Annotated[str | None, typer.Option(help="Whose: a user's id [default: the owner's]")]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    group = typer.Typer(
        help="What people are told without having asked: list, look, mark, follow.", no_args_is_help=True
    )
    group.command("ls", epilog=_EXAMPLE)(list_some)
    group.command("show", epilog="Example: ./jobs notifications show 7 --json")(show)
    group.command("read", epilog="Example: ./jobs notifications read --up-to 7 --category delivery")(read)
    group.command("watch", epilog="Example: ./jobs notifications watch --json")(watch)
    notification_prefs.register(group)
    app.add_typer(group, name="notifications", epilog=_EXAMPLE)


def list_some(
    user: Annotated[str | None, typer.Option(help="Only this user's [default: everybody's]")] = None,
    unread: Annotated[bool, typer.Option("--unread", help="Only those that nobody has read")] = False,
    limit: Limit = 20,
    before: Before = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List the newest notifications; those without a user are the owner's."""
    from dataclasses import asdict

    from assistant.notifications import list_notifications
    from assistant.recipients import recipient
    from cli.database import ask
    from cli.filters import check_names
    from cli.printing import print_table

    check_names({"--user": user})

    async def listed(conn: "Connection") -> "list[Notification]":
        of = await recipient(conn, user) if user is not None else None
        return await list_notifications(conn, of=of, unread=unread, before_id=before, limit=limit)

    rows = [asdict(one) for one in ask(listed, data)]
    print_table(rows, _HEADINGS | {"title": "title", "body": "body"}, as_json=as_json)


def show(
    notification_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=BIGGEST_ID, help="The notification's id")],
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Show one notification, whole."""
    from dataclasses import asdict

    from assistant.notifications import find_notification
    from cli.database import ask
    from cli.printing import print_fields, print_json, print_plain

    found = ask(lambda conn: find_notification(conn, notification_id), data)
    if found is None:
        raise _no_such(notification_id)
    values = asdict(found)
    if as_json:
        print_json(values)
        return
    body = values.pop("body")
    print_fields({name: value for name, value in values.items() if value != {}}, width=11)
    print_plain(f"\n{body}")


def read(
    notification_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, max=BIGGEST_ID, help="The one that was read")
    ] = None,
    up_to: Annotated[
        int | None, typer.Option("--up-to", min=1, max=BIGGEST_ID, help="Instead: all that came no later than this one")
    ] = None,
    category: Annotated[str | None, typer.Option(help="Instead, or of those: all of this category")] = None,
    user: User = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Note that one notification of a person was read, or many."""
    from assistant.notifications import mark_all_read, mark_read
    from assistant.recipients import recipient
    from cli.database import ask
    from cli.filters import check_names
    from cli.printing import tell

    many = up_to is not None or category is not None
    if (notification_id is not None) is many:
        raise typer.BadParameter("name one by its id, or many by --up-to, --category or both")
    check_names({"--user": user, "--category": category})

    async def marked(conn: "Connection") -> int | None:
        of = await recipient(conn, user)
        if notification_id is not None:
            return 1 if await mark_read(conn, notification_id, of=of) else None
        return await mark_all_read(conn, of, up_to_id=up_to, category=category)

    count = ask(marked, data)
    if count is None:
        raise _no_such(notification_id or up_to)
    text = f"notification {notification_id} is read" if notification_id else f"{count} more are read"
    tell({"read": notification_id or count}, text, as_json=as_json)


def watch(
    after: Annotated[
        int | None, typer.Option(min=0, max=BIGGEST_ID, help="Also those behind this place: seq, as --json shows it")
    ] = None,
    user: User = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Print a person's notifications as they come, until Ctrl-C; with --json one JSON value a line."""
    import asyncio
    from contextlib import suppress

    from cli.filters import check_names

    check_names({"--user": user})
    with suppress(KeyboardInterrupt):
        asyncio.run(_watch(after, user, as_json=as_json, data=data))


async def _watch(after: int | None, user: str | None, *, as_json: bool, data: Data) -> None:
    import asyncio

    from assistant.notifications import place
    from assistant.recipients import recipient
    from cli.database import opened
    from cli.known_errors import first_line
    from cli.printing import warn
    from cli.settings import CliSettings
    from jobs_core import db

    away = False
    async with opened(CliSettings.read(data=data)) as database:
        while True:
            try:
                async with database.connection() as conn:
                    last, of = await place(conn), await recipient(conn, user)
                    after = last if after is None else after
                    while after < last:
                        news, after = await _page(conn, of, after, last)
                        _print(news, as_json=as_json)
                away = False
            except Exception as error:
                if not db.will_pass(error):
                    raise
                if not away:
                    warn(f"the database is away ({first_line(error)}): looking again")
                away = True
            await asyncio.sleep(_LOOK_S)


async def _page(conn: "Connection", of: "Recipient", after: int, last: int) -> "tuple[Sequence[Notification], int]":
    """What stands next behind a place, and how far that goes."""
    from assistant.notifications import notifications_after

    news = await notifications_after(conn, of, after, upto=last, limit=_MOST)
    return news, (news[-1].seq or last) if len(news) == _MOST else last


def _print(news: "Sequence[Notification]", *, as_json: bool) -> None:
    from dataclasses import asdict

    from cli.printing import line, print_json, print_plain

    for one in news:
        if as_json:
            print_json(asdict(one))
        else:
            print_plain(f"{one.created_at:%Y-%m-%d %H:%M:%S} {one.id} {one.severity:7} {line(one.title)}")


def _no_such(notification_id: int | None) -> Exception:
    from cli.errors import CommandFailed

    return CommandFailed(f"there is no notification {notification_id} of theirs: ./jobs notifications ls lists them")
