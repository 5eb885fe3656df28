"""`./jobs hook`: who may send us events, and what job is made of each."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands import hook_events
from cli.options import Data, Json

if TYPE_CHECKING:
    from gateways.webhooks.sources import Source
    from jobs_core import Connection

_ADD = """Example: ./jobs hook add shop --job-type hello --input '{"name": "body.customer.name"}'"""
_HEADINGS = {
    "name": "source",
    "enabled": "on",
    "scheme": "scheme",
    "job_type": "job type",
    "cap_per_minute": "a minute",
}
_OVERLAP = "1d"

Name = Annotated[str, typer.Argument(metavar="SOURCE", help="The source's name: events go to /hooks/SOURCE")]
Scheme = Annotated[
    str | None, typer.Option(help="standard, github, gitlab, jira, taiga, hmac or bearer [default: standard]")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--setting", help="hmac, bearer: header=, prefix=, algorithm=, encoding=, id_header=; repeat for more"
    ),
]
WholeMapping = Annotated[str | None, typer.Option("--mapping", help="Filter, input and keys as JSON; - or @FILE")]
Filter = Annotated[str | None, typer.Option("--filter", help="JMESPath: events for which it is not true are ignored")]
Input = Annotated[str | None, typer.Option("--input", help="The job's input as JSON, its texts JMESPath; - or @FILE")]
Dedupe = Annotated[str | None, typer.Option(help="What tells events apart: id or body [default: the id that it sends]")]
Cap = Annotated[int | None, typer.Option(min=0, help="Events taken in a minute; 0: any number [default: 6000]")]
OwnSecret = Annotated[
    bool, typer.Option("--own-secret", help="Take the sender's secret, from stdin, instead of making one")
]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    hook = typer.Typer(help="Take in events of other programs by webhook, and make jobs of them.", no_args_is_help=True)
    hook.command("ls", epilog="Example: ./jobs hook ls --json")(list_all)
    hook.command("show", epilog="Example: ./jobs hook show shop")(show)
    hook.command("add", epilog=_ADD)(add)
    hook.command("change", epilog="""Example: ./jobs hook change shop --filter "body.action == 'opened'" """)(change)
    hook.command("rotate", epilog="Example: ./jobs hook rotate shop --overlap 2h")(rotate)
    hook.command("rm", epilog="Example: ./jobs hook rm shop")(remove)
    hook_events.register(hook)
    app.add_typer(hook, name="hook", epilog=_ADD)


def list_all(as_json: Json = False, data: Data = None) -> None:
    """List the sources."""
    from dataclasses import asdict

    from cli.database import ask
    from cli.printing import print_table
    from gateways.webhooks.sources import list_sources

    print_table([asdict(one) for one in ask(list_sources, data)], _HEADINGS, as_json=as_json)


def show(name: Name, as_json: Json = False, data: Data = None) -> None:
    """Show a source: its mapping, and since when it has which secrets; those themselves are never shown again."""
    from cli.database import ask
    from gateways.webhooks.sources import find_source

    _print(ask(lambda conn: find_source(conn, name), data), as_json=as_json)


def add(
    name: Name,
    job_type: Annotated[str, typer.Option(help="Type of the jobs that are made of its events")],
    scheme: Scheme = None,
    setting: Settings = None,
    mapping: WholeMapping = None,
    filter_: Filter = None,
    input_: Input = None,
    dedupe: Dedupe = None,
    cap: Cap = None,
    own_secret: OwnSecret = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Make a source, and print its secret, this once."""
    from cli.database import ask
    from gateways.webhooks.sources import add_source, define

    given = _given(data, job_type, scheme, setting, dedupe, cap) | _mapping({}, mapping, filter_, input_)
    definition, own = define(given), _ask_secret() if own_secret else None
    secret = ask(lambda conn: add_source(conn, name, definition, own), data)
    _tell_secret(name, secret, own=own_secret, as_json=as_json)


