"""Processes that `up` keeps: real ones, killed."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from cli.child import Child, environment
from cli.errors import CommandFailed
from cli.settings import CHECKOUT
from tests.support.processes import MARK, kill_left, left_running, until

SLEEPS = "print('up', flush=True); import time; time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPS


@pytest.fixture
def mark() -> Iterator[str]:
    mark = uuid4().hex
    yield mark
    kill_left(mark)


def child(code: str, mark: str, *, patience_s: float = 30.0, forced: asyncio.Event | None = None) -> Child:
    return Child(
        "example",
        lambda: [sys.executable, "-c", code],
        lambda: environment(**{MARK: mark}),
        patience_s=patience_s,
        forced=forced or asyncio.Event(),
        reports=True,
    )


async def started(kept: Child) -> int:
    """Its pid, once it runs its code."""
    assert await kept.report() == b"up\n"
    assert kept._process
    return kept._process.pid


async def test_a_child_that_was_killed_is_started_again(mark: str) -> None:
    async with child(SLEEPS, mark) as kept:
        await kept.start()
        keeping = asyncio.create_task(kept.keep())
        first = kept._process
        os.kill(await started(kept), signal.SIGKILL)
        while kept._process is first:
            await asyncio.sleep(0.01)
        assert [process.pid for process in left_running(mark)] == [await started(kept)]
        keeping.cancel()
    assert left_running(mark) == []


async def test_one_that_dies_at_once_is_started_ever_later(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    enough = asyncio.Event()

    async def note(wait_s: float) -> None:
        waits.append(wait_s)
        if len(waits) == 8:
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr("cli.child.asyncio.sleep", note)
    async with child("raise SystemExit(3)", mark) as kept:
        await kept.start()
        keeping = asyncio.create_task(kept.keep())
        await enough.wait()
        keeping.cancel()
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


async def test_an_orderly_end_is_waited_for(mark: str, tmp_path: Path) -> None:
    code = f"import signal; signal.signal(signal.SIGTERM, lambda *_: (open({str(tmp_path / 'end')!r}, 'w'), exit())); "
    async with child(code + SLEEPS, mark) as kept:
        await kept.start()
        await started(kept)
    assert (tmp_path / "end").exists()


async def test_one_that_does_not_end_is_killed_when_patience_is_over(
    mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.child._KILL_AFTER_S", 0.1)
    async with child(STUBBORN, mark, patience_s=0.1) as kept:
        await kept.start()
        await started(kept)
    assert left_running(mark) == []


async def test_a_second_signal_cuts_patience_short(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an hour's patience the test itself would time out."""
    monkeypatch.setattr("cli.child._KILL_AFTER_S", 0.1)
    forced = asyncio.Event()
    async with child(STUBBORN, mark, patience_s=3600, forced=forced) as kept:
        await kept.start()
        await started(kept)
        forced.set()
    assert left_running(mark) == []


async def test_a_frozen_one_is_ended_too(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.child._KILL_AFTER_S", 0.1)
    async with child(SLEEPS, mark, patience_s=0.1) as kept:
        await kept.start()
        os.kill(await started(kept), signal.SIGSTOP)
    assert left_running(mark) == []


async def test_one_that_ends_before_its_report_is_an_error(mark: str) -> None:
    async with child("raise SystemExit(1)", mark) as kept:
        await kept.start()
        with pytest.raises(CommandFailed, match="the example ended before it was ready"):
            await kept.report()


async def test_the_terminals_ctrl_c_does_not_reach_it(mark: str) -> None:
    async with child(SLEEPS, mark) as kept:
        await kept.start()
        assert os.getsid(await started(kept)) != os.getsid(0)


PARENT = """
    import asyncio, sys
    from cli.child import Child, environment

    async def main():
        kept = Child("c", lambda: [sys.executable, "-c", {code!r}], environment, patience_s=1, forced=asyncio.Event())
        await kept.start()
        await kept.ended()

    asyncio.run(main())
"""
BOUND = "from cli.parent import end_with_parent; end_with_parent(); import os; os.write(2, b'bound'); "


def frozen(process: psutil.Process) -> None:
    process.suspend()


def awake(process: psutil.Process) -> None:
    pass


@pytest.mark.parametrize("state", [awake, frozen])
def test_a_child_dies_with_a_parent_that_was_killed(mark: str, state: Callable[[psutil.Process], None]) -> None:
    parent = start_parent(mark, BOUND + SLEEPS)
    assert parent.stderr
    assert parent.stderr.read(5) == b"bound"
    [bound] = psutil.Process(parent.pid).children()
    state(bound)
    parent.kill()
    parent.wait()
    until(lambda: not left_running(mark), "the child is gone")


def test_a_child_that_is_not_bound_outlives_its_parent(mark: str) -> None:
    """The mutant: without `end_with_parent` the test above would fail."""
    parent = start_parent(mark, "import os; os.write(2, b'alive'); " + SLEEPS)
    assert parent.stderr
    assert parent.stderr.read(5) == b"alive"
    parent.kill()
    parent.wait()
    assert left_running(mark)


def start_parent(mark: str, code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT.format(code=code))],
        env={**os.environ, MARK: mark, "PYTHONPATH": str(CHECKOUT)},
        cwd="/",
        stderr=subprocess.PIPE,
    )
