"""`./jobs notifications prefs`: how a person is told, besides on the web."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from assistant.preferences import Preferences
    from jobs_core import Connection

_EXAMPLE = "Example: ./jobs notifications prefs set --zone Europe/Berlin --quiet 22:00-07:00 --digest 08:00"

User = Annotated[str | None, typer.Option(help="Whose: a user's id [default: the owner's]")]
Severity = "info, warning or error"


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    prefs = typer.Typer(help="How a person is told: by what way, of what, and when.", no_args_is_help=True)
    prefs.command("show", epilog="Example: ./jobs notifications prefs show --json")(show)
    prefs.command("set", epilog=_EXAMPLE)(set_some)
    group.add_typer(prefs, name="prefs", epilog=_EXAMPLE)


def show(user: User = None, as_json: Json = False, data: Data = None) -> None:
    """Show how a person is told."""
    _print(_changed({}, user, data), as_json=as_json)


def set_some(
    user: User = None,
    zone: Annotated[str | None, typer.Option(help="Of all times of day: Europe/Berlin")] = None,
    telegram: Annotated[bool | None, typer.Option("--telegram/--no-telegram", help="Whether at all")] = None,
    account: Annotated[list[str] | None, typer.Option(help="NAME=on or NAME=off: one of ours; repeat for more")] = None,
    least: Annotated[str | None, typer.Option(help=f"Only what is so severe: {Severity}")] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=info, warning, error, muted, or none: as all others; NAME may be task.*; repeat for more"
        ),
    ] = None,
    quiet: Annotated[str | None, typer.Option(help="Nothing goes out meanwhile: 22:00-07:00, or none")] = None,
    errors: Annotated[
        bool | None, typer.Option("--errors/--no-errors", help="Whether errors do in quiet hours, all the same")
    ] = None,
    digest: Annotated[
        str | None, typer.Option(help="Gather into one message: hourly, a time such as 08:00, or none")
    ] = None,
    below: Annotated[str | None, typer.Option(help="What is gathered: below warning or error")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Change what is given and leave the rest; it counts for what waits, too."""
    given: dict[str, Any] = {
        "zone": zone,
        "on": telegram,
        "accounts": _pairs(account, "--account"),
        "least": least,
        "categories": _pairs(category, "--category"),
        "quiet": quiet,
        "errors": errors,
        "digest": digest,
        "below": below,
    }
    changes = {name: value for name, value in given.items() if value is not None and value != {}}
    if not changes:
        raise typer.BadParameter("nothing is given to change: see --help")
    _print(_changed(changes, user, data), as_json=as_json)


def _changed(changes: dict[str, Any], user: str | None, data: Data) -> "Preferences":
    """What a person says, after these changes. Raises InvalidInput naming what does not fit."""
    import asyncio

    from cli.filters import check_names

    check_names({"--user": user})
    return asyncio.run(_change(changes, user, data))


async def _change(changes: dict[str, Any], user: str | None, data: Data) -> "Preferences":
    from assistant.preferences import fit_preferences, hold_preferences, lock_preferences
    from assistant.routing import set_preferences
    from cli.database import opened
    from cli.settings import CliSettings

    async with opened(CliSettings.read(data=data)) as database, database.transaction() as conn:
        person = await _person(conn, user)
        if not changes:
            return await hold_preferences(conn, person)
        said = await lock_preferences(conn, person)
        wanted = fit_preferences(apply(said.model_dump(mode="json", by_alias=True), changes))
        await set_preferences(conn, person, wanted)
        return wanted


async def _person(conn: "Connection", user: str | None) -> str:
    from assistant import people

    return (await people.owner(conn) if user is None else await people.get(conn, user)).id


def apply(said: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Preferences as JSON with what was given on the command line."""
    said = {**said, "telegram": dict(said["telegram"]), "categories": dict(said["categories"])}
    for name, value in changes.items():
        match name:
            case "zone":
                said["zone"] = value
            case "on" | "least":
                said["telegram"][name] = value
            case "accounts":
                said["telegram"]["accounts"] = {**said["telegram"]["accounts"], **_switches(value)}
            case "categories":
                said["categories"] |= value
            case "quiet":
                said["quiet"] = _quiet(value, said["quiet"])
            case "digest":
                said["digest"] = _digest(value, said["digest"])
            case "errors":
                said["quiet"] = _part(said["quiet"], "--errors", "--quiet") | {"errors": value}
            case "below":
                said["digest"] = _part(said["digest"], "--below", "--digest") | {"below": value}
    said["categories"] = {name: least for name, least in said["categories"].items() if least != "none"}
    return said


def _quiet(text: str, said: dict[str, Any] | None) -> dict[str, Any] | None:
    if text == "none":
        return None
    start, dash, end = text.partition("-")
    if not dash:
        raise typer.BadParameter(f"--quiet: {text!r} is no part of a day; write 22:00-07:00, or none")
    return (said or {}) | {"from": start.strip(), "to": end.strip()}


def _digest(text: str, said: dict[str, Any] | None) -> dict[str, Any] | None:
    if text == "none":
        return None
    when = {"every": "hour", "at": None} if text == "hourly" else {"every": "day", "at": text}
    return (said or {}) | when


def _part(said: dict[str, Any] | None, option: str, other: str) -> dict[str, Any]:
    if said is None:
        raise typer.BadParameter(f"{option}: there is none to say it of; give {other}, too")
    return said


def _switches(given: dict[str, str]) -> dict[str, bool]:
    for name, word in given.items():
        if word not in ("on", "off"):
            raise typer.BadParameter(f"--account: {name}={word} is neither on nor off")
    return {name: word == "on" for name, word in given.items()}


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for text in given or ():
        name, equals, word = text.rpartition("=")
        if not (equals and name):
            raise typer.BadParameter(f"{option}: {text!r} is not NAME=WORD")
        pairs[name] = word
    return pairs


def _print(said: "Preferences", *, as_json: bool) -> None:
    from cli.printing import print_json, print_plain

    if as_json:
        print_json(said.model_dump(mode="json", by_alias=True))
        return
    off = [name for name, on in said.telegram.accounts.items() if not on]
    print_plain(f"zone        {said.zone}")
    print_plain(f"telegram    {'on' if said.telegram.on else 'off'}{', but not by ' + ', '.join(off) if off else ''}")
    print_plain(f"least       {said.telegram.least}")
    for name, least in said.categories.items():
        print_plain(f"category    {name}: {least}")
    quiet, digest = said.quiet, said.digest
    errors = ", but for errors" if quiet and quiet.errors else ""
    print_plain(f"quiet       {f'{quiet.start}-{quiet.end}{errors}' if quiet else 'none'}")
    when = f"{'hourly' if digest.at is None else f'daily at {digest.at}'}, below {digest.below}" if digest else "none"
    print_plain(f"digest      {when}")
