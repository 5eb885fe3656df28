"""The tool by which an agent sends a file of its folder: what it takes, and what the chat owes then."""

import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from assistant.content import MAX_FILES_BYTES
from assistant.deliveries import list_deliveries
from assistant.files import files_of
from assistant.tools import RunContext, tools_for
from jobs_core import AnyJob, Connection, Database, execute, fetch
from sessions import ToolRefused
from tests.support.tool_calls import ADA, OWNER, THEY_ARE_KNOWN, call

RUN = UUID(int=1)
_CHAT = """
INSERT INTO jobs.chat_sessions (session_id, channel, user_id, agent_name, claude_session_id)
VALUES (%(chat)s, %(channel)s, 'olga', 'default', gen_random_uuid())
"""


@pytest.fixture
async def context(database: Database, conn: Connection, job: AnyJob, tmp_path: Path) -> RunContext:
    """A run of the owner's in a chat of Telegram, and a folder."""
    await execute(conn, THEY_ARE_KNOWN)
    await execute(conn, _CHAT, {"chat": "telegram_1", "channel": "telegram"})
    await execute(conn, _CHAT, {"chat": "web_1", "channel": "web"})
    folder = tmp_path / "folder"
    folder.mkdir()
    return RunContext(database, OWNER, "telegram_1", uuid4(), job, folder)


async def test_a_file_of_the_folder_goes_to_the_chat_once_a_turn(context: RunContext, conn: Connection) -> None:
    assert context.workspace is not None
    (context.workspace / "out").mkdir()
    file = context.workspace / "out" / "plot\n.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n plot")
    said = await call(context, "send_file", run_id=RUN, call_id="1", path="out/plot\n.png", text="Look")
    assert said == "plot_.png (13 bytes) is on its way."
    again = await call(context, "send_file", run_id=RUN, call_id="2", path=str(file), text="Look")
    assert "was not done again" in again
    (first,) = await list_deliveries(conn)
    assert (first.kind, first.chat, first.payload["text"]) == ("notification", "telegram_1", "Look")
    message_id = int(first.payload["files"][0]["file_id"].partition(".")[0])
    (kept,) = (await files_of(conn, [message_id]))[message_id]
    assert (kept.media_type, kept.name, kept.content) == ("image/png", "plot_.png", b"\x89PNG\r\n\x1a\n plot")
    file.write_bytes(b"another plot")
    await call(context, "send_file", run_id=RUN, call_id="3", path=str(file))
    assert len(await list_deliveries(conn)) == 2


async def test_nothing_but_a_file_of_the_folder_is_sent(context: RunContext, conn: Connection, tmp_path: Path) -> None:
    folder = context.workspace
    assert folder is not None
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "way").symlink_to(tmp_path)
    (folder / "empty").touch()
    os.mkfifo(folder / "pipe")
    (folder / "big").touch()
    os.truncate(folder / "big", MAX_FILES_BYTES + 1)
    paths = [
        "../secret",
        str(tmp_path / "secret"),
        f"{folder}/../secret",
        "link",
        "way/secret",
        ".",
        "pipe",
        "empty",
        "big",
        "no",
    ]
    for path in [*paths, "a\0b", "/etc/passwd"]:
        with pytest.raises(ToolRefused):
            await call(context, "send_file", run_id=RUN, call_id=path, path=path)
    assert await list_deliveries(conn) == []


async def test_on_the_web_no_file_is_sent_and_none_is_left(context: RunContext, conn: Connection, job: AnyJob) -> None:
    assert context.workspace is not None
    (context.workspace / "a").write_text("a")
    on_the_web = RunContext(context.database, OWNER, "web_1", uuid4(), job, context.workspace)
    with pytest.raises(ToolRefused, match="it is on the web"):
        await call(on_the_web, "send_file", run_id=RUN, call_id="1", path="a")
    assert await fetch(conn, "SELECT FROM jobs.chat_files") == []


def test_an_outsider_has_no_such_tool(context: RunContext) -> None:
    theirs = RunContext(context.database, ADA, "telegram_1", uuid4(), context.job, context.workspace)
    assert "send_file" not in [tool.name for tool in tools_for(theirs)]
