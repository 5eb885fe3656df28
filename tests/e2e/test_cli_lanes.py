"""`./jobs lane` on a database that somebody else runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.database import run_sql
from tests.support.up import Home


@pytest.fixture
def home(tmp_path: Path, database_url: str) -> Home:
    """A folder whose commands find a fresh database."""
    home = Home(tmp_path)
    home._environment["DATABASE_URL"] = database_url
    return home


def json_of(home: Home, *arguments: str) -> Any:
    return json.loads(home.run("lane", *arguments, "--json").stdout)


def test_a_lane_is_held_listed_and_released(home: Home, database_url: str) -> None:
    run_sql(
        database_url,
        "INSERT INTO jobs.lanes (lane, next_pos, head_pos) VALUES ('turn:7', 2, 1)",
        "INSERT INTO jobs.jobs (job_type, queue, priority, state, input, lane, lane_pos, ready_seq) "
        "VALUES ('hello', 'default', 2, 'pending', '{}', 'turn:7', 1, 1)",
    )
    held = home.run("lane", "hold", "turn:7", "--reason", "it\x1b[2J moves")
    assert (held.returncode, held.stderr) == (0, "")
    assert held.stdout.startswith("turn:7: 1 job, first 1 (blocked) · held since ")
    assert held.stdout.endswith(": it\N{REPLACEMENT CHARACTER}[2J moves\n")
    assert home.run("lane", "show", "turn:7").stdout == held.stdout
    assert home.run("lane", "ls", "--held").stdout == held.stdout
    (one,) = json_of(home, "ls")
    assert "@" in one["held_by"]
    assert (one["lane"], one["jobs"], one["failed_job"]) == ("turn:7", 1, None)
    refused = home.run("lane", "release", "turn:7", "--redrive")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "no job failed that could be redriven" in refused.stderr
    assert home.run("lane", "release", "turn:7").stdout == "lane turn:7 is released\n"
    assert json_of(home, "show", "turn:7")["first_state"] == "pending"
    assert home.run("lane", "ls", "--held").stdout == ""


def test_a_lane_that_nobody_uses_is_held_and_told(home: Home) -> None:
    held = home.run("lane", "hold", "turn:8")
    assert (held.returncode, held.stderr) == (0, "jobs: no job stands in lane turn:8: see that it is spelt right\n")
    assert json_of(home, "release", "turn:8")["ready"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lane", "release", "turn:7"], "jobs: lane 'turn:7' is not held: ./jobs lane ls --held lists what is"),
        (["lane", "show", "turn:7"], "jobs: no job ever stood in a lane 'turn:7': ./jobs lane ls lists lanes"),
        (["lane", "hold", "x" * 201], "jobs: lane: 201 characters, at most 200 are allowed"),
        (["lane", "hold", ""], "jobs: lane: is empty; give a name"),
    ],
)
def test_what_cannot_be_done_is_one_line(home: Home, arguments: list[str], said: str) -> None:
    ran = home.run(*arguments)
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", f"{said}\n")
