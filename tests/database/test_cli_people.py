"""`./jobs agent` and `./jobs user` on a database that somebody else runs; in this process, as a start takes a second of CPU."""

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assistant import held, people
from assistant.held import Stranger
from cli.app import main
from jobs_core import db


@dataclass
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture
def command(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command on a fresh database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("JOBS_DATA", str(tmp_path / "data"))

    def run(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr("sys.argv", ["jobs", *arguments])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        status = main()
        said = capsys.readouterr()
        return Ran(status, said.out, said.err)

    return run


def answer(command: Command, *arguments: str, stdin: str = "") -> Any:
    ran = command(*arguments, "--json", stdin=stdin)
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


def test_an_agent_is_added_edited_after_a_look_at_what_would_change_and_put_back(
    command: Command, tmp_path: Path
) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Review what {owner} sends.\n")
    given = ["--set", f"owner_prompt=@{prompt}", "--set", 'tools=["Read"]', "--set", "model=claude-opus-5"]
    made = answer(command, "agent", "add", "reviewer", *given)
    assert (made["owner_prompt"], made["tools"]) == ("Review what {owner} sends.", ["Read"])

    change = ["agent", "edit", "reviewer", "--set", "model=", "--set", 'limits={"max_turns": 9}']
    would = command(*change, "--dry-run")
    assert would.out.splitlines() == [
        'model: "claude-opus-5" → the default',
        'limits: {"max_turns": null} → {"max_turns": 9}',
    ]
    assert would.err == "not written: leave out --dry-run to do it\n"
    assert answer(command, "agent", "show", "reviewer") == made

    assert command(*change).out == would.out
    shown = answer(command, "agent", "show", "reviewer")
    assert (shown["model"], shown["limits"]) == (None, {"max_turns": 9})
    assert command(*change).out == "nothing changes\n"

    back = answer(command, "agent", "edit", "reviewer", "--from", "-", stdin=json.dumps(made))
    assert (back["after"], back["written"]) == (made, True)
    assert command("agent", "list").out.splitlines() == [
        "assistant: the default model · Read, Glob, Grep, Write, Edit",
        "reviewer: claude-opus-5 · Read",
    ]


def test_a_secret_is_in_no_output_and_that_it_changed_is_told(command: Command) -> None:
    server = '{{"notes": {{"command": "notes", "env": {{"TOKEN": "{}"}}}}}}'
    edit = ["agent", "edit", "assistant", "--set"]
    ran = [
        command(*edit, f"mcp_servers={server.format('hidden')}"),
        command(*edit, f"mcp_servers={server.format('also hidden')}"),
        command("agent", "show", "assistant"),
        command("agent", "show", "assistant", "--json"),
        command("agent", "list", "--json"),
    ]
    assert "hidden" not in str(ran)
    assert ran[1].out == "mcp_servers: a secret value\n"


def test_a_person_is_announced_found_made_owner_and_forgotten(command: Command, database_url: str) -> None:
    async def make() -> str:
        async with await db.connect(database_url, name="tests") as conn:
            return (await people.owner(conn)).id

    ada = asyncio.run(make())
    (listed,) = answer(command, "user", "list", "--role", "owner")
    assert (listed["id"], listed["role"]) == (ada, "owner")
    (linked,) = answer(command, "user", "link", "telegram", "4711", ada)
    assert linked["tg_user_id"] == 4711
    assert [one["user"]["id"] for one in answer(command, "user", "find", "onwer")] == [ada]
    assert command("user", "find", "onwer").out.startswith(f"{ada}  owner  owner  last seen ")
    shown = command("user", "show", ada).out.splitlines()
    assert [line.split(",")[0] for line in shown[1:]] == ["  telegram 4711", "  web token"]
    assert answer(command, "user", "show", ada)["channels"][0]["address"] == "4711"
    assert "is the only owner" in command("user", "role", ada, "external").err
    assert answer(command, "user", "role", ada, "owner")[0]["id"] == ada
    assert answer(command, "user", "unlink", "telegram", "4711")[0]["tg_user_id"] is None


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["agent", "show", "nobody"], 1, "There is no agent 'nobody': ./jobs agent list lists them"),
        (["agent", "add", "Bad Name"], 1, "'Bad Name' is no agent's name"),
        (["agent", "add", "assistant"], 1, "There is an agent 'assistant' already"),
        (["agent", "edit", "nobody"], 1, "There is no agent 'nobody'"),
        (["agent", "edit", "assistant", "--set", "model"], 1, "--set: 'model' is not NAME=VALUE"),
        (["agent", "edit", "assistant", "--set", "model=-p"], 1, "agent.model: "),
        (["agent", "edit", "assistant", "--set", "tools=Read"], 1, "--set tools: not JSON"),
        (["agent", "edit", "assistant", "--set", "tool=[]"], 1, "agent.tool: Extra inputs are not permitted"),
        (["agent", "edit", "assistant", "--set", "owner_prompt=\udcff"], 1, "half of a surrogate pair"),
        (["agent", "edit", "assistant", "--from", "/nowhere"], 1, "/nowhere: No such file"),
        (["agent", "edit", "assistant", "--from", "-"], 1, "--from: not JSON"),
        (["user", "show", "u_nobody"], 1, "There is no user 'u_nobody'"),
        (["user", "show", "\udcff"], 1, "half of a surrogate pair"),
        (["user", "find", ""], 1, "text: is empty"),
        (["user", "list", "--role", "king"], 2, "'king' is no role"),
        (["user", "role", "u_nobody", "owner"], 1, "There is no user 'u_nobody'"),
        (["user", "link", "telegram", "1", "u_nobody"], 1, "There is no user 'u_nobody'"),
        (["user", "unlink", "telegram", "1"], 1, "Nobody is known by telegram 1"),
    ],
)
def test_what_cannot_be_done_is_one_line(command: Command, arguments: list[str], status: int, says: str) -> None:
    ran = command(*arguments)
    assert (ran.status, ran.out) == (status, ""), ran.err
    assert ran.err.startswith("jobs: ")
    assert ran.err.count("\n") == 1
    assert says in ran.err


def test_strangers_are_listed_and_heard_denied_or_blocked(command: Command, database_url: str) -> None:
    async def come() -> str:
        async with await db.connect(database_url, name="tests") as conn, conn.transaction():
            eve = await people.contact(conn, "telegram", "666", name="Eve", tg_user_id=666)
            await held.hold(conn, eve, Stranger("666", "telegram_666", "hello"), hold_unknown=True)
            return eve.id

    eve = asyncio.run(come())
    assert [one["id"] for one in answer(command, "user", "list", "--admission", "held")] == [eve]
    allowed = answer(command, "user", "allow", eve)
    assert (allowed["admission"], allowed["taken"]) == ("allowed", 1)
    assert f"{eve}  Eve: Blocked." in command("user", "block", eve).out
    assert "Eve  blocked  last seen" in command("user", "list").out
    assert answer(command, "user", "deny", eve)["admission"] == "denied"
    assert command("user", "list", "--admission", "nice").status == 2
    assert "There is no user" in command("user", "allow", "u_0").err


def test_a_pairing_code_is_told_once(command: Command) -> None:
    assert len(answer(command, "user", "pair")["code"]) == 12
    said = command("user", "pair").out
    assert said.startswith("/start ")
    assert "Show it to nobody" in said
