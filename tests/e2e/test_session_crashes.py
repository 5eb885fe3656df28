"""A turn cut at each point of its way is asked once and answered once, whoever goes on with it; and leaves no process."""

import asyncio
import ctypes
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from jobs_core import Database, execute
from simulator.client import SimulatorControl
from tests.support.sessions import BASH, Chat, agents, go_on, living, times_asked, turn_worker

PR_SET_CHILD_SUBREAPER = 36
WAIT = "while ! test -e %s; do sleep 0.1; done; echo waited"


@pytest.fixture
def subreaper() -> Iterator[None]:
    """Orphans come to this process, as they come to a worker."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


async def until(condition: object) -> None:
    """Wait until a condition of the system, which has no event for it, holds."""
    assert callable(condition)
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def cut(sim: SimulatorControl, folder: Path, chat: Chat, prompt: str) -> AsyncIterator[UUID]:
    """A turn under way; at the end of the block its run is cancelled, which kills its CLI."""
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, folder / "cut") as sessions:
        run = asyncio.create_task(chat.run(sessions, turn_id, prompt, **BASH))
        try:
            yield turn_id
        finally:
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
    assert living() == []


async def test_cut_before_the_prompt_was_stored(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    prompt = "[[hold h]] [[text Answered.]]"
    async with cut(sim, tmp_path, chat, prompt) as turn_id:
        await until(living)
    await sim.release("h")
    end = await go_on(sim, tmp_path, chat, turn_id, prompt)
    assert (end.answer, end.source) == ("Answered.", "asked")


@pytest.mark.parametrize("prompt", ["[[hold h]] [[text Answered.]]", "[[text Answ]] [[hold h]] [[text ered.]]"])
async def test_cut_before_or_in_the_middle_of_the_answer(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, prompt: str
) -> None:
    async with cut(sim, tmp_path, chat, prompt) as turn_id:
        await sim.wait_for_request(holding="h")
        await chat.stored("user")
    await sim.wait_for_request(outcome="cut")
    await sim.release("h")
    end = await go_on(sim, tmp_path, chat, turn_id, prompt)
    assert (end.answer, end.source) == ("Answered.", "resumed")


async def test_cut_while_a_tool_runs_the_model_is_told_and_the_tool_is_not_run_again(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    command = f"echo run >> {runs}; " + WAIT % (tmp_path / "never")
    prompt = f'[[tool Bash {{"command": "{command}"}}]] [[then]] [[text Done.]]'
    async with cut(sim, tmp_path, chat, prompt) as turn_id:
        await chat.stored("assistant")
        await until(runs.exists)
    end = await go_on(sim, tmp_path, chat, turn_id, prompt)
    assert (end.answer, end.source) == ("Done.", "resumed")
    assert runs.read_text() == "run\n"
    assert "its outcome is unknown" in str((await sim.requests())[1].body)


async def test_cut_between_a_tool_and_the_next_answer_the_result_is_kept(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    prompt = '[[tool Bash {"command": "echo tool-was-here"}]] [[then]] [[hold h]] [[text Done.]]'
    async with cut(sim, tmp_path, chat, prompt) as turn_id:
        await sim.wait_for_request(holding="h")
        await chat.stored("tool_result")
    await sim.release("h")
    end = await go_on(sim, tmp_path, chat, turn_id, prompt)
    assert (end.answer, end.source) == ("Done.", "resumed")
    assert "tool-was-here" in str((await sim.requests())[-1].body)


async def test_cut_between_the_answer_and_its_settling_nobody_is_asked_again(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path / "first") as sessions:
        asked = await chat.run(sessions, turn_id, "[[text Answered.]]")
    number = (await sim.requests())[-1].number
    async with agents(chat.database, sim, tmp_path / "second") as sessions:
        recorded = await chat.run(sessions, turn_id, "[[text Answered.]]")
    assert await sim.requests(after=number) == []
    assert (recorded.answer, recorded.source) == (asked.answer, "recorded")


async def test_a_turn_that_was_cut_long_ago_is_gone_on_with(
    chat: Chat, database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    prompt = "[[hold h]] [[text Answered.]]"
    async with cut(sim, tmp_path, chat, prompt) as turn_id:
        await sim.wait_for_request(holding="h")
        await chat.stored("user")
    await sim.release("h")
    async with database.connection() as conn:
        year_ago = "regexp_replace(entry, '\"timestamp\": \"20[0-9]{2}', '\"timestamp\": \"2001', 'g')"
        assert await execute(conn, f"UPDATE jobs.transcript_entries SET entry = {year_ago}") > 0
    end = await go_on(sim, tmp_path, chat, turn_id, prompt)
    assert (end.answer, end.source) == ("Answered.", "resumed")


async def test_a_cli_that_is_killed_is_started_again_within_the_run(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    prompt = "[[text Answ]] [[hold h]] [[text ered.]]"
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path) as sessions:
        run = asyncio.create_task(chat.run(sessions, turn_id, prompt))
        await sim.wait_for_request(holding="h")
        await chat.stored("user")
        sessions._host.kill_all()
        await sim.wait_for_request(outcome="cut")
        await sim.release("h")
        end = await run
    assert (end.answer, end.source) == ("Answered.", "resumed")
    assert await times_asked(sim, prompt) == 1


@pytest.mark.usefixtures("subreaper")
async def test_a_cancelled_turn_leaves_no_process_however_often_it_is_cancelled(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """Its tool has a child that made itself a daemon, in an environment of its own."""
    daemon, never = tmp_path / "daemon", tmp_path / "never"
    apart = f"env -i PATH=$PATH setsid sh -c 'touch {daemon}; {WAIT % never}'"
    command = f"({apart} >/dev/null 2>&1 &); {WAIT % never}"
    prompt = f'[[tool Bash {{"command": "{command}"}}]] [[then]] [[text Done.]]'
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path) as sessions:
        run = asyncio.create_task(chat.run(sessions, turn_id, prompt, **BASH))
        await until(daemon.exists)
        for _ in range(3):
            run.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await run
        assert living() == []


async def test_a_killed_worker_takes_its_cli_and_tools_along_and_the_next_one_wipes_its_files(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    runs, scratch = tmp_path / "runs", tmp_path / "on" / "s"
    command = f"echo run >> {runs}; " + WAIT % (tmp_path / "never")
    prompt = f'[[tool Bash {{"command": "{command}"}}]] [[then]] [[text Done.]]'
    turn_id = await chat.new_turn()
    async with turn_worker(sim, scratch, chat, turn_id, prompt) as worker:
        await chat.stored("assistant")
        await until(runs.exists)
        descendants = psutil.Process(worker.pid).children(recursive=True)
        assert len(descendants) >= 2
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        await until(lambda: not any(process.is_running() and process.status() != "zombie" for process in descendants))
    (left,) = scratch.glob("process-*")
    end = await go_on(sim, tmp_path, chat, turn_id, prompt)
    assert (end.answer, end.source) == ("Done.", "resumed")
    assert runs.read_text() == "run\n"
    assert not left.exists()
