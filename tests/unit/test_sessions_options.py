"""What a CLI is started with, what the wrapper leaves of an environment, and that none of it costs a worker without agents."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs_core import ConfigurationError
from sessions import SessionSettings
from sessions.agent import AgentSetup
from sessions.options import WRAPPER, Access, build_options, find_cli
from sessions.scratch import RunFolder

ACCESS = Access("http://127.0.0.1:1", "of-this-run")


def settings(**changes: object) -> SessionSettings:
    given = {"ANTHROPIC_API_KEY": "sk-secret", "CLAUDE_CODE_OAUTH_TOKEN": "", "ANTHROPIC_BASE_URL": "", **changes}
    return SessionSettings.model_validate(given)


def test_the_surroundings_are_closed(tmp_path: Path) -> None:
    options = build_options(settings(), RunFolder(tmp_path), AgentSetup("Hi."), cwd=tmp_path, access=ACCESS)
    assert options.setting_sources == []
    assert options.tools == []
    assert options.allowed_tools == []
    assert options.skills == []
    assert options.permission_mode == "dontAsk"
    assert options.strict_mcp_config
    assert options.verbatim_prompts


def test_what_an_agent_has_of_its_own_is_passed_on_and_secrets_in_a_file(tmp_path: Path) -> None:
    """A model that would step in for itself is left out, with which the CLI does not start."""
    servers = {"notes": {"command": "notes", "env": {"TOKEN": "canary"}}}
    agent = AgentSetup("", model="a", fallback_model="b", effort="low", max_turns=3, mcp_servers=servers)
    options = build_options(settings(), RunFolder(tmp_path), agent, cwd=tmp_path, access=ACCESS)
    assert (options.model, options.fallback_model, options.effort, options.max_turns) == ("a", "b", "low", 3)
    (named,) = options.extra_args.items()
    assert named == ("mcp-config", str(tmp_path / "mcp.json"))
    assert json.loads((tmp_path / "mcp.json").read_text()) == {"mcpServers": servers}
    assert "canary" not in repr(options)
    itself = AgentSetup("", fallback_model=settings().model)
    assert build_options(settings(), RunFolder(tmp_path), itself, cwd=tmp_path, access=ACCESS).fallback_model is None


def run_wrapper(folder: Path, environment: dict[str, str], path: str | None = None, **given: str) -> str:
    """What a program sees that the wrapper starts: its environment, then its arguments. given: settings."""
    program = folder / "program"
    program.write_text('#!/bin/sh\n/usr/bin/env\necho "args: $*"\n')
    program.chmod(0o755)
    of_run = settings(claude_cli=program, **given)
    options = build_options(of_run, RunFolder(folder), AgentSetup(""), cwd=folder, access=ACCESS)
    of_process = {"PATH": path or os.environ["PATH"], **environment, **options.env}
    arguments = [str(WRAPPER), "--flag", "two words", "-u", "*"]
    return subprocess.run(arguments, env=of_process, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("has_setpriv", [True, False])
def test_a_program_sees_what_is_listed_and_nothing_else(tmp_path: Path, has_setpriv: bool) -> None:  # noqa: FBT001 - a case
    """Without setpriv, as on macOS, all but the death signal holds."""
    path = None
    if not has_setpriv:
        path = str(tmp_path / "bin")
        Path(path).mkdir()
        for name in ("sh", "awk", "env", "cat"):
            (Path(path) / name).symlink_to(f"/usr/bin/{name}")
    hostile = {
        "DATABASE_URL": "canary",
        "LINES": "x\nPATH=canary",
        "a.b": "canary",
        "ANTHROPIC_API_KEY": "canary",
        "CLAUDE_CODE_OAUTH_TOKEN": "canary",
        "HTTPS_PROXY": "http://canary",
        "ALL_PROXY": "http://canary",
        "LANG": "C",
    }
    seen = run_wrapper(tmp_path, hostile, path)
    assert "canary" not in seen
    assert "JOBS_" not in seen
    assert "LANG=C\n" in seen
    assert f"HOME={tmp_path}/home\n" in seen
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1:1\n" in seen
    assert "ANTHROPIC_API_KEY=of-this-run\n" in seen
    assert "sk-secret" not in seen
    assert seen.endswith("args: --flag two words -u *\n")


def test_where_a_token_serves_the_cli_is_given_its_credential_as_one(tmp_path: Path) -> None:
    seen = run_wrapper(tmp_path, {}, ANTHROPIC_API_KEY="", CLAUDE_CODE_OAUTH_TOKEN="sk-secret")
    assert "CLAUDE_CODE_OAUTH_TOKEN=of-this-run\n" in seen
    assert "ANTHROPIC_API_KEY=" not in seen
    assert "sk-secret" not in seen


ESCAPING = """
import subprocess, sys, time
from pathlib import Path
import psutil
from sessions.options import WRAPPER
from sessions.processes import kill_run
from workers.process_tree import become_subreaper

