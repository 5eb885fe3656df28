"""`./jobs pause`, `resume` and `pauses` on a database that somebody else runs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.database import run_sql
from tests.support.up import Home


def test_what_is_paused_is_shown_wherever_its_jobs_are_and_resumed(home: Home) -> None:
    paused = home.run("pause", "default", "--type", "hello", "--for", "2h", "--reason", "it\x1b[2J moves")
    assert paused.returncode == 0
    assert paused.stdout.startswith("type hello in queue default is paused by ")
    assert "jobs: no live worker serves type hello in queue default" in paused.stderr
    (one,) = home.json("pauses")
    assert (one["queue"], one["job_type"], one["because"], one["reason"]) == (
        "default",
        "hello",
        "operator",
        "it\x1b[2J moves",
    )
    lasts = datetime.fromisoformat(one["until"]) - datetime.fromisoformat(one["started_at"])
    assert abs(lasts - timedelta(hours=2)) < timedelta(minutes=1)
    assert "@" in one["set_by"]

    listed = home.run("pauses").stdout
    assert listed == paused.stdout
    assert listed.rstrip().endswith(" UTC: it\N{REPLACEMENT CHARACTER}[2J moves")
    assert listed.strip() in home.run("ls", "--type", "hello").stderr
    assert listed.strip() in home.run("create", "hello", "--input", '{"name": "Ada"}').stderr

    home.run("pause", "default")
    resumed = home.run("resume", "default", "--type", "hello")
    assert (resumed.returncode, resumed.stdout) == (0, "type hello in queue default is resumed\n")
    assert resumed.stderr.startswith("still: queue default is paused by ")
    (left,) = home.json("resume", "default")
    assert (left["queue"], left["until"]) == ("default", None)


def test_a_pause_may_end_at_a_time(home: Home) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    one = home.json("pause", "mail", "--until", until.isoformat())
    assert datetime.fromisoformat(one["until"]) == until


def test_a_pause_that_a_run_has_asked_for_says_which(home: Home, database_url: str) -> None:
    run_sql(
        database_url,
        "INSERT INTO jobs.pauses (queue, because, reason, set_by, until) "
        "VALUES ('chat', 'rate_limited', '429', 'job 17', now() + interval '1 h')",
    )
    assert home.run("pauses").stdout.startswith("queue chat is paused by job 17 (rate_limited) since ")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["resume", "mail"], 1, "jobs: queue mail is not paused: ./jobs pauses lists what is"),
        (["pause", "mail", "--until", "2001-01-01T00:00Z"], 1, "jobs: until: 2001-01-01 00:00:00+00:00 has passed"),
        (["pause", "x" * 201], 1, "jobs: queue: 201 characters, at most 200 are allowed"),
    ],
)
def test_what_cannot_be_done_is_one_line(home: Home, arguments: list[str], status: int, said: str) -> None:
    ran = home.run(*arguments)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (status, "", 1)
    assert ran.stderr.startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pause"], "name a queue, a --type, or both"),
        (["resume"], "name a queue, a --type, or both"),
        (["pause", "mail", "--for", "1h", "--until", "2030-01-01T00:00Z"], "give --for or --until, not both"),
        (["pause", "mail", "--for", "soon"], "--for: 'soon' is not a duration"),
        (["pause", "mail", "--until", "2030-01-01"], "--until: '2030-01-01' has no time zone"),
    ],
)
def test_what_does_not_fit_is_one_line_before_any_database_is_looked_for(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    refused = Home(tmp_path).run(*arguments)
    assert refused.returncode in {1, 2}
    assert (refused.stdout, refused.stderr.count("\n"), "Traceback" in refused.stderr) == ("", 1, False)
    assert said in refused.stderr
