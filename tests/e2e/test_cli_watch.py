"""`./jobs watch`, and what `./jobs show` tells of what runs said, on a database that somebody else runs."""

import json

import pytest

from tests.support.database import rows_of, run_sql
from tests.support.processes import until
from tests.support.up import Home

JOBS = (
    """INSERT INTO jobs.history (id, job_type, queue, priority, state, input, error, retry_count, lost_count, token, worker_id,
                                  created_at, claimed_at, started_at, ended_at)
       VALUES (1, 'mail', 'slow', 2, 'failed', '{}', 'no such box', 0, 0, 4, 7, '2030-01-31 09:00Z', '2030-01-31 09:01Z',
               '2030-01-31 09:02Z', '2030-01-31 09:05Z')""",
    """INSERT INTO jobs.jobs (id, job_type, queue, priority, state, input, token, worker_id, claimed_at, started_at)
       VALUES (2, 'mail', 'slow', 2, 'running', '{}', 5, 7, now(), now())""",
    """INSERT INTO jobs.notes (job_id, kind, n, token, text, data, said_at)
       VALUES (1, 'log', 3, 4, E'knocked \x1b[2J\nended complete', '{"times": 2}', '2030-01-31 09:03Z'),
              (1, 'progress', 1, 4, 'at the door', '{"fraction": 0.5}', '2030-01-31 09:04Z')""",
)
END = """WITH ended AS (DELETE FROM jobs.jobs WHERE id = 2 RETURNING *)
    INSERT INTO jobs.history (id, job_type, queue, priority, state, input, retry_count, lost_count, created_at, token)
    SELECT id, job_type, queue, priority, 'complete', input, 0, 0, created_at, token FROM ended"""
WATCHED = """\
2030-01-31 09:00:00 created   mail on queue slow
2030-01-31 09:01:00 claimed   by worker 7
2030-01-31 09:02:00 started   on worker 7
2030-01-31 09:03:00 dropped   2 lines before this one
2030-01-31 09:03:00 log       knocked \N{REPLACEMENT CHARACTER}[2J
                              ended complete {"times": 2}
2030-01-31 09:04:00 progress  50 %, at the door
2030-01-31 09:05:00 ended     failed: no such box
"""


@pytest.fixture
def home(home: Home, database_url: str) -> Home:
    """A folder whose commands find the two jobs: one that failed, and one that runs."""
    run_sql(database_url, *JOBS)
    return home


def test_what_happened_to_a_job_is_printed_and_its_failure_is_the_exit_status(home: Home) -> None:
    """No line of a text looks like an event, and a terminal obeys nothing in it."""
    watched = home.run("watch", "1")
    assert (watched.returncode, watched.stdout, watched.stderr) == (1, WATCHED, "")


def test_a_job_is_followed_to_its_end(home: Home, database_url: str) -> None:
    with home.start("watch", "2", "--json") as watching:
        assert watching.process.stdout
        first = json.loads(watching.process.stdout.readline())
        assert (first["kind"], first["text"]) == ("created", "mail on queue slow")
        run_sql(
            database_url,
            "INSERT INTO jobs.notes (job_id, kind, n, token, text, said_at) VALUES (2, 'log', 1, 5, 'hello', now())",
        )
        events = [json.loads(watching.process.stdout.readline()) for _ in range(3)]
        assert [event["kind"] for event in events] == ["claimed", "started", "log"]
        run_sql(database_url, END)
        last = json.loads(watching.process.stdout.readline())
        assert (last["kind"], last["about"]) == ("ended", {"state": "complete", "error": None})
        assert watching.process.wait(60) == 0
    rest = home.run("watch", "2", "--json", "--after", events[1]["id"])
    assert [json.loads(line)["kind"] for line in rest.stdout.splitlines()] == ["log", "ended"]


def test_a_database_that_comes_back_is_watched_on(home: Home, database_url: str) -> None:
    with home.start("watch", "2") as watching:
        assert watching.process.stdout
        assert b"created" in watching.process.stdout.readline()
        run_sql(
            database_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'jobs command%'",
        )
        until(lambda: rows_of(database_url, WATCHERS) != [], "it looks again", 60)
        run_sql(database_url, END)
        assert watching.process.wait(60) == 0


WATCHERS = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'jobs command%'"


def test_a_job_is_shown_with_what_it_said_last(home: Home) -> None:
    shown = home.run("show", "1").stdout.splitlines()
    assert [line for line in shown if line.startswith(("progress", "log"))] == [
        "progress       2030-01-31 09:04:00 50 %, at the door",
        'log            2030-01-31 09:03:00 knocked \N{REPLACEMENT CHARACTER}[2J ended complete {"times": 2}',
    ]
    told = json.loads(home.run("show", "1", "--json").stdout)
    assert (told["progress"]["data"], [line["n"] for line in told["log"]]) == ({"fraction": 0.5}, [3])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["4"], "there is no job 4, or its type keeps no history"),
        (["1", "--after", "x"], "--after: is no id of an event"),
        (["0"], "ID"),
    ],
)
def test_what_cannot_be_watched_is_one_line(home: Home, arguments: list[str], said: str) -> None:
    refused = home.run("watch", *arguments)
    assert refused.returncode in {1, 2}
    assert (refused.stdout, refused.stderr.count("\n")) == ("", 1)
    assert said in refused.stderr