become_subreaper()
home = Path(sys.argv[1])
subprocess.run([WRAPPER], check=True)
me, until = psutil.Process(), time.monotonic() + 60
while len(me.children()) < 3 and time.monotonic() < until:  # those whose parent ended arrive here
    time.sleep(0.01)
assert kill_run(home.with_name("another")) == 0
killed, left = kill_run(home), [child for child in me.children() if child.status() != "zombie"]
print(killed, len(left))
for child in left:
    child.kill()
"""


@pytest.mark.skipif(not (shutil.which("prlimit") and shutil.which("setpriv")), reason="needs Linux, with util-linux")
def test_what_a_tool_started_is_killed_with_its_run_whatever_environment_it_was_given(tmp_path: Path) -> None:
    """And though it left its session and its parent."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nsetsid sleep 99 &\nenv -i setsid sleep 99 &\nHOME=/ setsid sleep 99 &\n")
    program.chmod(0o755)
    options = build_options(
        settings(claude_cli=program), RunFolder(tmp_path), AgentSetup(""), cwd=tmp_path, access=ACCESS
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd()), **options.env}
    command = [sys.executable, "-c", ESCAPING, str(RunFolder(tmp_path).home)]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "3 0\n"


def test_a_cli_that_is_missing_or_not_executable_is_named(tmp_path: Path) -> None:
    (tmp_path / "claude").touch(mode=0o644)
    for cli in (tmp_path / "claude", tmp_path / "nowhere"):
        with pytest.raises(ConfigurationError, match=f"{cli} is missing or not executable"):
            find_cli(settings(claude_cli=cli))


def test_an_empty_variable_is_none_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "JOBS_MODEL",
        "JOBS_SCRATCH_FOLDER",
        "JOBS_CLAUDE_CLI",
        "ANTHROPIC_API_KEY",
        "CLAUDE_CODE_OAUTH_TOKEN",
    ):
        monkeypatch.setenv(name, "")
    given = SessionSettings.read()
    assert (given.model, given.scratch_folder, given.claude_cli) == ("claude-sonnet-5", None, None)
    assert not given.has_credentials


def test_secrets_are_not_shown_with_the_settings() -> None:
    shown = repr(
        settings(
            ANTHROPIC_API_KEY="sk-secret", CLAUDE_CODE_OAUTH_TOKEN="oauth-secret", http_proxy="http://u:secret@p:1"
        )
    )
    assert "secret" not in shown


@pytest.mark.parametrize(("key", "token", "has"), [("", "", False), ("k", "", True), ("", "t", True)])
def test_a_key_or_a_token_are_credentials(key: str, token: str, has: bool) -> None:  # noqa: FBT001 - a case
    assert settings(ANTHROPIC_API_KEY=key, CLAUDE_CODE_OAUTH_TOKEN=token).has_credentials is has


def test_a_process_that_runs_no_agent_loads_neither_the_sdk_nor_the_proxy() -> None:
    script = (
        "import sys, sessions, sessions.store, sessions.options, sessions.runner;"
        "sys.exit(bool({'claude_agent_sdk', 'uvicorn', 'starlette', 'httpx'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
