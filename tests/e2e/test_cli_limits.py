"""`./jobs limit` on a database that somebody else runs."""

import json
from typing import Any

import pytest

from tests.support.up import Home


def answer(home: Home, *arguments: str) -> Any:
    ran = home.run("limit", *arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_limit_is_set_listed_and_removed(home: Home) -> None:
    assert answer(home, "ls") == []
    (made,) = answer(home, "set", "project:acme", "--slots", "5")
    assert (made["key"], made["slots"], made["in_use"], made["rate_per_s"]) == ("project:acme", 5, 0, None)
    (rated,) = answer(home, "set", "api", "--rate", "120/m")
    assert (rated["slots"], rated["rate_per_s"], rated["burst"]) == (None, 2.0, 1.2)
    lines = home.run("limit", "ls").stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["api", "project"]
    assert lines[1] == "project:acme: 0 of 5 slots in use · 0 waiting"
    assert home.run("limit", "rm", "api").stdout == "removed: api\n"
    assert [limit["key"] for limit in answer(home, "ls")] == ["project:acme"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["set", "a"], 1, "neither --slots nor --rate is given"),
        (["set", "a", "--rate", "5"], 1, "--rate: '5' is not a rate; write 5/s, 100/m or 2000/h"),
        (["set", "a", "--rate", "nan/s"], 1, "limit.rate_per_s: nan is not a number"),
        (["set", "a", "--slots", "-1"], 1, "limit.slots: -1 is not an integer from 0"),
        (["set", "a", "--slots", "x"], 2, "Invalid value for '--slots'"),
        (["set", "", "--slots", "1"], 1, "limit.key: is empty"),
        (["rm", "a"], 1, "there is no limit 'a': ./jobs limit ls lists them"),
        (["nope"], 2, "No such command 'nope'"),
    ],
)
def test_what_cannot_be_done_is_one_line(home: Home, arguments: list[str], status: int, says: str) -> None:
    ran = home.run("limit", *arguments)
    assert (ran.returncode, ran.stdout) == (status, "")
    assert ran.stderr.startswith("jobs: ")
    assert ran.stderr.count("\n") == 1
    assert says in ran.stderr
