"""`./jobs task` and `./jobs deliveries` on a database that somebody else runs."""

import json

import pytest

from tests.support.database import run_sql
from tests.support.tool_calls import THEY_ARE_KNOWN
from tests.support.up import Home


def test_a_task_is_added_edited_shown_and_listed(home: Home, database_url: str) -> None:
    run_sql(database_url, THEY_ARE_KNOWN)
    given = ["--assignee", "ada", "--deadline", "2030-01-31T09:00+01:00", "--context", "Ask\nfor Eve \x1b[2J"]
    added = home.run("task", "add", "Call the bank", *given, "--json")
    assert (added.returncode, added.stderr) == (0, "")
    made = json.loads(added.stdout)
    assert (made["id"], made["status"], made["deadline"]) == (1, "open", "2030-01-31T08:00:00+00:00")
    edited = home.run("task", "edit", "1", "--status", "waiting", "--clear", "deadline", "--if-version", "1")
    assert "status           waiting\n" in edited.stdout
    assert "deadline" not in edited.stdout
    assert f"context          Ask\n{'':17}for Eve \N{REPLACEMENT CHARACTER}[2J\n" in edited.stdout
    assert home.run("task", "show", "1").stdout == edited.stdout
    listed = home.run("task", "list", "--assignee", "ada").stdout.splitlines()
    assert listed[1].split() == ["1", "waiting", "task", "ada", "Call", "the", "bank"]


def test_what_is_owed_is_listed_and_sent_again(home: Home, database_url: str) -> None:
    run_sql(
        database_url,
        "INSERT INTO jobs.deliveries (owed_for, kind, payload, random_id) "
        "VALUES ('turn:1', 'answer', '{\"text\": \"Hi.\"}', 9007199254740993), ('turn:2', 'answer', '{\"text\": \"Yo.\"}', 7)",
        "UPDATE jobs.deliveries SET state = 'unknown', said = 'cut \x1b[2J', channel = 'telegram' WHERE owed_for = 'turn:2'",
    )
    (owed,) = json.loads(home.run("deliveries", "ls", "--state", "owed", "--json").stdout)
    assert (owed["random_id"], owed["payload"]) == ("9007199254740993", {"text": "Hi."})
    shown = home.run("deliveries", "show", "2").stdout
    assert "said          cut \N{REPLACEMENT CHARACTER}[2J\n" in shown
    assert shown.endswith("\n\nYo.\n")
    assert json.loads(home.run("deliveries", "retry", "2", "--json").stdout) == {"owed": 2, "ready": True}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["task", "show", "7"], 1, "jobs: There is no task 7: list the tasks to see which there are\n"),
        (["task", "edit", "7"], 2, "jobs: Invalid value: nothing is to be changed"),
        (["deliveries", "retry", "7"], 1, "jobs: There is no delivery 7: ./jobs deliveries ls lists them\n"),
    ],
)
def test_what_cannot_be_done_is_one_line(home: Home, arguments: list[str], status: int, said: str) -> None:
    ran = home.run(*arguments)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (status, "", 1)
    assert ran.stderr.startswith(said)
