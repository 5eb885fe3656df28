"""`./jobs notifications` on a database, each command in this process."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from assistant import people
from assistant.notifications import notify
from cli.app import main
from cli.commands import notifications as command
from jobs_core import db

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `./jobs notifications …`; returns its exit status, what it printed, and what it warned of."""
    monkeypatch.setenv("DATABASE_URL", database_url)

    def once(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["jobs", "notifications", *arguments])
        status = main()
        told = capsys.readouterr()
        return status, told.out, told.err

    return once


@pytest.fixture
def ada(database_url: str) -> str:
    """Somebody who was told two things, as was the owner."""

    async def made() -> str:
        async with await db.connect(database_url, name="tests") as conn, conn.transaction():
            user = await people.contact(conn, "telegram", "7", name="Ada")
            for n, user_id in enumerate((user.id, None, user.id, None)):
                body = "All\nof it \x1b[2J"
                await notify(
                    conn, user_id=user_id, title=f"n{n}\x1b[2J", body=body, category=f"c{n}", metadata={"n": n}
                )
            return user.id

    return asyncio.run(made())


def told(run: Run, *arguments: str) -> Any:
    status, out, err = run(*arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_notifications_are_listed_shown_and_marked_by_whose_they_are(run: Run, ada: str) -> None:
    assert [one["id"] for one in told(run, "ls")] == [4, 3, 2, 1]
    assert [one["id"] for one in told(run, "ls", "--user", ada, "--limit", "1", "--before", "3")] == [1]
    _, out, _ = run("show", "3")
    assert "title       n2\N{REPLACEMENT CHARACTER}[2J\n" in out
    assert "metadata    {'n': 2}\n" in out
    assert out.endswith("\n\nAll\nof it \N{REPLACEMENT CHARACTER}[2J\n")
    assert run("read", "1") == (
        1,
        "",
        "jobs: there is no notification 1 of theirs: ./jobs notifications ls lists them\n",
    )
    assert run("read", "1", "--user", ada)[1] == "notification 1 is read\n"
    assert told(run, "read", "--up-to", "3", "--user", ada) == {"read": 1}
    assert [one["id"] for one in told(run, "ls", "--unread")] == [4, 2]
    assert told(run, "read", "--category", "c1") == {"read": 1}
    assert run("read", "--up-to", "4")[1] == "1 more are read\n"
    assert told(run, "ls", "--unread") == []


def test_whoever_watches_is_shown_each_as_it_comes(run: Run, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    printed, show = list[int](), command._print

    def showing(news: Any, *, as_json: bool) -> None:
        show(news, as_json=as_json)
        printed.extend(one.id for one in news)
        if len(printed) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "_print", showing)
    monkeypatch.setattr(command, "_MOST", 1)
    status, out, err = run("watch", "--after", "0", "--user", ada, "--json")
    assert (status, err, [json.loads(line)["seq"] for line in out.splitlines()]) == (0, "", [1, 3])
    printed.clear()
    assert run("watch", "--after", "0")[1].splitlines()[1].endswith(" 4 info    n3\N{REPLACEMENT CHARACTER}[2J")


def test_preferences_are_changed_part_by_part(run: Run, ada: str) -> None:
    nothing = told(run, "prefs", "show", "--user", ada)
    assert (nothing["zone"], nothing["quiet"], nothing["digest"]) == ("UTC", None, None)
    run("prefs", "set", "--user", ada, "--zone", "Europe/Berlin", "--quiet", "22:00-07:00", "--no-errors")
    run("prefs", "set", "--user", ada, "--digest", "08:00", "--below", "warning", "--account", "work=off")
    run("prefs", "set", "--user", ada, "--category", "task.*=muted", "--category", "a=b=error", "--least", "warning")
    _, out, err = run("prefs", "set", "--user", ada, "--quiet", "23:00-06:30", "--category", "task.*=none")
    assert err == ""
    assert out.splitlines() == [
        "zone        Europe/Berlin",
        "telegram    on, but not by work",
        "least       warning",
        "category    a=b: error",
        "quiet       23:00-06:30",
        "digest      daily at 08:00, below warning",
    ]
    run("prefs", "set", "--user", ada, "--digest", "hourly", "--errors", "--no-telegram", "--account", "work=on")
    said = told(run, "prefs", "show", "--user", ada)
    assert said["digest"] == {"every": "hour", "at": None, "below": "warning"}
    assert said["quiet"] == {"from": "23:00", "to": "06:30", "errors": True}
    assert said["telegram"] == {"on": False, "least": "warning", "accounts": {"work": True}}
    said = told(run, "prefs", "set", "--user", ada, "--digest", "none", "--quiet", "none")
    assert (said["quiet"], said["digest"]) == (None, None)
    assert told(run, "prefs", "show") == nothing  # the owner's


def test_what_cannot_be_done_is_one_line(run: Run, ada: str) -> None:
    for arguments, status, said in (
        (["read"], 2, "name one by its id, or many by --up-to, --category or both"),
        (["read", "7", "--up-to", "8"], 2, "name one by its id, or many by --up-to, --category or both"),
        (["read", "--up-to", "1"], 1, "there is no notification 1 of theirs"),
        (["show", "7"], 1, "there is no notification 7"),
        (["prefs", "show", "--user", "nobody"], 1, "There is no user 'nobody'"),
        (["prefs", "set"], 2, "nothing is given to change"),
        (["prefs", "set", "--zone", "Mars/Phobos"], 1, "zone: 'Mars/Phobos' is no time zone that is known here"),
        (["prefs", "set", "--quiet", "22-7"], 1, "quiet.from: '22' is no time of day; write one such as 07:30"),
        (["prefs", "set", "--quiet", "late"], 2, "--quiet: 'late' is no part of a day; write 22:00-07:00, or none"),
        (["prefs", "set", "--digest", "weekly"], 1, "digest.at: 'weekly' is no time of day"),
        (["prefs", "set", "--errors"], 2, "--errors: there is none to say it of; give --quiet, too"),
        (["prefs", "set", "--below", "error"], 2, "--below: there is none to say it of; give --digest, too"),
        (["prefs", "set", "--account", "work=maybe"], 2, "--account: work=maybe is neither on nor off"),
        (["prefs", "set", "--category", "loud"], 2, "--category: 'loud' is not NAME=WORD"),
        (
            ["prefs", "set", "--category", "a=loud"],
            1,
            "categories.a: Input should be 'info', 'warning', 'error' or 'muted'",
        ),
        (["prefs", "set", "--least", "fatal"], 1, "telegram.least: Input should be 'info', 'warning' or 'error'"),
    ):
        ended, out, err = run(*arguments)
        assert (ended, out, err.count("\n"), said in err) == (status, "", 1, True), (arguments, ended, out, err)
