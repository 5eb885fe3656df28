"""Stopped, forked, exported and imported sessions through the real CLI: what the model is shown next."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobs_core import Database
from jobs_core.job import current
from sessions import SessionSettings, cli_host, fork_session
from sessions.files import export_session, import_session, read_session
from sessions.options import find_cli
from sessions.resume import classify
from simulator.client import SimulatorControl
from tests.support.sessions import KEY, Chat, agents, living, said, some_job


async def test_a_stopped_turn_is_marked_as_stopped_and_its_session_goes_on(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, it would look like a crash, and the next run of its job would go on with it."""
    monkeypatch.setattr(cli_host, "_INTERRUPT_S", 30.0)  # a busy machine may take longer than somebody who waits would
    job = some_job()
    mark = current.set(job)
    async with agents(chat.database, sim, tmp_path) as sessions:
        turn_id = await chat.new_turn()
        run = asyncio.create_task(chat.run(sessions, turn_id, "One. [[text Half ]] [[hold h]]"))
        await sim.wait_for_request(holding="h")
        job.cancelled = True  # as the executor does before it cancels the handler
        run.cancel()
        async with asyncio.timeout(40):
            await asyncio.wait({run})
        assert run.cancelled()
        assert living() == []
        assert classify(await chat.transcript(), str(turn_id)).state == "cancelled"
        job.cancelled = False
        assert (await chat.ask(sessions, "Two. [[text Second.]]")).answer == "Second."
    current.reset(mark)
    shown = said((await sim.requests())[-1].body, "user")
    assert (shown[0].rstrip("\n"), shown[-1]) == ("One. [[text Half ]] [[hold h]]", "Two. [[text Second.]]")
    assert any(text.startswith("[Request interrupted by user") for text in shown)


async def test_a_fork_is_shown_what_was_said_before_it_and_nothing_later(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    async with agents(chat.database, sim, tmp_path) as sessions:
        first = await chat.new_turn()
        await chat.run(sessions, first, "One. [[text First.]]")
        await chat.settle(first)
        await chat.ask(sessions, "Two. [[text Second.]]")
        async with chat.database.transaction() as conn:
            fork = Chat(chat.database, await fork_session(conn, first, {first: uuid4()}))
        assert (await fork.ask(sessions, "Other. [[text Third.]]")).answer == "Third."
        body = (await sim.requests())[-1].body
        assert (said(body, "user"), said(body, "assistant")) == (
            ["One. [[text First.]]", "Other. [[text Third.]]"],
            ["First."],
        )


def claude(sim: SimulatorControl, folder: Path, *arguments: str) -> str:
    """Run the bundled CLI as a person does, in a folder, with its files in another; what it answers."""
    cli = find_cli(SessionSettings(claude_cli=None))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CLAUDE_CONFIG_DIR": str(folder / "config"),
        "ANTHROPIC_BASE_URL": sim.url,
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    work = folder / "work"
    work.mkdir(exist_ok=True, parents=True)
    command = [str(cli), "-p", *arguments, "--model", "claude-sonnet-5"]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=work,
        env=environment,
        check=False,
        timeout=90,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.strip()


async def test_a_session_of_claude_code_goes_on_here_and_then_there_again(
    database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    """Import and export, with the CLI at both ends; each next request must hold all that was said before."""
    session_id = UUID("11111111-2222-4333-8444-555555555555")
    first = "One. [[text First.]]"
    assert await asyncio.to_thread(claude, sim, tmp_path / "a", first, "--session-id", str(session_id)) == "First."
    (file,) = (tmp_path / "a" / "config" / "projects").rglob("*.jsonl")
    files = read_session(file)
    assert [(one.asked, one.answered) for one in files.exchanges] == [(first, "First.")]
    async with database.transaction() as conn:
        await import_session(conn, files)
    chat = Chat(database, session_id)
    async with agents(database, sim, tmp_path / "here") as sessions:
        assert (await chat.ask(sessions, "Two. [[text Second.]]")).answer == "Second."
    body = (await sim.requests())[-1].body
    assert (said(body, "user"), said(body, "assistant")) == ([first, "Two. [[text Second.]]"], ["First."])
    there = tmp_path / "b"
    async with database.connection() as conn:
        await export_session(conn, session_id, there / "config", there / "work")
    third = "Three. [[text Third.]]"
    assert await asyncio.to_thread(claude, sim, there, third, "--resume", str(session_id)) == "Third."
    body = (await sim.requests())[-1].body
    shown: list[Any] = said(body, "user")
    assert (shown, said(body, "assistant")) == ([first, "Two. [[text Second.]]", third], ["First.", "Second."])
