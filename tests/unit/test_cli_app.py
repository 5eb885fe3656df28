"""How the command ends: its exit status, and what stands on stderr."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from cli.app import app, main
from cli.commands import telegram
from cli.commands.test import PROCESSES
from cli.errors import CommandFailed
from cli.settings import CHECKOUT


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "JOBS_DATA": "/nonexistent/data", **environment}
    command = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=60)


COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group has them
PUBLIC = sorted(name for name, command in COMMANDS.items() if not command.hidden)


@pytest.mark.parametrize("name", sorted({*PUBLIC} - {"drill"}))
def test_every_command_helps_with_an_example(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["jobs", name, "--help"])
    assert main() == 0
    assert "Example: " in capsys.readouterr().out


def test_drills_are_listed_and_tell_their_own_options() -> None:
    listed = run("drill", "--help").stdout
    assert "Example: " in listed
    assert "R3: SIGKILL, and SIGSTOP past the lease" in listed
    assert "--pgbouncer" in run("drill", "kill", "--help").stdout


def test_help_loads_nothing_heavy() -> None:
    """./jobs --help answers in well under half a second because of that."""
    heavy = {"psycopg", "pydantic", "httpx", "fastapi", "uvicorn", "claude_agent_sdk", "structlog", "asyncio"}
    code = "import sys; from cli.app import main; sys.argv = ['jobs', '--help']; main(); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT, check=True)
    assert heavy & set(ran.stderr.split()) <= {"asyncio"}


@pytest.mark.parametrize(
    "arguments", [["nope"], ["show"], ["show", "x"], ["ls", "--state", "odd"], ["up", "--port", "-1"]]
)
def test_wrong_usage_is_one_line_and_status_2(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("jobs: ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["ls"], {}, "There is no database"),
        (["ls"], {"DATABASE_URL": "mysql://user:hidden@host/x"}, "not a Postgres URL"),
        (["ls"], {"DATABASE_URL": "postgresql://user:hidden@127.0.0.1:1/x"}, "Connection refused"),
        (["ls"], {"DATABASE_URL": "postgresql://user:hidden%x@127.0.0.1:1/x"}, "not a Postgres URL"),
        (["ls"], {"DATABASE_URL": "postgresql://host/db?password=hidden&nonsense=1"}, "not a Postgres URL"),
        (["ls"], {"DATABASE_URL": "host=x password=my hidden"}, "not a Postgres URL"),
        (["ls"], {"JOBS_LOG_LEVEL": "loud", "DATABASE_URL": "x"}, "JOBS_LOG_LEVEL"),
        (["up"], {"JOBS_PORT": "many"}, "JOBS_PORT"),
        (["token"], {"JOBS_TOKEN": "short"}, "JOBS_TOKEN"),
        (["token"], {}, "has no token yet"),
        (["create", "nope"], {}, "no job type is called 'nope'; known: chat_turn, deliver, fetch_media, hello"),
        (["create", "hello", "--input", "{"], {}, "input: not JSON"),
        (["create", "hello", "--input", '{"name": 1e400}'], {}, "input.name"),
        (["create", "hello", "--input", "@/nonexistent"], {}, "/nonexistent: No such file"),
        (["create", "hello", "--in", "soon"], {}, "--in: 'soon' is not a duration"),
        (["ls"], {"JOBS_HANDLERS": "no_such", "DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "Connection refused"),
        (["create", "hello"], {"JOBS_HANDLERS": "no_such"}, "JOBS_HANDLERS: no_such cannot be used"),
        (["chat", "hello"], {}, "./jobs up"),
        (["chat", "\udcff"], {}, "the message, --session or --user is not UTF-8 text"),
        (["chat", "hello", "--url", "http://[hidden"], {"JOBS_TOKEN": "a token of the test"}, "--url (JOBS_URL)"),
        (["chat", "hello", "--user", "\udcff"], {}, "the message, --session or --user is not UTF-8 text"),
        (["chat", "hello", "--session", "\udcff"], {}, "the message, --session or --user is not UTF-8 text"),
        (["chat", "hello", "--timeout", "x"], {}, "--timeout: 'x' is not a duration"),
    ],
)
def test_a_known_error_is_one_line_and_status_1(arguments: list[str], environment: dict[str, str], says: str) -> None:
    ran = run(*arguments, **environment)
    assert (ran.returncode, ran.stdout) == (1, ""), ran.stderr
    assert ran.stderr.startswith("jobs: ")
    assert ran.stderr.count("\n") == 1
    assert says in ran.stderr
    assert "hidden" not in ran.stderr, "a password was shown"


def test_a_message_on_stdin_that_is_not_utf8_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["jobs", "chat", "-"])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="utf-8"))
    assert main() == 1
    assert capsys.readouterr().err.startswith("jobs: the message, --session or --user is not UTF-8 text")


def test_what_a_login_asks_for_and_nobody_gives_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(CommandFailed, match="API id: was asked for, and not given"):
        telegram._ask("API id")


def test_a_defect_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a person can mend is told in one line."""
    monkeypatch.setattr("sys.argv", ["jobs", "test"])
    monkeypatch.setattr("os.execv", lambda *_: 1 // 0)
    monkeypatch.setattr("os.chdir", lambda _: None)
    with pytest.raises(ZeroDivisionError):
        main()


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        (["-k", "a or b", "--co", "tests/unit", "-x"], ["-k", "a or b", "--co", "tests/unit", "-x"]),
        ([], ["-n", str(PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder"]),
    ],
)
def test_the_tests_get_exactly_the_arguments_given_and_without_any_run_side_by_side(
    monkeypatch: pytest.MonkeyPatch, given: list[str], passed_on: list[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["jobs", "test", *given])
    monkeypatch.chdir(Path("/"))
    ran: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, arguments: ran.append(arguments))
    assert main() == 0
    assert ran == [[sys.executable, "-m", "pytest", *passed_on]]
    assert Path.cwd() == CHECKOUT
