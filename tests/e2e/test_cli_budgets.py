"""`./jobs budget` and `./jobs provider` on a database that somebody else runs."""

import asyncio
import json
from typing import Any

import pytest

from jobs_core import db
from tests.support.up import Home

STOPPED = "UPDATE jobs.provider SET state = 'stopped', reason = 'the key is refused', until = now() + interval '3 min'"


def answer(home: Home, *arguments: str) -> Any:
    ran = home.run(*arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_cap_is_set_shown_raised_and_removed(home: Home) -> None:
    assert answer(home, "budget", "list") == []
    (made,) = answer(home, "budget", "set", "user:ada", "20", "--period", "month")
    assert (made["scope"], made["period"], made["cap_usd"], made["by_hand"]) == ("user:ada", "month", 20.0, True)
    (raised,) = answer(home, "budget", "raise", "user:ada", "--by", "0.50")
    assert (raised["cap_usd"], raised["raised_usd"]) == (20.0, 0.5)
    assert home.run("budget", "show", "user:ada").stdout == (
        "user:ada: $0.00 of $20.50 a month (raised by $0.50) spent\n"
    )
    assert home.run("budget", "set", "day", "none").stdout == "day: no cap a day\n"
    assert home.run("budget", "remove", "user:ada", "--period", "month").stdout == "removed: user:ada\n"
    assert [budget["scope"] for budget in answer(home, "budget", "list")] == ["day"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["budget", "set", "day", "much"], 1, "USD: 'much' is no amount of US dollars"),
        (["budget", "set", "day", "nan"], 1, "cap_usd: NaN is no amount"),
        (["budget", "set", "week", "1"], 1, "SCOPE: 'week' is none; write turn, job"),
        (["budget", "set", "user:a", "1", "--period", "week"], 1, "--period: 'week' is none"),
        (["budget", "raise", "day", "--by", "1"], 1, "no such cap is on day, so there is nothing to raise; set one"),
        (["budget", "raise", "day"], 2, "Missing option '--by'"),
        (["budget", "remove", "day"], 1, "no such cap is on day"),
        (["budget", "show", "user:a"], 1, "user:a has no cap of its own"),
        (["provider", "resume"], 1, "the provider is not paused"),
    ],
)
def test_what_cannot_be_done_is_one_line(home: Home, arguments: list[str], status: int, says: str) -> None:
    ran = home.run(*arguments)
    assert (ran.returncode, ran.stdout) == (status, "")
    assert ran.stderr.startswith("jobs: ")
    assert ran.stderr.count("\n") == 1
    assert says in ran.stderr


def test_the_provider_is_shown_and_resumed(home: Home, database_url: str) -> None:
    async def stop() -> None:
        async with await db.connect(database_url, name="tests") as conn:
            await db.execute(conn, STOPPED)

    assert home.run("provider", "show").stdout.endswith(": agents' jobs run\n")
    asyncio.run(stop())
    assert ", a job tries it in " in (shown := home.run("provider", "show").stdout)
    assert shown.endswith(": the key is refused\n")
    assert home.run("provider", "resume").stdout.startswith("one job tries now")
    assert answer(home, "provider", "show")["tries_in_s"] == 0.0
