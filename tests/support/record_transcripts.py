"""Records transcripts of the real CLI for tests/unit/transcripts: `python -m tests.support.record_transcripts`.

Run it when claude-agent-sdk is updated, and look at what the diff says about the rules in sessions/resume.py. Kept of each
entry is what those rules read.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, HookMatcher, InMemorySessionStore
from claude_agent_sdk.types import SyncHookJSONOutput

import simulator
from simulator.client import SimulatorControl

FOLDER = Path(__file__).parents[1] / "unit" / "transcripts"
TURN, SECOND, THIRD = (f"{n}{n}{n}{n}{n}{n}{n}{n}-0000-4000-8000-000000000000" for n in "123")
WAITING_TOOL = '[[tool Bash {"command": "until test -e go; do sleep 0.1; done"}]] [[then]] [[text Done.]]'
READ = (
    *("type", "uuid", "isSidechain", "isMeta", "promptSource", "mergedSendUuids", "isApiErrorMessage"),
    *("attachment", "message"),
)
READ_OF_MESSAGE = ("id", "role", "model", "stop_reason", "content")
READ_OF_ATTACHMENT = ("type", "toolUseID", "source_uuid", "data")


class Recording:
    """One client whose transcript is recorded."""

    def __init__(self, sim: SimulatorControl, folder: Path, **options: Any) -> None:
        self.sim = sim
        self.store = InMemorySessionStore()
        environment = {"ANTHROPIC_BASE_URL": sim.url, "ANTHROPIC_API_KEY": "any", "CLAUDE_CODE_MAX_RETRIES": "0"}
        environment |= {"CLAUDE_CONFIG_DIR": str(folder), "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
        self.folder = folder
        self.client = ClaudeSDKClient(
            ClaudeAgentOptions(
                model="claude-sonnet-5",
                tools=["Bash"],
                allowed_tools=["Bash"],
                setting_sources=[],
                verbatim_prompts=True,
                session_store=self.store,
                session_store_flush="eager",
                cwd=folder,
                env=environment,
                **options,
            )
        )

    async def send(self, turn_id: str, text: str) -> None:
        """Send a prompt."""

        async def once() -> AsyncIterator[dict[str, Any]]:
            message = {"role": "user", "content": text}
            yield {"type": "user", "uuid": turn_id, "message": message, "parent_tool_use_id": None}

        await self.client.query(once())

    async def result(self) -> None:
        """Wait for the end of a turn."""
        async for _ in self.client.receive_response():
            pass

    def rows(self) -> list[dict[str, Any]]:
        """The main transcript so far, cut to what the rules read."""
        return [trim(dict(entry)) for entries in self.store._store.values() for entry in entries]

    async def stored(self, text: str) -> None:
        """Wait until an entry holds this text."""
        async with asyncio.timeout(20):
            while text not in str(self.store._store):
                await asyncio.sleep(0.02)


def trim(entry: dict[str, Any]) -> dict[str, Any]:
    """Keep of an entry what the rules read."""
    kept = {name: entry[name] for name in READ if name in entry}
    for name, parts in (("message", READ_OF_MESSAGE), ("attachment", READ_OF_ATTACHMENT)):
        if name in kept:
            kept[name] = {part: kept[name][part] for part in parts if part in kept[name]}
    return kept


# One function a case: it stops where the transcript shall stop.


async def finished(r: Recording) -> None:
    await r.send(TURN, "[[think Hm.]] [[text One, ]] [[think And?]] [[text two.]]")
    await r.result()


async def before_answer(r: Recording) -> None:
    await r.send(TURN, "[[hold h]]")
    await r.sim.wait_for_request(holding="h")
    await r.stored(TURN)


async def tool_running(r: Recording) -> None:
    await r.send(TURN, WAITING_TOOL)
    await r.stored("tool_use")


async def tool_done(r: Recording) -> None:
    await r.send(TURN, '[[tool Bash {"command": "echo hi"}]] [[then]] [[hold h]]')
    await r.sim.wait_for_request(holding="h")
    await r.stored("tool_result")


async def api_error(r: Recording) -> None:
    await r.send(TURN, "[[error 403]]")
    await r.result()


async def cancelled(r: Recording) -> None:
    await r.send(TURN, "[[text Half ]] [[hold h]]")
    await r.sim.wait_for_request(holding="h")
    await r.client.interrupt()
    await r.result()


async def deferred(r: Recording) -> None:
    await r.send(TURN, '[[tool Bash {"command": "echo hi"}]] [[then]] [[text Done.]]')
    await r.result()


async def structured(r: Recording) -> None:
    await r.send(TURN, '[[tool StructuredOutput {"colour": "grün"}]]')
    await r.result()


async def merged(r: Recording) -> None:
    await r.send(TURN, "[[hold h]] [[text First.]]")
    await r.sim.wait_for_request(holding="h")
    await r.send(SECOND, "And this.")
    await r.send(THIRD, "And that. [[text Both.]]")
    await r.sim.release("h")
    await r.result()
    await r.result()


async def taken_in(r: Recording) -> None:
    await r.send(TURN, WAITING_TOOL)
    await r.stored("tool_use")
    await r.send(SECOND, "Hurry up.")
    await r.stored("Hurry up.")
    (r.folder / "go").touch()
    await r.result()


async def _defer(*_: Any) -> SyncHookJSONOutput:
    return {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "defer"}}


SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
CASES: dict[Callable[[Recording], Awaitable[None]], dict[str, Any]] = {
    finished: {},
    before_answer: {},
    tool_running: {},
    tool_done: {},
    api_error: {},
    cancelled: {},
    deferred: {"hooks": {"PreToolUse": [HookMatcher(hooks=[_defer], on_failure="block")]}},
    structured: {"output_format": {"type": "json_schema", "schema": SCHEMA}},
    merged: {},
    taken_in: {},
}


async def main() -> None:
    """Record all cases anew."""
    FOLDER.mkdir(exist_ok=True)
    with simulator.running() as sim:
        for case, options in CASES.items():
            await sim.reset()
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                recording = Recording(sim, Path(folder), **options)
                async with recording.client:
                    await case(recording)
                    rows = recording.rows()
                    (Path(folder) / "go").touch()
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
            (FOLDER / f"{case.__name__}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
