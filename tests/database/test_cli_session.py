"""`./jobs session` on a database, each command in this process."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.chats import CHAT_TURN
from cli.app import main
from jobs_core import Database, HandlerTable, Jobs
from tests.database.test_copied_chats import talk
from tests.unit.test_session_files import ANSWER, ID, PROMPT, written

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `./jobs session …`; returns its exit status, what it printed, and what it warned of."""
    monkeypatch.setenv("DATABASE_URL", database_url)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["jobs", "session", *arguments])
        status = main()
        told = capsys.readouterr()
        return status, told.out, told.err

    return command


@pytest.fixture
def chat(database_url: str) -> str:
    """A chat in which two things were said and answered."""

    async def made() -> str:
        table = HandlerTable()
        table.declare(CHAT_TURN)
        async with (
            Database(database_url, name="tests") as database,
            Jobs(database, table) as jobs,
            database.connection() as conn,
        ):
            return (await talk(jobs, conn, "one", "two"))[0]

    return asyncio.run(made())


def json_of(run: Run, *arguments: str) -> Any:
    status, out, err = run(*arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_a_chat_is_listed_read_and_named(run: Run, chat: str) -> None:
    (one,) = json_of(run, "list", "--user", "ada")
    assert (one["session_id"], one["last_message"], one["title"]) == (chat, "two!", None)
    assert json_of(run, "list", "--user", "bob") == []
    assert run("rename", chat, "Taxes")[:2] == (0, f"{chat} is called 'Taxes'\n")
    assert "Taxes" in run("list")[1]
    _, told, _ = run("history", chat, "--limit", "2")
    assert [line.partition(" ")[2] for line in told.splitlines()] == ["human (answered): two", "ai: two!"]
    assert run("show", chat)[1] == "> one\none!\n> two\ntwo!\n"
    assert [line["text"] for line in json_of(run, "show", chat)] == ["one", "one!", "two", "two!"]


def test_a_chat_is_stopped_reset_and_forked(run: Run, chat: str) -> None:
    first = json_of(run, "history", chat)[1]["id"]
    assert run("stop", chat)[1] == f"nothing ran or waited in {chat}\n"
    assert run("reset", chat)[1] == f"{chat} begins anew\n"
    assert [one["session_id"] for one in json_of(run, "reset", "--all-of", "ada")] == [chat]
    assert run("show", chat)[2].startswith("jobs: session ")
    new = run("fork", chat, "--at", str(first), "--title", "Other")[1].strip()
    assert run("show", new)[1] == "> one\none!\n"


def test_a_session_is_written_as_files_and_read_from_them(run: Run, chat: str, tmp_path: Path) -> None:
    told = json_of(run, "export", chat, "--to", str(tmp_path / "config"), "--cwd", str(tmp_path))
    assert told["resume"].endswith(f"claude --resume {told['claude_session_id']}")
    assert run("import", told["files"][0])[2].endswith("is here already: go on in that one\n")
    path = str(written(tmp_path, PROMPT, ANSWER))
    assert run("import", path, "--dry-run")[1] == "can be imported: 1 prompts, 2 entries, 0 subagents\n"
    new = json_of(run, "import", path)
    assert (new["claude_session_id"], new["prompts"]) == (ID, 1)
    assert run("show", ID)[1] == "> hello\nHi.\n"
    assert run("show", new["session_id"])[1] == "> hello\nHi.\n"


REFUSED = [
    (["show", "web_unknown"], "There is no chat 'web_unknown'"),
    (["history", "web_unknown"], "There is no chat 'web_unknown'"),
    (["rename", "web_unknown", "x"], "There is no chat 'web_unknown'"),
    (["rename", "web_unknown", "a\nb"], "title: holds a control character"),
    (["stop", "web_unknown"], "There is no chat 'web_unknown'"),
    (["reset", "web_unknown"], "There is no chat 'web_unknown'"),
    (["reset"], "name one session"),
    (["reset", "x", "--all-of", "ada"], "name one session"),
    (["fork", "web_unknown"], "There is no chat 'web_unknown'"),
    (["export", ID], f"Session {ID} holds nothing yet"),
    (["import", "/nowhere/x.jsonl"], "is no file of a session"),
    (["import", "FILE", "--user", "nobody"], "There is no user 'nobody'"),
    (["show", "\udcff"], "contains half of a surrogate pair"),
    (["list", "--user", "x" * 201], "201 characters, at most 200"),
]


def test_what_cannot_be_done_is_one_line(run: Run, tmp_path: Path) -> None:
    file = str(written(tmp_path, PROMPT))
    for arguments, says in REFUSED:
        status, out, err = run(*(file if argument == "FILE" else argument for argument in arguments))
        assert (status, out, err.count("\n")) == (1, "", 1), arguments
        assert says in err
