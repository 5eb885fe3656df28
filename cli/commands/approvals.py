"""`./jobs approvals`: tool calls that wait for a person: list, look, decide, close; and what is always allowed."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BIGGEST_ID, Data, Json

if TYPE_CHECKING:
    from assistant.action import Action
    from assistant.approvals import Always, Decided, Decider
    from jobs_core import Connection
    from sessions import Decision

_EXAMPLE = "Example: ./jobs approvals show 12, then ./jobs approvals approve 12"
_SHOWN_CHARS = 4_000
_PAGE = 100

Id = Annotated[int, typer.Argument(metavar="ID", min=1, max=BIGGEST_ID, help="The action's id")]
Digest = Annotated[str | None, typer.Option(help="Only if its arguments have this digest")]


class Outcome(StrEnum):
    """What became of a call."""

    RAN = "ran"
    NOT_RUN = "not-run"


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    approvals = typer.Typer(help="Decide about tool calls that wait for a person.", no_args_is_help=True)
    approvals.command("ls", epilog="Example: ./jobs approvals ls --all")(list_all)
    approvals.command("show", epilog="Example: ./jobs approvals show 12 --json")(show)
    approvals.command("approve", epilog="""Example: ./jobs approvals approve 12 --edit '{"command": "ls"}'""")(approve)
    approvals.command("reject", epilog='Example: ./jobs approvals reject 12 --reason "use the staging host"')(reject)
    approvals.command("expire", epilog="Example: ./jobs approvals expire 12")(expire)
    approvals.command("close", epilog='Example: ./jobs approvals close 12 --as ran --reason "build/ is gone"')(close)
    approvals.command("always", epilog="Example: ./jobs approvals always --json")(always)
    approvals.command("revoke", epilog="Example: ./jobs approvals revoke 3")(revoke)
    approvals.command("log", epilog="Example: ./jobs approvals log --limit 20 --json")(log)
    app.add_typer(approvals, name="approvals", epilog=_EXAMPLE)


def list_all(
    every: Annotated[bool, typer.Option("--all", help="Decided and executed ones, too")] = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List the calls that wait for a decision, were approved or are being run, and those of which nobody knows the outcome."""

    from assistant.action import OPEN
    from assistant.actions import list_actions
    from cli.database import ask
    from cli.printing import print_json, print_plain

    found = ask(lambda conn: list_actions(conn, states=None if every else OPEN, limit=_PAGE), data)
    if as_json:
        print_json([_plain(one) for one in found])
        return
    for one in found:
        print_plain(_line(one))
    if not found:
        print_plain("nothing waits for a decision")


def show(action_id: Id, as_json: Json = False, data: Data = None) -> None:
    """Show one call as it will run, every character that could hide another one escaped."""

    from cli.printing import print_json, print_plain

    found = _found(action_id, data)
    if as_json:
        print_json(_plain(found))
        return
    print_plain(_shown(found))


