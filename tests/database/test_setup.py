"""`./jobs setup` by options, with a real Postgres and a Telegram: what is tried, kept, and left as it was."""

import asyncio
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant import people
from cli import saved
from cli.app import main
from cli.folder import Folder
from jobs_core import db
from tests.support.database import rows_of
from tests.support.telegram import Telegram

SetUp = Callable[..., tuple[int, str, str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def set_up(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[SetUp]:
    """Runs the command in this process, before an environment that names nothing of ours."""
    before = dict(os.environ)
    ours = ("ANTHROPIC_", "CLAUDE", "DATABASE_", "JOBS_")
    kept = {name: value for name, value in before.items() if not name.startswith(ours)}

    def run(*arguments: str, stdin: str = "", **environment: str) -> tuple[int, str, str]:
        os.environ.clear()
        os.environ.update(kept | {"JOBS_DATA": str(data)} | environment)
        monkeypatch.setattr(saved, "_in_use", set())
        monkeypatch.setattr("sys.argv", ["jobs", "setup", *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        status = main()
        said = capsys.readouterr()
        return status, said.out, said.err

    yield run
    os.environ.clear()
    os.environ.update(before)


def told(ran: tuple[int, str, str]) -> Any:
    status, out, err = ran
    assert status == 0, err
    return json.loads(out)


def file_of(data: Path) -> dict[str, str]:
    return saved.read(data / saved.FILE)


def test_a_database_is_tried_before_it_is_saved_and_later_runs_change_only_what_they_are_told(
    set_up: SetUp, data: Path, database_url: str
) -> None:
    wrong = database_url.replace("jobs:", "jobs:hidden", 1)
    status, out, err = set_up("--database-url-file", "-", "--owner", "Eve", stdin=wrong)
    assert (status, out, "hidden" in err) == (1, "", False)
    assert err.endswith("Nothing was saved.\n")
    assert not data.exists()

    ran = set_up(
        "--database-url-file", "-", "--owner", " Ada\n", "--zone", "Europe/Berlin", "--json", stdin=database_url
    )
    done = told(ran)
    assert (done["owner"], done["zone"], done["changed"]) == (
        "Ada",
        "Europe/Berlin",
        ["DATABASE_DIRECT_URL", "DATABASE_URL"],
    )
    assert file_of(data) == {"DATABASE_URL": database_url}
    assert database_url not in str(ran)
    assert len(Folder(data).token()) > 30
    [row] = rows_of(
        database_url, "SELECT name, preferences FROM jobs.users JOIN jobs.notification_preferences ON user_id = id"
    )
    assert (row["name"], row["preferences"]["zone"]) == ("Ada", "Europe/Berlin")

    again = told(set_up("--model", "claude-x", "--workspaces", str(data / "w"), "--owner-tg-user-id", "77", "--json"))
    assert (again["owner"], again["zone"], again["model"]) == ("Ada", "Europe/Berlin", "claude-x")
    assert file_of(data) == {
        "DATABASE_URL": database_url,
        "JOBS_MODEL": "claude-x",
        "JOBS_WORKSPACES": str(data / "w"),
        "JOBS_OWNER_TG_USER_ID": "77",
    }
    assert told(set_up("--json"))["changed"] == []
    assert told(set_up("--workspaces", "", "--json"))["workspaces"] == str(data / "workspaces")
    assert "JOBS_WORKSPACES" not in file_of(data)


def test_without_a_word_an_embedded_database_is_made_and_not_left_running(set_up: SetUp, data: Path) -> None:
    done = told(set_up("--json"))
    assert (done["database"], done["credentials"], done["owner"], done["changed"]) == ("embedded", None, "owner", [])
    assert done["migrations"] > 30
    assert Folder(data).running() is None
    assert not (data / "postgres" / "server" / "data" / "postmaster.pid").exists()


def test_what_stands_in_the_environment_is_not_saved_over(set_up: SetUp, data: Path, database_url: str) -> None:
    status, _, err = set_up("--embedded", DATABASE_URL=database_url)
    assert (status, "DATABASE_URL stands in the environment" in err) == (1, True)
    status, _, err = set_up("--base-url", "http://127.0.0.1:1", DATABASE_URL=database_url, ANTHROPIC_API_KEY="k")
    assert (status, "ANTHROPIC_API_KEY stands in the environment" in err) == (1, True)
    assert not data.exists()
    assert told(set_up("--owner", "Ada", "--json", DATABASE_URL=database_url))["from_environment"] == ["DATABASE_URL"]
    assert file_of(data) == {}


def test_a_bot_without_a_program_at_telegram_is_refused(set_up: SetUp) -> None:
    status, _, err = set_up("--bot-token-file", "-", stdin="42:token")
    assert (status, "needs --telegram-api-id" in err) == (2, True)


def test_all_is_kept_or_nothing(set_up: SetUp, data: Path, database_url: str) -> None:
    told(set_up("--database-url-file", "-", "--owner", "Ada", "--json", stdin=database_url))
    before = file_of(data)
    assert set_up("--owner", "\N{ZERO WIDTH SPACE}", "--model", "claude-x")[0] == 1
    assert set_up("--zone", "Mars/Base", "--model", "claude-x")[0] == 1
    assert file_of(data) == before
    data.chmod(0o770)
    assert "can be written by others" in set_up("--owner", "Eve", "--model", "claude-x")[2]
    data.chmod(0o700)
    (data / "settings.env.new").mkdir()  # where the file is written before it takes the old one's place
    assert set_up("--owner", "Eve", "--model", "claude-x")[0] == 1
    assert file_of(data) == before
    assert [row["name"] for row in rows_of(database_url, "SELECT name FROM jobs.users")] == ["Ada"]


def test_ctrl_c_while_it_saves_comes_after_all_is_saved(
    set_up: SetUp, data: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = saved.write

    def interrupted(file: Path, changes: Any) -> None:
        write(file, changes)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(saved, "write", interrupted)
    ended = threading.Event()
    threading.Thread(target=ended.wait, daemon=True).start()  # it may be the one that the signal comes to
    status, _, err = set_up("--database-url-file", "-", "--owner", "Ada", stdin=database_url)
    ended.set()
    assert (status, err) == (130, "Stopped. What was asked for is saved.\n")
    assert file_of(data) == {"DATABASE_URL": database_url}
    assert [row["name"] for row in rows_of(database_url, "SELECT name FROM jobs.users")] == ["Ada"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--embedded", "--database-url-file", "-"], "not both"),
        (["--simulator", "--api-key-file", "-"], "give one of"),
        (["--api-key-file", "-", "--bot-token-file", "-"], "only one of them can come by stdin"),
        (["--api-key-file", "-"], "- is empty"),
        (["--api-key-file", sys.executable], "holds more than one line"),
        (["--database-url-file", __file__], "holds more than one line"),
        (["--telegram-api-id", "1"], "go with --bot-token-file"),
    ],
)
def test_what_cannot_be_meant_is_one_line(set_up: SetUp, data: Path, arguments: list[str], says: str) -> None:
    status, out, err = set_up(*arguments)
    assert (status, out, err.count("\n"), says in err) == (2, "", 1, True), err
    assert not data.exists()


async def test_a_bot_is_logged_in_and_what_telegram_refuses_is_told_beside_what_was_saved(
    set_up: SetUp, data: Path, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "hash").write_text("0123456789abcdef")
    async with Telegram() as telegram:
        bot = telegram.bot()
        given = ["--telegram-api-id", "7", "--telegram-api-hash-file", str(tmp_path / "hash"), "--bot-token-file", "-"]
        server = {"JOBS_TELEGRAM_SERVER": f"127.0.0.1:{telegram.server.port}", "DATABASE_URL": database_url}

        def log_in(token: str, *more: str) -> tuple[int, str, str]:
            return set_up(*given, *more, stdin=token, **server)

        status, out, err = await asyncio.to_thread(log_in, "1:wrong", "--model", "claude-x")
        assert (status, "that is no bot's token" in err, "wrong" in err + out) == (1, True, False)
        assert file_of(data) == {"JOBS_MODEL": "claude-x"}
        done = told(await asyncio.to_thread(log_in, "42:token", "--json"))
    assert (done["telegram"], done["not_logged_in"]) == (["bot"], None)
    assert file_of(data)["JOBS_TELEGRAM_API_ID"] == "7"
    async with await db.connect(database_url, name="tests") as conn:
        assert await people.first_owner(conn)
    assert bot
