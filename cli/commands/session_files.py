"""`./jobs session export` and `import`: sessions as Claude Code's own files."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import Data, Json, Title


def register(session: typer.Typer) -> None:
    """Add the two verbs to `./jobs session`."""
    session.command("export", epilog="Example: ./jobs session export web_1f… --to ~/.claude")(export)
    session.command("import", epilog="Example: ./jobs session import ~/.claude/projects/-home-ada/1f….jsonl")(import_)


def export(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="A chat's id, or a Claude session's")],
    to: Annotated[
        Path | None, typer.Option(help="Claude Code's config folder [default: CLAUDE_CONFIG_DIR, or ~/.claude]")
    ] = None,
    cwd: Annotated[Path | None, typer.Option(help="Where claude will be started [default: here]")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Write a session as Claude Code's own files, so that `claude --resume` goes on with it."""
    import os
    import shlex

    from cli.database import ask
    from cli.printing import tell
    from cli.transcripts import claude_session_of
    from jobs_core import Connection, gate
    from sessions.files import export_session

    gate.check_name(session, field="SESSION")
    config = (to or Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")).absolute()
    place = (cwd or Path.cwd()).resolve()

    async def written(conn: Connection) -> tuple[str, list[Path]]:
        session_id = await claude_session_of(conn, session)
        return str(session_id), await export_session(conn, session_id, config, place)

    session_id, files = ask(written, data)
    with_config = f"CLAUDE_CONFIG_DIR={shlex.quote(str(config))} claude --resume {session_id}"
    how = f"cd {shlex.quote(str(place))} && {with_config}"
    tell({"claude_session_id": session_id, "files": [str(file) for file in files], "resume": how}, how, as_json=as_json)


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="SESSION_ID.jsonl of Claude Code; subagents lie beside it")
    ],
    user: Annotated[str | None, typer.Option(help="Whose chat it becomes")] = None,
    title: Title = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check it, say what it holds, and write nothing")] = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Make a chat of a session of Claude Code; the next message goes on in it."""
    from assistant.copied_chats import import_chat
    from cli.database import ask
    from cli.printing import tell
    from jobs_core import Connection, gate
    from sessions.files import read_session

    if user is not None:
        gate.check_name(user, field="--user")
    read = read_session(file)
    found: dict[str, Any] = {
        "claude_session_id": str(read.session_id),
        "prompts": len(read.exchanges),
        "entries": read.entries,
        "subagents": len(read.parts) - 1,
    }
    text = f"{found['prompts']} prompts, {found['entries']} entries, {found['subagents']} subagents"

    async def made(conn: Connection) -> str:
        async with conn.transaction(force_rollback=dry_run):
            return await import_chat(conn, read, user_id=user, title=title)

    new = ask(made, data)
    if dry_run:
        tell({**found, "dry_run": True}, f"can be imported: {text}", as_json=as_json)
    else:
        tell({**found, "session_id": new}, f"{new}: {text}", as_json=as_json)
