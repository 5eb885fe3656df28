"""`./jobs deliveries`: what is owed to people outside, whether it arrived, and sending again what did not."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BIGGEST_ID, Before, Data, Json, Limit

if TYPE_CHECKING:
    from assistant.deliveries import Delivery
    from jobs_core import Connection

_EXAMPLE = "Example: ./jobs deliveries ls --state failed --state unknown"
_HEADINGS = {"id": "id", "state": "state", "kind": "kind", "channel": "channel", "chat": "chat", "user_id": "user"}
_SHOWN_CHARS = 4_000

Id = Annotated[int, typer.Argument(metavar="ID", min=1, max=BIGGEST_ID, help="The delivery's id")]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    deliveries = typer.Typer(help="What is owed to people outside: list, look, send again.", no_args_is_help=True)
    deliveries.command("ls", epilog=_EXAMPLE)(list_some)
    deliveries.command("show", epilog="Example: ./jobs deliveries show 7 --json")(show)
    deliveries.command("retry", epilog="Example: ./jobs deliveries retry 7")(retry)
    app.add_typer(deliveries, name="deliveries", epilog=_EXAMPLE)


def list_some(
    state: Annotated[
        list[str] | None, typer.Option(help="Only those owed, sent, failed, unknown or blocked; repeat for more")
    ] = None,
    limit: Limit = 20,
    before: Before = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List the newest deliveries, and what their receivers said."""
    from assistant.deliveries import STATES, list_deliveries
    from assistant.sending import end_left
    from cli.database import ask
    from cli.filters import check_state
    from cli.printing import print_table

    for one in state or ():
        check_state(one, STATES)

    async def listed(conn: "Connection") -> "list[Delivery]":
        await end_left(conn)
        return await list_deliveries(conn, states=state or (), before_id=before, limit=limit)  # type: ignore[arg-type]  # checked above

    rows = map(_plain, ask(listed, data))
    print_table(
        rows, _HEADINGS | {"created_at": "created (UTC)", "said": "said", "payload": "payload"}, as_json=as_json
    )


def show(delivery_id: Id, as_json: Json = False, data: Data = None) -> None:
    """Show one delivery: its way, its tries, what the receiver said, and its text."""
    from assistant.deliveries import find_delivery
    from assistant.sending import end_left
    from cli.database import ask
    from cli.printing import print_fields, print_json, print_plain

    async def found(conn: "Connection") -> "Delivery":
        await end_left(conn)
        return await find_delivery(conn, delivery_id)

    values = _plain(ask(found, data))
    if as_json:
        print_json(values)
        return
    payload = values.pop("payload")
    print_fields(values, width=13)
    print_plain(f"\n{payload.get('text', payload)!s:.{_SHOWN_CHARS}}")


def retry(delivery_id: Id, as_json: Json = False, data: Data = None) -> None:
    """Owe a delivery once more that failed, is unknown or was blocked: it goes out behind all that wait for its chat.

    It goes under the number that it had: a receiver that still remembers it drops a second copy, another one shows it twice.
    """
    import asyncio

    from cli.printing import tell

    ready = asyncio.run(_retry(delivery_id, data))
    done = {"owed": delivery_id, "ready": ready}
    tell(done, f"delivery {delivery_id} is owed again: ./jobs deliveries show {delivery_id}", as_json=as_json)


async def _retry(delivery_id: int, data: Data) -> bool:
    from assistant.sending import resend
    from cli.database import opened
    from cli.settings import CliSettings
    from jobs_core.wake import Notifier

    async with (
        opened(CliSettings.read(data=data)) as database,
        Notifier(database) as notifier,
        database.connection() as conn,
    ):
        owed = await resend(conn, delivery_id)
        notifier.wake(owed.ready)
    return bool(owed.ready)


def _plain(delivery: "Delivery") -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(delivery), "random_id": str(delivery.random_id)}  # more digits than most readers of JSON keep
