"""`./jobs session`: chats and the Claude sessions behind them: list, read, name, stop, reset, fork, export, import."""

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cli.commands import session_files
from cli.options import Data, Json, Limit, Title

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from assistant.stopping import Stopped
    from jobs_core import Database, Jobs

_EXAMPLE = "Example: ./jobs session list --user ada"

Chat = Annotated[str, typer.Argument(metavar="SESSION", help="The chat's id, as ./jobs chat and session list show it")]
Message = Annotated[int | None, typer.Option("--at", min=1, help="The answer's id, as session history shows it")]

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    session = typer.Typer(help="Chats, and the Claude sessions behind them.", no_args_is_help=True)
    session.command("list", epilog=_EXAMPLE)(list_all)
    session.command("history", epilog="Example: ./jobs session history web_1f… --limit 20")(history)
    session.command("show", epilog="Example: ./jobs session show web_1f… --full")(show)
    session.command("rename", epilog='Example: ./jobs session rename web_1f… "Tax returns"')(rename)
    session.command("stop", epilog="Example: ./jobs session stop web_1f…")(stop)
    session.command("reset", epilog="Example: ./jobs session reset web_1f…, or --all-of ada")(reset)
    session.command("fork", epilog="Example: ./jobs session fork web_1f… --at 42")(fork)
    session_files.register(session)
    app.add_typer(session, name="session", epilog=_EXAMPLE)


def list_all(
    user: Annotated[str | None, typer.Option(help="Only this user's")] = None,
    limit: Limit = 50,
    before: Annotated[str | None, typer.Option(help="Only those older than this chat")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List chats, the newest first."""
    from dataclasses import asdict

    from assistant.chat_list import list_chats
    from cli.database import ask
    from cli.printing import print_table

    _check(user=user, before=before)
    found = ask(lambda conn: list_chats(conn, user_id=user, limit=limit, before=before), data)
    headings = {
        "session_id": "SESSION",
        "created_at": "SINCE",
        "user_id": "USER",
        "title": "TITLE",
        "last_message_at": "LAST",
        "last_message": "SAID LAST",
    }
    print_table([asdict(chat) for chat in found], headings, as_json=as_json)


def history(
    session: Chat,
    limit: Limit = 50,
    before: Annotated[int | None, typer.Option(min=1, help="Only those before the message of this id")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Show what was said in a chat, the oldest first, with the ids of its messages."""
    from dataclasses import asdict

    from assistant.chat_history import newest
    from cli.database import ask
    from cli.printing import print_json, print_plain

    _check(session=session)
    lines = ask(lambda conn: newest(conn, session, limit=limit, before_id=before), data)
    if as_json:
        print_json([{**asdict(line), "turn_id": str(line.turn_id) if line.turn_id else None} for line in lines])
        return
    for line in lines:
        files = "".join(f" [{file.name or file.media_type}]" for file in line.files)
        state = f" ({line.state})" if line.state else ""
        print_plain(f"{line.id} {line.type}{state}{files}: {line.content}")


def show(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="A chat's id, or a Claude session's")],
    full: Annotated[bool, typer.Option("--full", help="Results of tools as long as they are")] = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Show what the agent has done, from its transcript: each prompt, thought, tool call, result and answer."""
    from cli.database import ask
    from cli.transcripts import load, print_transcript

    _check(session=session)
    print_transcript(ask(lambda conn: load(conn, session), data), full=full, as_json=as_json)


def rename(
    session: Chat,
    title: Annotated[str, typer.Argument(help="What it is called; '' takes the title away")],
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Name a chat."""
    from assistant.chat_list import rename
    from cli.database import ask
    from cli.printing import tell

    _check(session=session)
    ask(lambda conn: rename(conn, session, title or None), data)
    tell({"session_id": session, "title": title or None}, f"{session} is called {title!r}", as_json=as_json)


def stop(session: Chat, as_json: Json = False, data: Data = None) -> None:
    """Stop what the agent does in a chat and what waits there; nothing that was said before gets an answer."""
    from assistant.stopping import stop
    from cli.printing import tell

    _check(session=session)
    stopped = _with_jobs(lambda database, jobs: stop(database, jobs, session), data)
    done = f"stopped {_turns(stopped)} of {session}" if stopped.turns else f"nothing ran or waited in {session}"
    tell({"session_id": session, "turns": stopped.turns}, done, as_json=as_json)


def reset(
    session: Annotated[str | None, typer.Argument(metavar="[SESSION]", help="The chat's id")] = None,
    all_of: Annotated[str | None, typer.Option("--all-of", metavar="USER", help="All chats of this user")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Have a chat begin anew under its id: what runs in it is stopped, and the agent knows nothing of what was said."""
    from assistant.stopping import reset, reset_all
    from cli.errors import CommandFailed
    from cli.printing import tell

    _check(session=session, all_of=all_of)
    if (session is None) is (all_of is None):
        raise CommandFailed("name one session, or a user with --all-of")

    async def done(database: "Database", jobs: "Jobs") -> "list[Stopped]":
        if all_of is not None:
            return await reset_all(database, jobs, all_of)
        return [await reset(database, jobs, session or "")]

    told = [{"session_id": one.session_id, "turns": one.turns} for one in _with_jobs(done, data)]
    text = "\n".join(f"{one['session_id']} begins anew" for one in told) or f"{all_of} has no chats"
    tell(told if all_of is not None else told[0], text, as_json=as_json)


def fork(session: Chat, at: Message = None, title: Title = None, as_json: Json = False, data: Data = None) -> None:
    """Begin a chat that knows what this one knew when it gave an answer, the newest unless --at names one."""
    from assistant.copied_chats import fork
    from cli.database import ask
    from cli.printing import tell
    from jobs_core import Connection

    _check(session=session)

    async def copied(conn: Connection) -> str:
        async with conn.transaction():
            return await fork(conn, session, message_id=at, title=title)

    new = ask(copied, data)
    tell({"session_id": new}, new, as_json=as_json)


def _with_jobs(verb: "Callable[[Database, Jobs], Awaitable[T]]", data: Data) -> "T":
    import asyncio

    from cli.database import opened
    from cli.settings import CliSettings
    from cli.table import build_table
    from jobs_core import Jobs

    settings = CliSettings.read(data=data)

    async def done() -> "T":
        async with opened(settings) as database, Jobs(database, build_table(settings.handlers)) as jobs:
            return await verb(database, jobs)

    return asyncio.run(done())


def _check(**names: str | None) -> None:
    from jobs_core import gate

    for field, name in names.items():
        if name is not None:
            gate.check_name(name, field=field)


def _turns(stopped: "Stopped") -> str:
    return "1 turn" if stopped.turns == 1 else f"{stopped.turns} turns"
