"""`./jobs approvals` on a database that somebody else runs."""

import json
from typing import Any

from jobs_core import Database, execute
from sessions import ToolCall
from tests.support.approvals import Bench, bench_on
from tests.support.up import Home

HIDING = {"command": "echo \u202eyes\u202c \x1b[2K\nrm -r /\x7f привет" + "x" * 5_000}


async def test_a_call_is_shown_as_it_will_run_and_decided_once(home: Home, database: Database) -> None:
    """With nothing in it that a terminal would obey; what is cut says so."""
    async with database.connection() as conn, bench_on(database, conn) as bench:
        bench.agent.call = ToolCall("toolu_1", "Bash", HIDING)
        action = await bench.asked()
        number = str(action.id)
        shown = home.run("approvals", "show", number)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert r'{"command": "echo \u202eyes\u202c \u001b[2K\nrm -r /\u007f привет' in shown.stdout
        assert "characters more: --json shows all" in shown.stdout
        assert f"digest         {action.digest}\n" in shown.stdout
        assert "tools: none; no files or addresses" in shown.stdout
        assert not set("\x1b\u202e\u202c\x7f") & set(shown.stdout)
        assert json_of(home, "show", number)["arguments"] == action.arguments
        refused = home.run("approvals", "approve", number, "--digest", "0" * 64)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "look at it again before you decide" in refused.stderr
        edited = home.run("approvals", "approve", number, "--edit", '{"command": "ls"}')
        assert edited.stdout.startswith(f"{number}: approved by ")
        assert edited.stdout.endswith(' · Bash {"command": "ls"}\n')
        late = home.run("approvals", "reject", number, "--reason", "no")
        assert (late.returncode, late.stderr.count("\n")) == (1, 1)
        assert f"Action {number} is approved by " in late.stderr
        assert await bench.run() == "complete"
        assert bench.agent.ran == [{"command": "ls"}]
        assert home.run("approvals", "ls").stdout == "nothing waits for a decision\n"
        assert [one["state"] for one in json_of(home, "ls", "--all")] == ["executed"]


async def test_a_call_of_which_nobody_knows_is_closed(home: Home, database: Database) -> None:
    async with database.connection() as conn, bench_on(database, conn) as bench:
        action = await bench.asked()
        await bench.jobs.cancel(action.job_id)
        await execute(conn, "UPDATE jobs.pending_actions SET state = 'unknown'")
        closed = home.run("approvals", "close", str(action.id), "--as", "not-run", "--reason", "build is there")
        assert closed.stdout == f'{action.id}: cancelled · Bash {{"command": "rm -r build"}}\n'
        late = home.run("approvals", "close", str(action.id), "--as", "ran")
        assert (late.returncode, late.stderr.count("\n")) == (1, 1)
        assert f"Action {action.id} is cancelled" in late.stderr
        assert (await bench.action()).reason.endswith("said that it did not run: build is there")  # type: ignore[union-attr]  # it has one


async def test_what_is_always_allowed_is_listed_and_revoked(home: Home, database: Database) -> None:
    async with database.connection() as conn, bench_on(database, conn) as bench:
        await approve_always(home, bench)
    (one,) = json_of(home, "always")
    assert home.run("approvals", "always").stdout.startswith(f'{one["id"]}: Bash {{"command": "rm -r build"}} · for u_')
    assert home.run("approvals", "revoke", str(one["id"])).stdout == f"revoked: {one['id']}\n"
    assert home.run("approvals", "revoke", str(one["id"])).returncode == 1


async def approve_always(home: Home, bench: Bench) -> None:
    action = await bench.asked()
    assert home.run("approvals", "approve", str(action.id), "--always").returncode == 0


def json_of(home: Home, *arguments: str) -> Any:
    return json.loads(home.run("approvals", *arguments, "--json").stdout)
