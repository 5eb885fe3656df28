"""A process that runs one turn, to be killed: `python -m tests.support.turn_worker '{"dsn": …, "url": …, …}'`.

Each tool call is deferred where `defers` is given; the run is shown under `topic`, as claim 1, where that is. A turn that came
to its end is settled by nobody.
"""

import asyncio
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID

from jobs_core import Database
from sessions import AgentSetup, Audience, ClaudeSessions, SessionSettings
from tests.support.gate import gate


async def main(given: dict[str, str]) -> None:
    """Run the turn; the test reads nothing from here."""
    settings = SessionSettings(
        ANTHROPIC_BASE_URL=given["url"], ANTHROPIC_API_KEY=given["key"], scratch_folder=Path(given["scratch"])
    )
    async with Database(given["dsn"], name="turn worker") as database:
        sessions = ClaudeSessions(database, settings)
        await sessions.start()
        with gate(lambda _: "defer") if given.get("defers") else nullcontext():
            await sessions.run_turn(
                session_id=UUID(given["session"]),
                epoch=1,
                turn_id=UUID(given["turn"]),
                prompt=given["prompt"],
                agent=AgentSetup("You are a test's agent.", tools=["Bash"], allowed_tools=["Bash"]),
                audience=Audience(given["topic"], 1) if "topic" in given else None,
            )
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
