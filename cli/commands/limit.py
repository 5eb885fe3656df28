"""`./jobs limit`: what bounds how many jobs of a key run at once, or how often: list, set and remove."""

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from jobs_core import Database
    from jobs_core.limits import LimitView

_EXAMPLE = "Example: ./jobs limit set project:acme --slots 5"
_RATE_EXAMPLE = "write 5/s, 100/m or 2000/h"
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_PAGE = 1_000

Key = Annotated[str, typer.Argument(metavar="KEY", help="The limit's key, as its job type names it")]
T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the command and its three verbs."""
    limit = typer.Typer(help="List, set and remove limits: slots and rates of a key.", no_args_is_help=True)
    limit.command("ls", epilog="Example: ./jobs limit ls --json")(list_all)
    limit.command("set", epilog=_EXAMPLE)(set_one)
    limit.command("rm", epilog="Example: ./jobs limit rm project:acme")(remove)
    app.add_typer(limit, name="limit", epilog=_EXAMPLE)


def list_all(as_json: Json = False, data: Data = None) -> None:
    """List the keys that were set, or that jobs have made: slots in use, jobs waiting, permits in the bucket."""

    async def listed(database: "Database") -> "list[LimitView]":
        from jobs_core.limits import list_limits

        found: list[LimitView] = []
        async with database.connection() as conn:
            while page := await list_limits(conn, after=found[-1].key if found else "", limit=_PAGE):
                found += page
        return found

    _print(_ask(listed, data), as_json=as_json)


def set_one(
    key: Key,
    slots: Annotated[int | None, typer.Option(help="How many jobs of the key run at once; 0: none")] = None,
    rate: Annotated[str | None, typer.Option(help="How often one is claimed: 5/s, 100/m, 2000/h")] = None,
    burst: Annotated[
        float | None, typer.Option(help="How many at once after a pause [default: half a second's]")
    ] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Set a key's numbers, for all jobs claimed from now on; what is not given is not limited.

    Jobs that run go on: a lowered limit takes effect as they end.
    """
    from jobs_core import InvalidInput, Limit
    from jobs_core.limit import checked

    if slots is None and rate is None:
        raise InvalidInput(f"{key}: neither --slots nor --rate is given; give one, or ./jobs limit rm {key}")
    limit = checked(Limit(key, slots=slots, rate_per_s=_per_s(rate), burst=burst), field="limit")

    async def put(database: "Database") -> "list[LimitView]":
        from jobs_core.limits import find_limit, set_limit
        from jobs_core.wake import Notifier

        async with Notifier(database) as notifier, database.connection() as conn:
            notifier.wake(await set_limit(conn, limit))
            found = await find_limit(conn, key)
        return [found] if found else []

    _print(_ask(put, data), as_json=as_json)


def remove(key: Key, as_json: Json = False, data: Data = None) -> None:
    """Remove a key: its next job makes it anew, with the numbers of its type."""
    from cli.errors import CommandFailed
    from cli.printing import print_json, print_plain
    from jobs_core import gate

    gate.check_text(key, field="KEY", max_chars=gate.MAX_NAME_CHARS)

    async def removed(database: "Database") -> bool:
        from jobs_core.limits import remove_limit
        from jobs_core.wake import Notifier

        async with Notifier(database) as notifier, database.connection() as conn:
            waiting = await remove_limit(conn, key)
            notifier.wake(waiting or ())
        return waiting is not None

    if not _ask(removed, data):
        raise CommandFailed(f"there is no limit {key!r}: ./jobs limit ls lists them")
    if as_json:
        print_json({"removed": key})
    else:
        print_plain(f"removed: {key}")


def _per_s(rate: str | None) -> float | None:
    from jobs_core import InvalidInput

    if rate is None:
        return None
    number, _, unit = rate.strip().partition("/")
    try:
        return float(number) / _SECONDS[unit]
    except (ValueError, KeyError):
        raise InvalidInput(f"--rate: {rate!r} is not a rate; {_RATE_EXAMPLE}", field="--rate") from None


def _ask(question: "Callable[[Database], Coroutine[Any, Any, T]]", data: Data) -> T:
    import asyncio

    from cli.database import opened
    from cli.settings import CliSettings

    async def answer() -> T:
        async with opened(CliSettings.read(data=data)) as database:
            return await question(database)

    return asyncio.run(answer())


def _print(limits: "list[LimitView]", *, as_json: bool) -> None:
    from dataclasses import asdict

    from cli.printing import print_json, print_plain

    if as_json:
        print_json([asdict(limit) for limit in limits])
        return
    for limit in limits:
        print_plain(_line(limit))
    if not limits:
        print_plain("no limits: ./jobs limit set makes one, and so does the first job of a type that has them")


def _line(limit: "LimitView") -> str:
    from jobs_core.limits import MOST_WAITING

    parts = [] if limit.slots is None else [f"{limit.in_use} of {limit.slots} slots in use"]
    if limit.rate_per_s is not None:
        parts.append(f"{limit.rate_per_s:g}/s, {limit.permits:.3g} of {limit.burst:g} permits left")
    more = "+" if limit.waiting == MOST_WAITING else ""
    parts.append(f"{limit.waiting}{more} waiting")
    return f"{limit.key}: {' · '.join(parts)}{'' if limit.by_hand else ' (as its type says)'}"
