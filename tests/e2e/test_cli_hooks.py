"""`./jobs hook` on a database that somebody else runs."""

import json
from pathlib import Path

from cli.table import build_table
from jobs_core import Database, Jobs, fetch
from tests.support.up import Home
from tests.support.web import door
from tests.support.webhooks import PLAIN_SECRET, post, sending, standard, told


async def test_a_source_is_made_mended_and_its_failed_events_replayed(
    home: Home, database: Database, tmp_path: Path
) -> None:
    made = home.run("hook", "add", "shop", "--job-type", "hello", "--input", '{"name": "length(body.n)"}', "--json")
    assert made.returncode == 0, made.stderr
    secret = json.loads(made.stdout)["secret"]
    body = told("Ada", n=1)
    async with Jobs(database, build_table()) as jobs, sending(door(jobs)) as client:
        answer = await post(client, body, standard(body, secret=secret))
    assert answer.json()["result"] == "failed"
    mended = home.run(
        "hook", "change", "shop", "--filter", "body.n == `1`", "--input", '{"name": "body.text"}', "--json"
    )
    assert json.loads(mended.stdout)["mapping"] == {"filter": "body.n == `1`", "input": {"name": "body.text"}}
    replayed = home.run("hook", "replay", "--failed", "shop")
    assert (replayed.returncode, replayed.stdout.split()[2]) == (0, "created,")
    async with database.connection() as conn:
        assert await fetch(conn, "SELECT input FROM jobs.jobs") == [{"input": {"name": "Ada"}}]
    (tmp_path / "event.json").write_bytes(told("Bob", n=2))
    tried = home.run("hook", "try", "shop", "--body", str(tmp_path / "event.json"), "--json")
    assert json.loads(tried.stdout)["result"] == "ignored"


async def test_a_senders_own_secret_comes_by_stdin_and_is_not_repeated(home: Home, database: Database) -> None:
    options = ("--job-type", "hello", "--scheme", "hmac", "--setting", "header=X-Own")
    made = home.run("hook", "add", "own", *options, "--own-secret", stdin=f"{PLAIN_SECRET}\n")
    assert made.returncode == 0, made.stderr
    assert PLAIN_SECRET not in made.stdout + made.stderr
    async with database.connection() as conn:
        assert await fetch(conn, "SELECT secret FROM jobs.webhook_secrets") == [{"secret": PLAIN_SECRET}]
