"""`./jobs cancel` and `./jobs emit` on a database that somebody else runs."""

import pytest

from tests.support.database import rows_of, run_sql
from tests.support.up import Home

JOBS = (
    """INSERT INTO jobs.jobs (id, job_type, queue, priority, state, input, ready_seq)
       VALUES (1, 'hello', 'default', 2, 'pending', '{}', 1)""",
    """INSERT INTO jobs.jobs (id, job_type, queue, priority, state, input, worker_id, token, parent_id)
       VALUES (2, 'hello', 'default', 2, 'running', '{}', 7, 1, 1)""",
    """INSERT INTO jobs.jobs (id, job_type, queue, priority, state, input, token, wait_event, waiting_since)
       VALUES (3, 'hello', 'default', 2, 'waiting', '{}', 2, 'paid', now())""",
)


@pytest.fixture
def home(home: Home, database_url: str) -> Home:
    """A folder whose commands find the three jobs: one that is ready, its child, which runs, and one that waits."""
    run_sql(database_url, *JOBS)
    return home


def test_a_job_is_cancelled_with_its_children(home: Home) -> None:
    cancelled = home.run("cancel", "1", "--reason", "wrong address")
    assert cancelled.stdout == "1\n"
    assert cancelled.stderr == "asked to end, as a worker runs it: 2 (./jobs show ID says how it ended)\n"
    assert "wrong address" in home.run("show", "1").stdout
    again = home.run("cancel", "1")
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert home.json("cancel", "2") == {"ended": [], "asked": [2]}


def test_an_event_lets_a_job_go_on_and_is_told_once(home: Home, database_url: str) -> None:
    assert home.run("emit", "paid", '{"amount": 5}').stderr == ""
    assert rows_of(database_url, "SELECT state FROM jobs.jobs WHERE id = 3") == [{"state": "pending"}]
    assert home.run("emit", "paid").stderr.startswith("paid was emitted before")
    assert home.json("emit", "paid") == {"first": False}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["emit", "jobs:children"], "event: 'jobs:children' is no name for an event"),
        (["emit", "e", "{"], "payload: not JSON"),
        (["emit", "e", '{"n": 1e400}'], "payload.n: inf is not a number"),
        (["cancel", "4"], "job 4 has ended, or was never there"),
    ],
)
def test_what_does_not_fit_is_one_line(home: Home, arguments: list[str], said: str) -> None:
    refused = home.run(*arguments)
    assert refused.returncode in {1, 2}
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1
