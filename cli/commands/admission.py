"""`./jobs user allow`, `deny`, `block`: who is heard; and `./jobs user pair`: a code that makes a phone the owner's."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from assistant.held import Answered, Verdict
    from assistant.pairing import Pairing
    from jobs_core import Connection

UserId = Annotated[str, typer.Argument(metavar="ID", help="The person's id, as list and find show it")]


def register(user: typer.Typer) -> None:
    """Add the four verbs to `./jobs user`."""
    user.command("allow", epilog="Example: ./jobs user allow u_0123456789abcdef")(allow)
    user.command("deny", epilog="Example: ./jobs user deny u_0123456789abcdef")(deny)
    user.command("block", epilog="Example: ./jobs user block u_0123456789abcdef")(block)
    user.command("pair", epilog="Example: ./jobs user pair, then send /start CODE to the bot")(pair)


def allow(user_id: UserId, as_json: Json = False, data: Data = None) -> None:
    """Hear a person from now on; what was kept of theirs is answered."""
    _answer(user_id, "allowed", as_json=as_json, data=data)


def deny(user_id: UserId, as_json: Json = False, data: Data = None) -> None:
    """Forget what a person has said, and ask again when they come in a day or later."""
    _answer(user_id, "denied", as_json=as_json, data=data)


def block(user_id: UserId, as_json: Json = False, data: Data = None) -> None:
    """Hear a person no more, without a word to them."""
    _answer(user_id, "blocked", as_json=as_json, data=data)


def pair(as_json: Json = False, data: Data = None) -> None:
    """Make a code, once and for ten minutes: whoever sends /start CODE to the bot is the owner from then on."""
    from dataclasses import asdict

    from assistant.pairing import begin
    from cli.database import ask
    from cli.printing import print_json, print_plain

    async def begun(conn: "Connection") -> "Pairing":
        return await begin(conn)

    pairing = ask(begun, data)
    if as_json:
        print_json(asdict(pairing))
        return
    print_plain(f"/start {pairing.code}")
    print_plain(
        f"Send this to the bot from your own account, before {pairing.expires_at:%H:%M:%S} UTC. Show it to nobody."
    )


def _answer(user_id: str, verdict: "Verdict", *, as_json: bool, data: Data) -> None:
    from dataclasses import asdict

    from cli.printing import print_json, print_plain

    answered = asyncio.run(_answered(user_id, verdict, data))
    if as_json:
        print_json(asdict(answered.user) | {"taken": answered.taken})
        return
    print_plain(f"{answered.user.id}  {answered.user.name}: {answered.text}")


async def _answered(user_id: str, verdict: "Verdict", data: Data) -> "Answered":
    from assistant.held import answer
    from cli.commands.pauses import person
    from cli.database import opened
    from cli.settings import CliSettings
    from cli.table import build_table
    from jobs_core import Jobs, db

    settings = CliSettings.read(data=data)
    async with opened(settings) as database, Jobs(database, build_table(settings.handlers)) as jobs:

        async def once() -> "Answered":
            async with database.transaction() as conn:
                return await answer(conn, jobs, user_id, verdict, person())

        answered = await db.retried(once)
        answered.wake()
    return answered
