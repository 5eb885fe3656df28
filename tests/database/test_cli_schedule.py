"""`./jobs schedule` on a database, each command in this process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.app import main

Run = Callable[..., tuple[int, str, str]]
RULE = ("--cron", "0 9 * * mon-fri", "--zone", "Asia/Tokyo")
FILE = '[evening]\nevery_s = 3600\nprompt = "What was done?"\n'


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `./jobs schedule …`; returns its exit status, what it printed, and what it warned of."""
    monkeypatch.setenv("DATABASE_URL", database_url)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["jobs", "schedule", *arguments])
        status = main()
        told = capsys.readouterr()
        return status, told.out, told.err

    return command


def told(answer: tuple[int, str, str]) -> Any:
    status, out, err = answer
    assert (status, err) == (0, "")
    return json.loads(out)


def test_a_schedule_is_tried_added_changed_run_and_removed(run: Run, tmp_path: Path) -> None:
    assert len(told(run("try", *RULE, "--json"))["ticks"]) == 5
    assert run("try", *RULE)[1].count("09:00:00 JST\n") == 5
    (prompt := tmp_path / "prompt").write_text("What is on today?")
    add = ("add", "morning", *RULE, "--prompt", f"@{prompt}", "--jitter", "5m")
    dry = run(*add, "--dry-run")[1]
    assert dry.count("  due ") == 5
    assert "what a run costs is not known yet" in dry
    assert run("ls")[1].startswith("no schedules")
    made = told(run(*add, "--json"))
    assert (made["did"], made["source"], made["rule"]["jitter_s"]) == ("made", "cli", 300)
    assert made["input"]["prompt"] == "What is on today?"
    changed = told(run("change", "morning", "--every", "2h", "--approvals", "ask", "--json"))
    assert (changed["rule"]["every_s"], changed["rule"]["cron"], changed["input"]["approvals"]) == (7200, None, "ask")
    assert told(run("pause", "morning", "--reason", "on holiday", "--json"))["paused_why"] == "on holiday"
    assert "paused since" in run("ls", "--paused")[1]
    assert "next " in run("resume", "morning")[1]
    assert told(run("run", "morning", "--json")) == {"job_id": 1}
    assert "every 7200 s" in run("show", "morning")[1]
    assert told(run("results", "morning", "--json")) == []
    assert run("rm", "morning")[1] == "removed: morning\n"
    note = ("add", "note", "--type", "hello", "--input", '{"name": "Ada"}', "--at", "2099-01-31T09:00", *RULE[2:])
    assert told(run(*note, "--json"))["next_at"] == "2099-01-31T00:00:00+00:00"


def test_files_are_applied_and_what_they_made_is_left_to_them(run: Run, tmp_path: Path) -> None:
    (tmp_path / "schedules").mkdir()
    (tmp_path / "schedules" / "a.toml").write_text(FILE)
    assert run("apply", str(tmp_path), "--dry-run")[1] == (
        "evening: made\nnothing was saved: leave out --dry-run to do so\n"
    )
    assert told(run("apply", str(tmp_path), "--json"))["applied"][0]["did"] == "made"
    assert run("apply", str(tmp_path))[1] == "evening: is so already\n"
    for command in (("rm", "evening"), ("change", "evening", "--every", "1h")):
        status, _, err = run(*command)
        assert (status, err.count("\n")) == (1, 1)
    assert "was made by file:a.toml" in run("rm", "evening")[2]
    (tmp_path / "schedules" / "a.toml").write_text(FILE.replace("3600", "0"))
    assert run("apply", str(tmp_path))[2].startswith("jobs: a.toml:2: evening: schedule.every_s: ")
    (tmp_path / "schedules" / "a.toml").unlink()
    assert "--prune removes it" in run("apply", str(tmp_path))[1]
    assert run("apply", str(tmp_path), "--prune")[1] == "evening: removed\n"


def test_what_cannot_be_done_is_one_line(run: Run) -> None:
    for arguments, said in (
        (("show", "gone"), "jobs: There is no schedule 'gone': ./jobs schedule ls"),
        (("add", "x", "--every", "5m"), "jobs: schedule: give either prompt, for an agent, or job_type"),
        (("add", "x", "--every", "5m", "--prompt", "@/nonexistent"), "jobs: /nonexistent: No such file"),
        (("add", "x", "--every", "5m", "--type", "hello", "--input", "{"), "jobs: --input: "),
        (("add", "x", "--cron", "61 * * * *", "--prompt", "?"), "jobs: schedule.cron: "),
        (("change", "x"), "jobs: Invalid value: nothing is to be changed"),
    ):
        status, out, err = run(*arguments)
        assert (status in {1, 2}, out, err.count("\n")) == (True, "", 1)
        assert err.startswith(said), err
