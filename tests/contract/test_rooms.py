"""The rooms' import rules, kept by machine; and the machine shown to notice."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
ROOMS = [
    "jobs_core",
    "workers",
    "schedules",
    "sessions",
    "assistant",
    "handlers",
    "gateways",
    "simulator",
    "cli",
    "benchmarks",
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", script, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_imports_only_go_down() -> None:
    result = lint(CHECKOUT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("room", "line", "contract"),
    [
        ("jobs_core", "import workers", "Imports only go down"),
        ("workers", "import sessions", "Imports only go down"),
        ("workers", "import schedules", "Imports only go down"),
        ("gateways", "import handlers", "Imports only go down"),
        ("simulator", "import jobs_core", "The simulator imports no room"),
        ("handlers", "import simulator", "Only cli imports the simulator and the benchmarks"),
        ("jobs_core", "import benchmarks", "Only cli imports the simulator and the benchmarks"),
        ("workers", "import psycopg", "psycopg only in jobs_core"),
        ("handlers", "import claude_agent_sdk", "Claude only in sessions"),
        ("cli", "import croniter", "croniter only in schedules"),
        ("assistant", "import telethon", "telethon only in gateways"),
        ("cli", "import fastapi", "Web frameworks only in gateways, the simulator and the model proxy"),
        ("sessions", "import starlette", "Web frameworks only in gateways, the simulator and the model proxy"),
    ],
)
def test_a_planted_violation_is_noticed(tmp_path: Path, room: str, line: str, contract: str) -> None:
    for name in ROOMS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    (tmp_path / room / "planted.py").write_text(f"{line}\n")
    result = lint(tmp_path)
    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout
