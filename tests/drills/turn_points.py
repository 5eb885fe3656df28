"""The nine points at which a chat turn is cut, and how a turn is made to stand there until the drill has struck.

    claimed · CLI started · asked · mid-stream · tool issued · tool running · tool done · answered · settled
       │           │          └── simulator ──┘      │ hook     │ the tool       │          │
       │           └ a file, looked for by a script before the CLI                │ simulator └ a trigger waits for a lock
       └ a trigger waits for a lock

A point is reached when something that cannot happen before it is seen, and left only when the drill opens it.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal
from uuid import UUID

from jobs_core import Connection, execute, fetch, fetch_one
from jobs_core.db import Row
from sessions.options import find_cli
from sessions.settings import SessionSettings
from sessions.store import load_transcript
from simulator.client import SimulatorControl
from tests.drills.turn_agent import GATE, ISSUED
from tests.drills.waiting import WITHIN_S, until

_START, _ANSWER = 1, 2
"""The locks that the triggers wait for."""

_TRIGGERS = """
CREATE FUNCTION drill_wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint);
    RETURN NEW;
END $$;
CREATE TRIGGER drill_start BEFORE UPDATE ON jobs.jobs FOR EACH ROW
    WHEN (OLD.state = 'claimed' AND NEW.state = 'running') EXECUTE FUNCTION drill_wait(1);
CREATE TRIGGER drill_answer BEFORE INSERT ON jobs.chat_message_history FOR EACH ROW
    WHEN (NEW.type = 'ai') EXECUTE FUNCTION drill_wait(2);
"""

_WAITING = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_CLI = """#!/bin/sh
if test -e {folder}/boot; then
    touch {folder}/booting
    while test -e {folder}/boot; do sleep 0.05; done
fi
exec {cli} "$@"
"""

_BASH = '[[tool Bash {{"command": "echo run >> {runs}; while test -e {busy}; do sleep 0.05; done; echo {result}"}}]]'


@dataclass(frozen=True, slots=True)
class Point:
    """Where a turn is cut, what its script is, and what the cut may cost.

    `requests`: of the whole turn, to the model. `lost`: runs charged to the job. `runs`: of its tool. `told`: what the model
    has to hear of that.
    """

    name: str
    script: str
    requests: int
    lost: int = 1
    runs: int = 0
    told: Literal["", "unknown", "result"] = ""


POINTS = (
    Point("claimed", "[[text {answer}]]", requests=1, lost=0),
    Point("cli_started", "[[text {answer}]]", requests=1),
    Point("asked", "[[hold {hold}]] [[text {answer}]]", requests=2),
    Point("mid_stream", "[[text {half}]] [[hold {hold}]] [[text {rest}]]", requests=2),
    Point("tool_issued", "{bash} [[then]] [[text {answer}]]", requests=2, told="unknown"),
    Point("tool_running", "{bash} [[then]] [[text {answer}]]", requests=2, runs=1, told="unknown"),
    Point("tool_done", "{bash} [[then]] [[hold {hold}]] [[text {answer}]]", requests=3, runs=1, told="result"),
    Point("answered", "[[text {answer}]]", requests=1),
    Point("settled", "[[text {answer}]]", requests=1, lost=0),
)


class Stage:
    """One turn on its way: `close` its point before it sets out, wait until it is `reached`, `open` it after the fault.

    `conn` is the drill's own, outside any pool: it holds the locks.
    """

    def __init__(self, conn: Connection, sim: SimulatorControl, folder: Path, number: int, point: Point) -> None:
        self.point = point
        self.answer = f"Answer-{number}."
        self.result = f"result-{number}"
        self.runs = folder / f"runs-{number}"
        self._conn = conn
        self._sim = sim
        self._folder = folder
        self._hold = f"hold-{number}"
        self._files = {"cli_started": ["boot"], "tool_issued": [GATE], "tool_running": ["busy"]}.get(point.name, [])
        self._lock = {"claimed": _START, "answered": _ANSWER}.get(point.name)

    @staticmethod
    async def prepare(conn: Connection, folder: Path) -> Path:
        """Set up a fresh migrated database and an empty folder; returns the program that is to stand in for the CLI."""
        await execute(conn, _TRIGGERS)
        cli = folder / "claude"
        cli.write_text(_CLI.format(folder=folder, cli=find_cli(SessionSettings(claude_cli=None))))
        cli.chmod(0o755)
        return cli

    def prompt(self) -> str:
        """What is asked: the turn's script."""
        bash = _BASH.format(runs=self.runs, busy=self._folder / "busy", result=self.result)
        half, rest = self.answer[:3], self.answer[3:]
        return self.point.script.format(answer=self.answer, half=half, rest=rest, hold=self._hold, bash=bash)

    async def close(self) -> None:
        """Have the turn stop at its point."""
        for name in self._files:
            (self._folder / name).touch()
        if self._lock:
            await execute(self._conn, "SELECT pg_advisory_lock(%(lock)s)", {"lock": self._lock})

    async def reached(self, session_id: UUID, job_id: int) -> None:
        """Wait until the turn stands at its point, with what happened before it stored, where the CLI has written that."""
        match self.point.name:
            case "claimed" | "answered":
                await until(self._waiting, "a backend waits at the trigger")
            case "cli_started":
                await until(partial(_exists, self._folder / "booting"), "the CLI was started")
            case "asked" | "mid_stream":
                await self._sim.wait_for_request(holding=self._hold, timeout_s=WITHIN_S)
            case "tool_issued":
                await until(partial(_exists, self._folder / ISSUED), "the tool call waits at its hook")
                await until(partial(self._stored, session_id, "assistant", str(self.runs)), "the call is stored")
            case "tool_running":
                await until(partial(_exists, self.runs), "the tool runs")
                await until(partial(self._stored, session_id, "assistant", str(self.runs)), "the call is stored")
            case "tool_done":
                await self._sim.wait_for_request(holding=self._hold, timeout_s=WITHIN_S)
                await until(
                    partial(self._stored, session_id, "user", f'"content": "{self.result}"'), "the result is stored"
                )
            case "settled":
                await until(partial(has_ended, self._conn, job_id), "the job has ended")

    async def open(self) -> None:
        """Let whoever comes next pass. Statements that still wait for the struck worker end without effect first."""
        for waiting in await self._waiting():
            await fetch(self._conn, "SELECT pg_terminate_backend(%(pid)s)", waiting)
        await until(self._nobody_waits, "the backends have ended")
        await execute(self._conn, "SELECT pg_advisory_unlock_all()")
        for name in (*self._files, "booting", ISSUED):
            (self._folder / name).unlink(missing_ok=True)
        await self._sim.release(self._hold)

    async def _waiting(self) -> list[Row]:
        return await fetch(self._conn, _WAITING)

    async def _nobody_waits(self) -> bool:
        return not await self._waiting()

    async def _stored(self, session_id: UUID, kind: str, text: str) -> bool:
        entries = await load_transcript(self._conn, session_id)
        return any(entry["type"] == kind and text in json.dumps(entry) for entry in entries)


async def _exists(path: Path) -> bool:
    return path.exists()  # noqa: ASYNC240 - a look at a local file is faster than a thread for it


async def has_ended(conn: Connection, job_id: int) -> bool:
    """Whether the job is in the history."""
    return await fetch_one(conn, "SELECT FROM jobs.history WHERE id = %(id)s", {"id": job_id}) is not None
