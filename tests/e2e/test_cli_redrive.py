"""`./jobs redrive` and `./jobs prune` on a database that somebody else runs."""

import json
from pathlib import Path

import pytest

from tests.database.test_schema import rows_of
from tests.support.database import run_sql
from tests.support.up import Home

DEAD = """
INSERT INTO jobs.history (id, job_type, queue, priority, state, input, error, user_id, retry_count, lost_count, created_at,
                          ended_at)
SELECT nextval('jobs.job_id_seq'), 'hello', 'default', 2, state, '{"name": "Ada"}', error, 'ada', 0, 0,
       now() - interval '2 days', now() - days * interval '1 day'
FROM (VALUES ('failed', E'no answer from 10.0.0.7\\nfor 1 s\\x1b[2J', 1.0), ('failed', 'no answer from 10.0.0.8', 0.5),
             ('cancelled', NULL, 0.4), ('complete', NULL, 0.3)) AS ended (state, error, days)
"""


@pytest.fixture
def home(home: Home, database_url: str) -> Home:
    """A folder whose commands find two jobs that failed, one that was cancelled and one that completed: 1 to 4."""
    run_sql(database_url, DEAD)
    return home


def test_a_redrive_is_previewed_and_then_done_once(home: Home, database_url: str) -> None:
    told = home.run("redrive", "--type", "hello")
    assert (told.returncode, told.stderr) == (0, "\nNothing was changed: add --go to redrive them.\n")
    lines = [line.split() for line in told.stdout.splitlines()]
    assert told.stdout.startswith("2 jobs would be redriven\n")
    assert ["2", "hello", "0"] in lines
    assert "2     hello  no answer from #.#.#.#" in told.stdout
    assert "\x1b" not in told.stdout
    assert [line[0] for line in lines[-2:]] == ["1", "2"]
    assert rows_of(database_url, "SELECT FROM jobs.jobs") == []

    done = home.run("redrive", "--type", "hello", "--go")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 jobs redriven, 0 left as they are\n", "2 redriven\n")
    again = home.run("redrive", "1", "3", "9", "--go")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.splitlines() == [
        "job 1 was already redriven as job 5",
        "job 3 is cancelled: that is not what was asked for",
        "there is no job 9, or history keeps it no longer",
        "0 jobs redriven, 3 left as they are",
    ]
    assert home.run("redrive").stdout == "0 jobs would be redriven; 2 more were redriven before (--again)\n"
    assert "retry_of       1\n" in home.run("show", "5").stdout
    assert "redriven_as    5\n" in home.run("show", "1").stdout


def test_a_redrive_tells_machines_what_became_of_each(home: Home) -> None:
    told = home.json("redrive", "--cancelled", "--user", "ada")
    assert (told["jobs"], told["redriven_before"], [job["id"] for job in told["examples"]]) == (3, 0, [1, 2, 3])
    first = home.json("redrive", "--cancelled", "--user", "ada", "--limit", "1", "--go")
    assert first == {"redriven": [{"id": 5, "retry_of": 1}], "left": []}
    rest = home.json("redrive", "1", "2", "3", "--cancelled", "--rate", "100", "--go")
    assert rest["redriven"] == [{"id": 6, "retry_of": 2}, {"id": 7, "retry_of": 3}]
    assert rest["left"] == [{"id": 1, "why": "redriven", "by": 5, "detail": None}]
    assert home.json("redrive", "1", "--again", "--go")["redriven"] == [{"id": 8, "retry_of": 1}]


def test_history_is_pruned_after_a_preview(home: Home, database_url: str) -> None:
    def ids() -> list[int]:
        return [row["id"] for row in rows_of(database_url, "SELECT id FROM jobs.history ORDER BY id")]

    told = home.run("prune", "--state", "failed", "--before", "18h")
    assert (told.returncode, told.stderr) == (0, "Nothing was changed: add --go to delete them.\n")
    assert told.stdout.splitlines()[-1].startswith("1 jobs, 0.")
    found = home.json("prune", "--state", "failed", "--before", "18h")
    (part,) = found["parts"]
    assert (found["rows"], part["table"], part["day"], part["whole"], part["rows"]) == (
        1,
        "history_standard",
        None,
        False,
        1,
    )
    assert ids() == [1, 2, 3, 4]

    done = home.run("prune", "--state", "failed", "--before", "18h", "--go")
    assert (done.returncode, done.stderr) == (0, "1 jobs deleted, now of history_standard_default\n")
    assert done.stdout.startswith("1 jobs deleted, 0 whole days among them\n")
    assert ids() == [2, 3, 4]
    answer = home.json("prune", "--class", "standard", "--class", "short", "--go")
    assert (answer["rows"], answer["days"], answer["why_not"]) == (3, [], None)
    assert ids() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["redrive", "--go"], "--go needs ids or a filter"),
        (["redrive", "--go", "--again", "--cancelled"], "--go needs ids or a filter"),
        (["redrive", "1", "--type", "mail"], "give ids, 1000 at most, or filters, not both"),
        (["redrive", "0"], "ID"),
        (["redrive", "--rate", "0", "--type", "x"], "--rate"),
        (["redrive", "--user", "x" * 201], "--user: 201 characters, at most 200 are allowed"),
        (["redrive", "--since", "1h", "--until", "2h"], "is not before --until"),
        (["prune", "--go"], "--go needs a filter"),
        (["prune", "--class", "none"], "'none' is no retention class that keeps history; choose short, standard, long"),
        (["prune", "--state", "running"], "'running' is no state; choose one of complete, failed, cancelled"),
        (["prune", "--before", "yesterday"], "--before: 'yesterday' is not a time"),
        (["prune", "--type", "a" * 201], "--type: 201 characters"),
    ],
)
def test_what_does_not_fit_is_one_line_before_any_database_is_looked_for(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    refused = Home(tmp_path).run(*arguments)
    assert refused.returncode in {1, 2}
    assert (refused.stdout, refused.stderr.count("\n"), "Traceback" in refused.stderr) == ("", 1, False)
    assert said in refused.stderr


def test_more_that_was_left_than_a_person_reads_is_only_counted(home: Home, database_url: str) -> None:
    run_sql(
        database_url,
        """INSERT INTO jobs.history (id, job_type, queue, priority, state, input, retry_count, lost_count, created_at)
           SELECT 100 + n, 'hello', 'default', 2, 'failed', '{}', 0, 0, now() FROM generate_series(1, 30) AS n""",
    )
    lines = home.run("redrive", "--since", "1h", "--go").stdout.splitlines()
    assert lines[0].startswith("job 101 does not fit its type any more: input.name: Field required")
    assert lines[20:] == ["… and 10 more (--json tells all)", "0 jobs redriven, 30 left as they are"]
    assert len(json.loads(home.run("redrive", "--since", "1h", "--go", "--json").stdout)["left"]) == 30