def approve(
    action_id: Id,
    edit: Annotated[str | None, typer.Option(metavar="JSON", help="Run it with these arguments instead")] = None,
    always_: Annotated[bool, typer.Option("--always", help="And do not ask about just such calls again")] = False,
    digest: Digest = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Let the call run, with exactly the arguments that `show` shows, or with those given here."""
    from assistant.actions import MAX_ARGUMENTS_BYTES
    from assistant.approvals import approve
    from jobs_core import gate

    edited = None if edit is None else gate.from_json(edit, field="--edit", max_bytes=MAX_ARGUMENTS_BYTES)
    _decide(
        lambda conn, by, shown: approve(conn, action_id, by, digest=shown, edited=edited, always=always_),
        action_id,
        digest,
        as_json=as_json,
        data=data,
    )


def reject(
    action_id: Id,
    reason: Annotated[str | None, typer.Option(help="Why; the model is told")] = None,
    digest: Digest = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Have the call not run; the turn goes on, and the model hears why."""
    from assistant.approvals import reject

    _decide(
        lambda conn, by, shown: reject(conn, action_id, by, digest=shown, reason=reason),
        action_id,
        digest,
        as_json=as_json,
        data=data,
    )


def expire(action_id: Id, as_json: Json = False, data: Data = None) -> None:
    """Let the time to decide be over now; the turn goes on without the call."""
    from assistant.approvals import expire

    _decide(
        lambda conn, by, shown: expire(conn, action_id, by, digest=shown), action_id, None, as_json=as_json, data=data
    )


def close(
    action_id: Id,
    how: Annotated[Outcome, typer.Option("--as", help="What you have found")],
    reason: Annotated[str | None, typer.Option(help="How you know; kept with it")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Say of a call that is unknown whether it ran; nothing is run, and it leaves the list."""
    from assistant.approvals import Decided
    from assistant.closing import close

    async def closed(conn: "Connection", by: "Decider", shown: str) -> Decided:
        return Decided(await close(conn, action_id, by, ran=how is Outcome.RAN, digest=shown, reason=reason), ())

    _decide(closed, action_id, None, as_json=as_json, data=data)


def always(as_json: Json = False, data: Data = None) -> None:
    """List the calls that run without being asked about, each with its exact arguments."""
    from dataclasses import asdict

    from assistant.approvals import list_always
    from cli.database import ask
    from cli.printing import print_json, print_plain

    found = ask(lambda conn: list_always(conn, limit=_PAGE), data)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        print_plain(_always_line(one))


def revoke(always_id: Id, as_json: Json = False, data: Data = None) -> None:
    """Have just such calls ask again."""
    from assistant.approvals import revoke_always
    from assistant.errors import AssistantError
    from cli.commands.pauses import person
    from cli.database import ask
    from cli.errors import CommandFailed
    from cli.printing import print_json, print_plain

    try:
        ask(lambda conn: revoke_always(conn, always_id, person()), data)
    except AssistantError as error:
        raise CommandFailed(str(error)) from None
    if as_json:
        print_json({"revoked": always_id})
    else:
        print_plain(f"revoked: {always_id}")


def log(
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many")] = 50,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List what was decided about tool calls, allowed ones too, and by which rule or person; the newest first."""
    from cli.database import ask
    from cli.printing import print_json, print_table
    from sessions import decisions

    found = [_plain(one) for one in ask(lambda conn: decisions(conn, limit=limit), data)]
    if as_json:
        print_json(found)
        return
    columns = ("at", "verdict", "tool", "decided_by", "agent", "user_id", "session_id", "call_id")
    print_table(found, {name: name for name in columns})


def _decide(verb: Any, action_id: int, digest: str | None, *, as_json: bool, data: Data) -> None:
    """Carry out one decision, and say what the action is then."""
    import asyncio

    from assistant.errors import AssistantError
    from cli.errors import CommandFailed
    from cli.printing import print_json, print_plain

    try:
        decided: Decided = asyncio.run(_decided(verb, action_id, digest, data))
    except AssistantError as error:
        raise CommandFailed(str(error)) from None
    if as_json:
        print_json(_plain(decided.action))
    else:
        print_plain(_line(decided.action))


async def _decided(verb: Any, action_id: int, digest: str | None, data: Data) -> "Decided":
    from assistant.actions import find
    from assistant.approvals import Decider
    from cli.commands.pauses import person
    from cli.database import opened
    from cli.settings import CliSettings
    from jobs_core.wake import Notifier

    async with opened(CliSettings.read(data=data)) as database, Notifier(database) as notifier:
        async with database.connection() as conn:
            shown = digest or (await find(conn, action_id)).digest
            decided: Decided = await verb(conn, Decider(person(), "owner"), shown)
        notifier.wake(decided.ready)
    return decided


def _found(action_id: int, data: Data) -> "Action":
    from assistant.actions import find
    from cli.database import ask

    return ask(lambda conn: find(conn, action_id), data)


def _plain(action: "Action | Decision") -> dict[str, Any]:
    from dataclasses import asdict
    from uuid import UUID

    return {name: str(value) if isinstance(value, UUID) else value for name, value in asdict(action).items()}


def _line(action: "Action") -> str:
    from assistant.shown import one_line

    by = f" by {action.decided_by}" if action.decided_by else ""
    until = f", until {action.expires_at:%Y-%m-%d %H:%M} UTC" if action.state == "pending" else ""
    return f"{action.id}: {action.state}{by}{until} · {action.tool} {one_line(action.runs_with[0], 100)}"


def _shown(action: "Action") -> str:
    from assistant.shown import one_line, what_was_read

    arguments, digest = action.runs_with
    edited = (
        f"asked with     {one_line(action.arguments, _SHOWN_CHARS)}\n" if action.edited_arguments is not None else ""
    )
    read = action.has_read
    decided = f"decided by     {action.decided_by}: {action.reason or 'no reason given'}\n" if action.decided_by else ""
    return (
        f"action {action.id} is {action.state}\n"
        f"tool           {action.tool}\n"
        f"runs with      {one_line(arguments, _SHOWN_CHARS)}\n"
        f"digest         {digest}\n"
        f"{edited}{decided}"
        f"asked by       {action.asked_by}, in chat {action.session_id}, job {action.job_id}\n"
        f"expires        {action.expires_at:%Y-%m-%d %H:%M:%S} UTC\n"
        f"had read       {what_was_read(read)}"
    )


def _always_line(always: "Always") -> str:
    from assistant.shown import one_line

    of = f"for {always.user_id} by agent {always.agent}, allowed by {always.allowed_by}"
    return f"{always.id}: {always.tool} {one_line(always.arguments, 200)} · {of}"
