"""A process that is to run until it is told to end; one that dies is started again.

    start ─▶ running ── it dies ──▶ log, wait 0.1 s … 5 s ─┐
               ▲  │                                        │
               │  └── stop: SIGTERM, patience, SIGKILL     │
               └───────────────────────────────────────────┘

It has a session of its own, so that the terminal's Ctrl-C reaches only its parent, which ends things in order. It dies with
its parent however that dies: its stdin is a pipe that it watches (`cli.parent`).
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog

from cli.errors import CommandFailed
from cli.saved import HAS_READ
from cli.settings import CHECKOUT

log = structlog.get_logger()

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_WELL_AFTER_S = 10.0  # lived that long: its next death begins with the short wait again
_KILL_AFTER_S = 5.0  # a supervisor told a second time needs 2 s to end its workers


def ours(*arguments: str) -> list[str]:
    """The command line of another process of this program; -P: nothing in the caller's directory is taken for a part of it."""
    return [sys.executable, "-P", *arguments]


def environment(**more: str) -> dict[str, str]:
    """This process' environment for a child, with `more`, and with this checkout first where Python looks.

    It holds what was saved in the folder, which the child does not read again.
    """
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), HAS_READ: "1", **more}


class Child:
    """One such process. As a context manager it is stopped at the end of the block, if `start` was called within.

    `command` and `environ` are asked for at each start. `patience_s` is what its orderly end may take; `forced` cuts it short.
    With `reports` its stdout is a pipe for `report`, else it goes to our stderr: stdout is the command's answer.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        environ: Callable[[], Mapping[str, str]],
        *,
        patience_s: float,
        forced: asyncio.Event,
        reports: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._command = command
        self._environ = environ
        self._patience_s = patience_s
        self._forced = forced
        self._reports = reports
        self._pass_fds = pass_fds
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it; returns at once."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command(),
            env=dict(self._environ()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE if self._reports else sys.stderr.fileno(),
            start_new_session=True,
            pass_fds=self._pass_fds,
        )
        log.debug("process.started", process=self.name, pid=self._process.pid)

    async def report(self) -> bytes:
        """The next line of its stdout. Raises CommandFailed where it ends without one."""
        assert self._process
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            await self._process.wait()
            raise CommandFailed(f"the {self.name} ended before it was ready: what it said stands above")
        return line

    async def ended(self) -> str:
        """Wait for the end of the process as it runs now; returns how it ended."""
        assert self._process
        return _how(await self._process.wait())

    async def keep(self) -> None:
        """Start it again whenever it dies, until cancelled."""
        wait_s = _FIRST_WAIT_S
        while True:
            began = time.monotonic()
            how = await self.ended()
            if time.monotonic() - began > _WELL_AFTER_S:
                wait_s = _FIRST_WAIT_S
            log.error("process.died", process=self.name, how=how, again_in_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            try:
                await self.start()
            except (
                OSError
            ) as error:  # no memory, too many processes: the dead one is looked at again, and a later start made
                log.warning("process.not_started", process=self.name, error=str(error))

    def end(self) -> None:
        """Ask it to end, if it runs; `keep` starts it again, in the environment of then."""
        if self._process:
            self._send(signal.SIGTERM)

    async def stop(self) -> None:
        """End it: in order, or at once where that was asked for; it is gone when this returns."""
        if self._process is None:
            return
        ended = asyncio.create_task(self._process.wait())
        self._send(signal.SIGTERM)
        await _first(ended, self._forced, self._patience_s)
        if not ended.done():
            self._send(signal.SIGTERM)
            await asyncio.wait({ended}, timeout=_KILL_AFTER_S)
        if not ended.done():
            log.warning("process.killed", process=self.name, pid=self._process.pid)
            self._send(signal.SIGKILL)
        await ended
        self._process = None

    def _send(self, number: int) -> None:
        assert self._process
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


async def _first(task: "asyncio.Task[int]", event: asyncio.Event, timeout_s: float) -> None:
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({task, waiting}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
