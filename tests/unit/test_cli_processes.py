"""What each process loads, and what starts them elsewhere: Procfile and docker-compose.yml."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main

from cli import saved
from cli.app import app
from cli.settings import CHECKOUT
from tests.support.composed import GIVEN, ours, services
from tests.support.settings_page import documented

LAUNCHERS_OWN = {"JOBS_VENV", "POSTGRES_PASSWORD", "POSTGRES_USER", "PORT"}
COMPOSERS_OWN = {"JOBS_BASE", "JOBS_AGENTS"}
FILES = ("Procfile", "docker-compose.yml")


def loaded_by(code: str) -> set[str]:
    code += "\nimport sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT, check=True)
    return set(ran.stdout.split())


@pytest.mark.parametrize("module", ["cli.worker_process", "cli.scheduler_process", "cli.supervise", "cli.up"])
def test_a_process_that_serves_no_web_and_has_no_agent_loads_neither(module: str) -> None:
    """The SDK takes 30 MB and a second, the web framework half of that."""
    heavy = {"claude_agent_sdk", "fastapi", "starlette", "uvicorn", "httpx"}
    assert heavy & loaded_by(f"import {module}") == set()


def test_a_worker_without_credentials_binds_no_agents_handler() -> None:
    code = """
from cli.worker_process import _agents
from cli.table import build_table
table = build_table()
assert _agents(None, table, None) == []
assert table.runnable == ["hello", "report_end", "tell"]
"""
    assert "claude_agent_sdk" not in loaded_by(code)


def started_by_procfile() -> list[str]:
    lines = (CHECKOUT / "Procfile").read_text(encoding="utf-8").splitlines()
    return [line.partition("./jobs ")[2].replace("${PORT:-8080}", "8080") for line in lines if not line.startswith("#")]


def started_by_compose() -> list[str]:
    found = list(ours(services(**GIVEN)).values())
    asked = [" ".join(one["healthcheck"]["test"][4:]) for one in found if "healthcheck" in one]
    return [*asked, *(" ".join(one["command"]) for one in found)]


@pytest.mark.parametrize("from_environment", [True, False])
def test_the_worker_of_the_procfile_gets_no_credentials_be_they_saved_or_in_the_environment(
    tmp_path: Path, *, from_environment: bool
) -> None:
    key = {"ANTHROPIC_API_KEY": "a key"}
    if not from_environment:
        saved.write(tmp_path / "data" / saved.FILE, key)
    code = """
import os
from cli.saved import use_saved
use_saved([])
print(bool(os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("CLAUDE_CODE_OAUTH_TOKEN")))
"""
    lines = (CHECKOUT / "Procfile").read_text(encoding="utf-8").splitlines()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "CLAUDE"))}
    environ |= {"JOBS_DATA": str(tmp_path / "data"), "PYTHONPATH": str(CHECKOUT)} | (key if from_environment else {})
    environ.pop(saved.HAS_READ, None)
    got = dict[str, str]()
    for name, command in (line.split(": ", 1) for line in lines if re.match("(worker|agents): ", line)):
        shell = command.replace("./jobs worker", shlex.join([sys.executable, "-c", code]))
        got[name] = subprocess.run(shell, shell=True, env=environ, capture_output=True, text=True, check=True).stdout
    assert got == {"worker": "False\n", "agents": "True\n"}


@pytest.mark.parametrize("started", [started_by_procfile, started_by_compose])
def test_the_commands_that_process_files_start_exist_with_their_options(started: Callable[[], list[str]]) -> None:
    group = typer.main.get_command(app)
    lines = started()
    assert {line.split()[0] for line in lines} >= {"web", "worker", "scheduler", "telegram"}
    for line in lines:
        name, *arguments = line.split()
        group.commands[name].make_context(name, arguments)  # type: ignore[attr-defined]  # a group has them


@pytest.mark.parametrize("file", FILES)
def test_the_variables_that_process_files_name_are_settings(file: str) -> None:
    named = re.findall(
        r"\b(?:JOBS|ANTHROPIC|POSTGRES|DATABASE|CLAUDE)_[A-Z_]*[A-Z]\b|\bPORT\b", (CHECKOUT / file).read_text()
    )
    assert named
    assert set(named) <= set(documented()) | LAUNCHERS_OWN | COMPOSERS_OWN


def test_a_worker_loads_what_sends_webhooks_with_the_first_of_them() -> None:
    code = "from cli.table import bind_senders, build_table\nassert bind_senders('', build_table(), database=None)"
    assert "httpx" not in loaded_by(code)
