"""`./jobs hook`, in this process: what it says to each mistake is tested where that is noticed."""

import asyncio
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.app import app
from cli.table import build_table
from gateways.webhooks import events
from jobs_core import Connection, Database, Jobs, execute, fetch
from tests.support.webhooks import PLAIN_SECRET, hooks, post, sending, standard, told

Run = Callable[..., int]


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `./jobs hook` with these arguments; returns its exit status."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("JOBS_DATA", str(tmp_path))
    command = typer.main.get_command(app)

    def run_it(*arguments: str) -> int:
        return command.main(["hook", *arguments], prog_name="./jobs", standalone_mode=False) or 0

    return run_it


async def send(dsn: str, body: bytes, secret: str) -> dict[str, Any]:
    async with (
        Database(dsn, name="tests") as database,
        Jobs(database, build_table()) as jobs,
        sending(hooks(jobs)) as client,
    ):
        answer: dict[str, Any] = (await post(client, body, standard(body, secret=secret))).json()
        return answer


async def rows(dsn: str, sql: str) -> list[dict[str, Any]]:
    async with Database(dsn, name="tests") as database, database.connection() as conn:
        return await fetch(conn, sql)


def test_a_source_is_made_mended_and_its_failed_events_replayed(
    run: Run, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("add", "shop", "--job-type", "hello", "--input", '{"name": "length(body.n)"}', "--json")
    secret = json.loads(capsys.readouterr().out)["secret"]
    assert asyncio.run(send(database_url, told("Ada", n=1), secret))["result"] == "failed"
    run("change", "shop", "--filter", "body.n == `1`", "--input", '{"name": "body.text"}', "--cap", "0", "--json")
    changed = json.loads(capsys.readouterr().out)
    assert changed["mapping"] == {"filter": "body.n == `1`", "input": {"name": "body.text"}}
    assert changed["cap_per_minute"] is None
    assert run("replay", "--failed", "shop") == 0
    assert capsys.readouterr().out.startswith("event 1: created, job ")
    jobs = asyncio.run(rows(database_url, "SELECT input FROM jobs.jobs"))
    assert jobs == [{"input": {"name": "Ada"}}]
    (tmp_path / "event.json").write_bytes(told("Bob", n=2))
    assert run("try", "shop", "--body", str(tmp_path / "event.json"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["result"] == "ignored"
    run("deliveries", "shop", "--json")
    [event] = json.loads(capsys.readouterr().out)
    assert (event["result"], event["error"]) == ("created", None)
    run("delivery", "1")
    assert told("Ada", n=1).decode() in capsys.readouterr().out
    run("rotate", "shop", "--overlap", "2h", "--json")
    assert json.loads(capsys.readouterr().out)["secret"] != secret
    run("show", "shop")
    shown = capsys.readouterr().out
    assert shown.count("secret ") == 2
    assert secret not in shown
    run("rm", "shop")
    run("ls", "--json")
    assert capsys.readouterr().out.splitlines() == ["removed: shop", "[]"]


def test_of_failed_events_those_that_others_replay_meanwhile_do_not_stop_the_rest(
    run: Run, database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("add", "shop", "--job-type", "hello", "--input", '{"name": "length(body.n)"}', "--json")
    secret = json.loads(capsys.readouterr().out)["secret"]
    for n in range(3):
        asyncio.run(send(database_url, told(str(n), n=n), secret))
    run("change", "shop", "--input", '{"name": "body.text"}')
    listed = events.list_events

    async def beaten(conn: Connection, **asked: Any) -> Sequence[events.Received]:
        rows = await listed(conn, **asked)
        await execute(conn, f"DELETE FROM jobs.webhook_events WHERE id = {rows[0].id}")
        async with Database(database_url, name="tests") as database, Jobs(database, build_table()) as jobs:
            await events.replay(jobs, rows[2].id)
        return rows

    monkeypatch.setattr(events, "list_events", beaten)
    capsys.readouterr()
    assert run("replay", "--failed", "shop", "--json") == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == [2]
    assert len(asyncio.run(rows(database_url, "SELECT FROM jobs.jobs"))) == 2


def test_a_senders_own_secret_comes_by_stdin_and_is_not_repeated(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PLAIN_SECRET}\n"))
    run("add", "own", "--job-type", "hello", "--scheme", "hmac", "--setting", "header=X-Own", "--own-secret")
    said = capsys.readouterr()
    assert PLAIN_SECRET not in said.out + said.err
    kept = asyncio.run(rows(database_url, "SELECT secret FROM jobs.webhook_secrets"))
    assert kept == [{"secret": PLAIN_SECRET}]
