"""`./jobs user`: people: list, find and look at them, change a role, say who comes by a channel; who is heard: admission.py."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assistant.people import Address, Role, User
    from jobs_core import Connection

_EXAMPLE = 'Example: ./jobs user find "jon smith"'
_PAGE = 100
_ROLES = ("owner", "external")

UserId = Annotated[str, typer.Argument(metavar="ID", help="The person's id, as list and find show it")]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="Such as telegram")]
ChannelAddress = Annotated[str, typer.Argument(metavar="ADDRESS", help="The person's id on that channel")]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    from cli.commands import admission

    user = typer.Typer(help="List, find and show people; change roles, link channels.", no_args_is_help=True)
    user.command("list", epilog="Example: ./jobs user list --role external")(list_all)
    user.command("find", epilog=_EXAMPLE)(find_some)
    user.command("show", epilog="Example: ./jobs user show u_0123456789abcdef")(show)
    user.command("role", epilog="Example: ./jobs user role u_0123456789abcdef owner")(role)
    user.command("link", epilog="Example: ./jobs user link telegram 4711 u_0123456789abcdef")(link_one)
    user.command("unlink", epilog="Example: ./jobs user unlink telegram 4711")(unlink_one)
    admission.register(user)
    app.add_typer(user, name="user", epilog=_EXAMPLE)


def list_all(
    role: Annotated[str | None, typer.Option(help="Only these: owner, external")] = None,
    admission: Annotated[str | None, typer.Option(help="Only these: unknown, held, allowed, denied, blocked")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List people, the newest first."""
    from assistant.people import ADMISSIONS, list_users
    from cli.database import ask
    from cli.filters import check_state

    wanted: dict[str, Any] = {"role": None if role is None else _role(role), "admission": admission}
    if admission is not None:
        check_state(admission, ADMISSIONS)

    async def listed(conn: "Connection") -> "list[User]":
        found: list[User] = []
        while page := await list_users(conn, **wanted, before=found[-1].id if found else None, limit=_PAGE):
            found += page
        return found

    _print(ask(listed, data), as_json=as_json)


def find_some(
    text: Annotated[str, typer.Argument(help="What you remember of a name, a username, an id or an address")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="The most people to show")] = 10,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Find people by a name, typos forgiven, the likeliest first."""
    from dataclasses import asdict

    from assistant.person_search import find
    from cli.database import ask
    from cli.printing import note, print_json

    found = ask(lambda conn: find(conn, text, limit=limit), data)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    _print([one.user for one in found], as_json=False)
    if not found:
        note("nobody is called anything like it; ./jobs user list lists all")


def show(user_id: UserId, as_json: Json = False, data: Data = None) -> None:
    """Show a person and the channels by which they come."""
    from dataclasses import asdict

    from assistant import people
    from cli.database import ask
    from cli.printing import print_json, print_plain

    async def looked(conn: "Connection") -> "tuple[User, list[Address]]":
        user = await people.get(conn, user_id)
        return user, await people.channels(conn, user.id)

    user, channels = ask(looked, data)
    if as_json:
        print_json({"user": asdict(user), "channels": [asdict(one) for one in channels]})
        return
    _print([user], as_json=False)
    for one in channels:
        print_plain(f"  {one.channel} {one.address}, since {one.created_at:%Y-%m-%d}")


def role(
    user_id: UserId,
    new_role: Annotated[str, typer.Argument(metavar="ROLE", help="owner or external")],
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Give a person another role, from their next turn on."""
    from assistant.people import set_role

    wanted = _role(new_role)
    _print([_write(set_role, user_id, wanted, data=data)], as_json=as_json)


def link_one(
    channel: Channel, address: ChannelAddress, user_id: UserId, as_json: Json = False, data: Data = None
) -> None:
    """Say that whoever comes by a channel is this person. Somebody who is known by it already becomes one with them."""
    from assistant.person_links import link

    _print([_write(link, channel, address, user_id, data=data)], as_json=as_json)


def unlink_one(channel: Channel, address: ChannelAddress, as_json: Json = False, data: Data = None) -> None:
    """Forget who comes by a channel: at their next contact they are a stranger."""
    from assistant.person_links import unlink

    _print([_write(unlink, channel, address, data=data)], as_json=as_json)


def _write(verb: Any, *arguments: str, data: Data) -> "User":
    """What a verb answers that wants a transaction of its own."""
    from cli.database import ask

    async def written(conn: "Connection") -> "User":
        async with conn.transaction():
            user: User = await verb(conn, *arguments)
            return user

    return ask(written, data)


def _role(text: str) -> "Role":
    for known in _ROLES:
        if text == known:
            return known  # type: ignore[return-value]  # it is one of them
    raise typer.BadParameter(f"{text!r} is no role; it is owner or external")


def _print(users: "Sequence[User]", *, as_json: bool) -> None:
    from dataclasses import asdict

    from cli.printing import print_json, print_plain

    if as_json:
        print_json([asdict(user) for user in users])
        return
    for user in users:
        username = f" @{user.username}" if user.username else ""
        heard = "" if user.admission in {"unknown", "allowed"} else f"  {user.admission}"
        seen = f"last seen {user.seen_at:%Y-%m-%d %H:%M} UTC"
        print_plain(f"{user.id}  {user.role}  {user.name}{username}{heard}  {seen}")
