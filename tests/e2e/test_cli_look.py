"""`./jobs ls` and `./jobs show` on a database that somebody else runs."""

import json
from pathlib import Path

import pytest

from tests.support.database import fresh_database, rows_of, run_sql
from tests.support.up import Home

THREE_JOBS = (
    """INSERT INTO jobs.history (id, job_type, queue, priority, state, input, error, user_id, lane, unique_key, retry_count,
                                  lost_count, created_at, ended_at)
       VALUES (1, 'mail', 'slow', 2, 'failed', '{"to": "\u202eada"}', E'it \x1b[2J broke\nstate complete', 'ada', 'l', 'k', 1,
               0, now() - interval '2 days', now() - interval '1 day')""",
    """INSERT INTO jobs.attempts (job_id, token, worker_id, reason, error, alone, ended_at)
       VALUES (1, 4, 17, 'error', E'first\ntry', false, now() - interval '25 hours'), (1, 5, 18, 'lost', NULL, true, now())""",
    """INSERT INTO jobs.jobs (id, job_type, queue, priority, state, input, ready_seq)
       VALUES (2, 'note', 'default', 2, 'pending', '{}', 1), (3, 'note', 'default', 2, 'pending', '{}', 2)""",
    """INSERT INTO jobs.ended_counts
       VALUES ('2030-01-31', 'mail', 'complete', 1, 5), ('2030-01-31', 'mail', 'complete', 2, 7)""",
)


@pytest.fixture
def home(home: Home, database_url: str) -> Home:
    """A folder whose commands find the three jobs."""
    run_sql(database_url, *THREE_JOBS)
    return home


def test_jobs_are_listed_by_what_is_asked_for(home: Home) -> None:
    def ids(*options: str) -> list[int]:
        return [job["id"] for job in home.json("ls", *options)]

    assert ids() == [3, 2, 1]
    assert ids("--type", "mail", "--queue", "slow", "--user", "ada", "--lane", "l", "--state", "failed") == [1]
    assert ids("--since", "25h", "--until", "23h") == [1]
    assert ids("--since", "1h", "--before", "3") == [2]


def test_people_see_a_table_without_anything_that_a_terminal_would_obey(home: Home) -> None:
    headings, *rows = home.run("ls").stdout.splitlines()
    assert headings.split() == ["id", "type", "queue", "state", "retries", "ended/created", "(UTC)", "error"]
    assert [row.split()[0] for row in rows] == ["3", "2", "1"]
    assert rows[2].rstrip().endswith("it \N{REPLACEMENT CHARACTER}[2J broke state complete")


def test_one_job_is_shown_with_its_attempts(home: Home) -> None:
    shown = home.run("show", "1").stdout
    fields = [line for line in shown.splitlines() if not line.startswith(("attempt", " "))]
    lines = dict(line.split(maxsplit=1) for line in fields)
    assert f"\n{'':15}state complete\n" in shown
    assert (lines["unique_key"], lines["retention"], lines["state"]) == ("k", "standard", "failed")
    assert lines["input"] == '{"to": "\N{REPLACEMENT CHARACTER}ada"}'
    first, second = (line.split(maxsplit=3)[3] for line in shown.splitlines() if line.startswith("attempt"))
    assert (first, second) == ("error, worker 17: first try", "lost, worker 18, alone")
    attempts = json.loads(home.run("show", "1", "--json").stdout)["attempts"]
    assert [(attempt["token"], attempt["reason"]) for attempt in attempts] == [(4, "error"), (5, "lost")]


def test_a_job_that_is_not_there_is_said_so_with_what_to_do(home: Home) -> None:
    missing = home.run("show", "4")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("jobs: there is no job 4, or its type keeps no history: ./jobs ls")
    assert missing.stderr.count("\n") == 1


def test_those_that_left_no_history_are_counted(home: Home) -> None:
    assert home.json("ls", "--ended-counts", "--type", "mail") == [
        {"day": "2030-01-31", "job_type": "mail", "state": "complete", "n": 12}
    ]
    assert home.run("ls", "--ended-counts").stdout.splitlines()[1].split() == ["2030-01-31", "mail", "complete", "12"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--state", "done"], "'done' is no state; choose one of pending, "),
        (["--type", "x" * 201], "--type: 201 characters, at most 200 are allowed"),
        (["--user", "\udcff"], "--user: contains half of a surrogate pair"),
        (["--since", ""], "--since: '' is not a time"),
        (["--since", "yesterday"], "--since: 'yesterday' is not a time; write for example "),
        (["--since", "2030-01-01T00:00"], "--since: '2030-01-01T00:00' has no time zone"),
        (["--since", "999999d"], "--since: '999999d' is more than a hundred years ago"),
        (
            ["--until", "0001-01-01T00:00+14:00"],
            "--until: '0001-01-01T00:00+14:00' is not between the years 2000 and 2199",
        ),
        (["--since", "1h", "--until", "2h"], "is not before --until"),
        (["--before", "0"], "--before"),
        (["--before", "9223372036854775808"], "--before"),
        (["--limit", "1001"], "--limit"),
        (["--ended-counts", "--lane", "l"], "--ended-counts knows days, types and states only"),
    ],
)
def test_a_filter_that_does_not_fit_is_one_line_that_names_it(tmp_path: Path, options: list[str], said: str) -> None:
    """Before any database is looked for."""
    refused = Home(tmp_path).run("ls", *options)
    assert refused.returncode in {1, 2}
    assert (refused.stdout, refused.stderr.count("\n"), "Traceback" in refused.stderr) == ("", 1, False)
    assert said in refused.stderr


def test_a_migration_makes_the_days_of_history_in_a_schema_of_any_name(tmp_path: Path, server_dsn: str) -> None:
    with fresh_database(server_dsn, template="template0") as dsn:
        home = Home(tmp_path)
        for _ in range(2):  # with something to apply, and without
            ran = home.run("migrate", DATABASE_URL=dsn, JOBS_SCHEMA="order")
            assert (ran.returncode, ran.stderr) == (0, "")
        days = rows_of(
            dsn, """SELECT FROM pg_class WHERE relnamespace = '"order"'::regnamespace AND relname ~ '_[0-9]{8}$'"""
        )
    assert len(days) == 5 * 8


def test_a_day_that_a_migration_cannot_make_is_said_so_and_stops_nothing(tmp_path: Path, database_url: str) -> None:
    run_sql(database_url, "INSERT INTO jobs.attempts (job_id, token, reason, alone) VALUES (1, 1, 'error', false)")
    ran = Home(tmp_path).run("migrate", "--json", DATABASE_URL=database_url)
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"applied": []})
    assert ran.stderr.startswith("jobs: history's partition attempts_")
    assert "rows of that day lie in the default partition" in ran.stderr