def change(
    name: Name,
    job_type: Annotated[str | None, typer.Option(help="Type of the jobs that are made of its events")] = None,
    scheme: Scheme = None,
    setting: Settings = None,
    mapping: WholeMapping = None,
    filter_: Filter = None,
    input_: Input = None,
    dedupe: Dedupe = None,
    cap: Cap = None,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="Whether it takes events")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Change what is given, for all events from a second later on; what was received can be replayed."""
    from cli.database import ask
    from gateways.webhooks.sources import change_source, find_source

    changes = _given(data, job_type, scheme, setting, dedupe, cap)
    if enabled is not None:
        changes["enabled"] = enabled

    async def changed(conn: "Connection") -> "Source":
        now = (await find_source(conn, name)).mapping
        return await change_source(conn, name, changes | _mapping(dict(now), mapping, filter_, input_))

    _print(ask(changed, data), as_json=as_json)


def rotate(
    name: Name,
    overlap: Annotated[str, typer.Option(help="How long the old secret is good beside it: 0s, 2h, 1d")] = _OVERLAP,
    own_secret: OwnSecret = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Give a source another secret, and print it, this once."""
    from cli.database import ask
    from cli.durations import parse_duration
    from gateways.webhooks import sources

    span = parse_duration(overlap, option="--overlap")
    own = _ask_secret() if own_secret else None
    secret = ask(lambda conn: sources.rotate(conn, name, span, own), data)
    _tell_secret(name, secret, own=own_secret, as_json=as_json)


def remove(name: Name, as_json: Json = False, data: Data = None) -> None:
    """Remove a source and its secrets; what was received of it stays for its 30 days."""
    from cli.database import ask
    from cli.printing import tell
    from gateways.webhooks.sources import remove_source

    ask(lambda conn: remove_source(conn, name), data)
    tell({"removed": name}, f"removed: {name}", as_json=as_json)


def _given(
    data: Data,
    job_type: str | None,
    scheme: str | None,
    settings: list[str] | None,
    dedupe: str | None,
    cap: int | None,
) -> dict[str, Any]:
    """Fields of a definition, those that are given. Raises UnknownJobType."""
    from cli.settings import CliSettings
    from cli.table import build_table

    if job_type is not None:
        build_table(CliSettings.read(data=data).handlers).job_type(job_type)
    given = {"job_type": job_type, "scheme": scheme, "dedupe_by": dedupe, "settings": _settings(settings)}
    shown = {field: value for field, value in given.items() if value is not None}
    return shown if cap is None else {**shown, "cap_per_minute": cap or None}


def _settings(given: list[str] | None) -> dict[str, str] | None:
    if given is None:
        return None
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not equals:
            raise typer.BadParameter(f"--setting {name}: write it as header=X-Signature")
    return {name: value for name, _, value in pairs}


def _mapping(now: dict[str, Any], whole: str | None, filter_: str | None, input_: str | None) -> dict[str, Any]:
    from cli.given import json_of

    parts = {"filter": filter_, "input": None if input_ is None else json_of(input_, "--input")}
    changes = {name: part for name, part in parts.items() if part is not None}
    if whole is None:
        return {"mapping": now | changes} if changes else {}
    given = json_of(whole, "--mapping")
    return {"mapping": given | changes if isinstance(given, dict) else given}


def _ask_secret() -> str:
    import sys

    from cli.errors import CommandFailed

    try:
        secret: str = typer.prompt("Its secret", hide_input=sys.stdin.isatty(), err=True)
    except typer.Abort:
        raise CommandFailed("no secret was given: write it to stdin, or leave --own-secret out") from None
    return secret.strip()


def _tell_secret(name: str, secret: str, *, own: bool, as_json: bool) -> None:
    from cli.printing import note, tell

    if own:
        tell({"source": name, "path": f"/hooks/{name}"}, f"{name} takes events at /hooks/{name}", as_json=as_json)
        return
    tell({"source": name, "path": f"/hooks/{name}", "secret": secret}, secret, as_json=as_json)
    note(f"This is the secret of {name}, and is not shown again. Its events go to POST /hooks/{name} of the web API.")


def _print(source: "Source", *, as_json: bool) -> None:
    from dataclasses import asdict

    from cli.with_secrets import print_with_secrets

    print_with_secrets(asdict(source), as_json=as_json)
