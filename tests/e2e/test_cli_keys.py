"""`./jobs create` with keys, on a database that somebody else runs."""

import json
from pathlib import Path

from tests.support.up import Home


def test_a_job_that_is_created_again_is_met_and_told_so(tmp_path: Path, database_url: str) -> None:
    home = Home(tmp_path)
    hello = ("create", "hello", "--input", '{"name": "Ada"}')
    first = home.run(*hello, "--idempotency-key", "event 7", "--json", DATABASE_URL=database_url)
    job_id = json.loads(first.stdout)["id"]
    assert json.loads(first.stdout) == {"id": job_id, "met": False, "merged": False, "due_at": None}
    second = home.run(*hello, "--idempotency-key", "event 7", DATABASE_URL=database_url)
    assert (second.returncode, second.stdout) == (0, f"{job_id}\n")
    assert second.stderr == f"job {job_id} has this key: nothing was created\n"

    other = ("create", "hello", "--input", '{"name": "Bob"}')
    reused = home.run(*other, "--idempotency-key", "event 7", DATABASE_URL=database_url)
    assert (reused.returncode, reused.stdout) == (1, "")
    assert reused.stderr.startswith("jobs: idempotency_key: 'event 7' was given to job")

    poke = (*hello, "--unique-key", "k", "--unique-while", "unstarted", "--json")
    pokes = [json.loads(home.run(*poke, DATABASE_URL=database_url).stdout) for _ in range(2)]
    assert [(poke["id"], poke["met"]) for poke in pokes] == [(pokes[0]["id"], False), (pokes[0]["id"], True)]
    wrong = home.run(*hello, "--unique-key", "k", "--unique-while", "x", DATABASE_URL=database_url)
    assert (wrong.returncode, wrong.stderr.startswith("jobs: unique_while: 'x' is not one of")) == (1, True)


def test_a_burst_by_hand_is_one_job_that_says_when_it_starts(tmp_path: Path, database_url: str) -> None:
    home = Home(tmp_path)
    hello = ("create", "hello", "--unique-key", "k", "--debounce", "5m", "--debounce-at-most", "1h")
    first = json.loads(home.run(*hello, "--input", '{"name": "Ada"}', "--json", DATABASE_URL=database_url).stdout)
    assert (first["met"], first["merged"]) == (False, False)
    second = home.run(*hello, "--input", '{"name": "Bob"}', DATABASE_URL=database_url)
    assert second.stdout == f"{first['id']}\n"
    assert f"job {first['id']} has this key: it takes this input in\nit starts at " in second.stderr
    shown = home.run("show", str(first["id"]), DATABASE_URL=database_url).stdout
    assert '"Bob"' in shown
    assert "\ndebounce_until " in shown
    why = home.run("explain", str(first["id"]), DATABASE_URL=database_url).stdout
    assert why.startswith("it is debounced: due in ")
    for wrong, says in (
        (("--debounce", "5 minutes"), "--debounce: '5 minutes' is not a duration"),
        (("--debounce", "2h"), "debounce_at_most: is shorter than debounce"),
        (("--in", "5m"), "scheduled_for: debounce says when it is due; leave one out"),
    ):
        refused = home.run(*hello, "--input", '{"name": "Eve"}', *wrong, DATABASE_URL=database_url)
        assert (refused.returncode, refused.stdout, says in refused.stderr) == (1, "", True), refused.stderr
