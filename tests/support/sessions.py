"""What tests of sessions stand on: real CLIs against a simulator, a session in Postgres, and what the model was shown."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil

from jobs_core import AnyJob, Database, Job
from sessions import (
    AgentSetup,
    Audience,
    ClaudeSessions,
    OnEvent,
    RunAccount,
    SessionSettings,
    TurnEnd,
    begin_turn,
    create_session,
    end_turn,
    take_session,
)
from sessions.store import Entries, load_transcript
from simulator.client import SimulatorControl

KEY = "sk-simulated"
SYSTEM_PROMPT = "You are a test's agent."
BASH: dict[str, Any] = {"tools": ["Bash"], "allowed_tools": ["Bash"]}


def session_settings(sim: SimulatorControl, folder: Path, **changes: Any) -> SessionSettings:
    """Settings whose API is the simulator and whose files are the test's."""
    given = {
        "ANTHROPIC_BASE_URL": sim.url,
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CODE_OAUTH_TOKEN": "",
        "scratch_folder": folder / "s",
        "claude_cli": None,
        "silence_s": 60.0,
        **changes,
    }
    return SessionSettings(**given)


@asynccontextmanager
async def agents(
    database: Database, sim: SimulatorControl, folder: Path, **changes: Any
) -> AsyncIterator[ClaudeSessions]:
    """The agents of one worker process, started."""
    sessions = ClaudeSessions(database, session_settings(sim, folder, **changes))
    await sessions.start()
    try:
        yield sessions
    finally:
        await sessions.stop()


@dataclass
class Chat:
    """One session as handlers see it; each `run` takes it anew, as a run of a job does."""

    database: Database
    id: UUID = field(default_factory=uuid4)

    async def begin(self) -> "Chat":
        """Make the session in Postgres."""
        async with self.database.transaction() as conn:
            await create_session(conn, self.id)
        return self

    async def new_turn(self) -> UUID:
        """Begin a turn."""
        turn_id = uuid4()
        async with self.database.transaction() as conn:
            await begin_turn(conn, turn_id=turn_id, session_id=self.id, job_id=1)
        return turn_id

    async def run(
        self,
        sessions: ClaudeSessions,
        turn_id: UUID,
        prompt: Any,
        on_event: OnEvent | None = None,
        *,
        audience: Audience | None = None,
        account: RunAccount | None = None,
        **of_agent: Any,
    ) -> TurnEnd:
        """Take the session and run the turn; what came is not settled."""
        async with self.database.transaction() as conn:
            epoch = await take_session(conn, self.id)
        return await sessions.run_turn(
            session_id=self.id,
            epoch=epoch,
            turn_id=turn_id,
            prompt=prompt,
            agent=AgentSetup(**{"system_prompt": SYSTEM_PROMPT, **of_agent}),
            audience=audience,
            on_event=on_event,
            account=account,
        )

    async def ask(
        self, sessions: ClaudeSessions, prompt: Any, on_event: OnEvent | None = None, **of_agent: Any
    ) -> TurnEnd:
        """Run a new turn to its settled end."""
        turn_id = await self.new_turn()
        end = await self.run(sessions, turn_id, prompt, on_event, **of_agent)
        await self.settle(turn_id)
        return end

    async def settle(self, turn_id: UUID) -> None:
        """Record that the turn was answered."""
        async with self.database.transaction() as conn:
            await end_turn(conn, turn_id)

    async def transcript(self) -> Entries:
        """What is stored of the session."""
        async with self.database.connection() as conn:
            return await load_transcript(conn, self.id)

    async def stored(self, kind: str) -> None:
        """Wait until an entry of this type is stored, or one with a block of this type."""
        async with asyncio.timeout(30):
            while f'"type": "{kind}"' not in json.dumps(await self.transcript()):
                await asyncio.sleep(0.02)


def some_job() -> AnyJob:
    """A job as its run sees it, which stands in no database."""
    now = datetime.now(UTC)
    return Job(1, "chat_turn", "chat", 2, "{}", None, None, None, None, 1, 0, 0, False, now, now, now, 1)


def said(body: dict[str, Any] | None, role: str) -> list[str]:
    """The texts of one role in a recorded request, the CLI's reminders left out."""
    assert body is not None
    texts = []
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == role:
            texts += [block["text"] for block in blocks if block["type"] == "text"]
    return [text for text in texts if not text.startswith("<system-reminder>")]


async def times_asked(sim: SimulatorControl, prompt: str) -> int:
    """How often the last request holds the prompt; the CLI ends it with a newline where it joins messages."""
    return [text.rstrip("\n") for text in said((await sim.requests())[-1].body, "user")].count(prompt)


@asynccontextmanager
async def turn_worker(
    sim: SimulatorControl, scratch: Path, chat: Chat, turn_id: UUID, prompt: str, **given: bool | str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that runs the turn; it is killed at the end of the block, where it was not."""
    async with chat.database.transaction() as conn:
        await take_session(conn, chat.id)
    of_it = {"session": str(chat.id), "turn": str(turn_id), "prompt": prompt, **given}
    where = {"dsn": chat.database.dsn, "url": sim.url, "key": KEY, "scratch": str(scratch)}
    command = [sys.executable, "-m", "tests.support.turn_worker", json.dumps(where | of_it)]
    worker = await asyncio.create_subprocess_exec(*command)
    try:
        yield worker
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()


async def go_on(sim: SimulatorControl, folder: Path, chat: Chat, turn_id: UUID, prompt: str) -> TurnEnd:
    """Another process runs the turn again; then the conversation must hold prompt and answer once."""
    async with agents(chat.database, sim, folder / "on") as sessions:
        end = await chat.run(sessions, turn_id, prompt, **BASH)
        assert await times_asked(sim, prompt) == 1
        await chat.settle(turn_id)
        await chat.ask(sessions, "What now?", **BASH)
    assert await times_asked(sim, prompt) == 1
    assert said((await sim.requests())[-1].body, "assistant").count(end.answer) == 1
    return end


def living() -> list[str]:
    """Our descendants by name, dead ones and the tests' own servers left out."""
    names = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                names.append(" ".join(process.cmdline()))
    return [name for name in names if "postgres" not in name and "simulator" not in name]
