"""Runs one CLI for one turn, in a folder of its own, and leaves nothing of it behind.

    folder ─▶ transcript laid into it ─▶ CLI, mirrored to Postgres ─▶ result ─▶ all its processes killed, folder wiped

The same end comes to a run that is cancelled or has lost its session, at once. Where a person wanted its job ended, the CLI
is interrupted before, so that the transcript says so and no later run goes on with that turn.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobs_core import Database
from jobs_core.job import current
from jobs_core.tasks import end_task
from sessions.account import RunAccount
from sessions.agent import AgentSetup
from sessions.conversation import CliBroke, Content, DeferredCall, Heard, Manners, converse
from sessions.errors import MirrorFailed
from sessions.gate import Gate
from sessions.narrator import Narrator
from sessions.options import CONTINUE_TURN, CONTINUE_WITH, Access, build_options, find_cli
from sessions.processes import kill_run
from sessions.resume import TurnState, answered_calls, without_deferrals, without_last_notes
from sessions.scratch import RunFolder, Scratch
from sessions.settings import SessionSettings
from sessions.store import Entries, TranscriptStore
from sessions.tool_calls import HeldTurn

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeAgentOptions, Message

_INTERRUPT_S = 1.5
"""How long an interrupted CLI may take to say so: 40 ms are usual."""


@dataclass(frozen=True, slots=True)
class TurnRun:
    """One run of a turn: whose it is, what is asked, of which agent, who tells how it goes, whom it is counted for.

    stop: set when a person wants it stopped for good.
    """

    session_id: UUID
    epoch: int
    turn_id: UUID
    prompt: Content
    agent: AgentSetup
    narrator: Narrator
    account: RunAccount
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class CliHost:
    """The CLIs of one process."""

    def __init__(self, db: Database, settings: SessionSettings) -> None:
        self._db = db
        self._settings = settings
        self._scratch = Scratch(settings.scratch_folder)
        self._starts = asyncio.Semaphore(settings.cli_starts_at_once)
        self._homes: set[Path] = set()

    def open(self) -> None:
        """Find the CLI and a place for its files; raises ConfigurationError where one is missing."""
        find_cli(self._settings)
        self._scratch.open()

    def close(self) -> None:
        """Wipe this process' files."""
        self._scratch.close()

    def kill_all(self) -> None:
        """Kill every CLI that runs, with all its descendants."""
        for home in list(self._homes):
            kill_run(home)

    async def run(self, turn: TurnRun, entries: Entries, stands: TurnState, access: Access, told: str = "") -> Heard:
        """Run a CLI for a turn that stands so in the transcript `entries`; it reaches the model by `access`.

        told: what one that was interrupted must know.

        Raises CliBroke, MirrorFailed, what the agent's gate raised, and LeaseLost where another run has taken the session.
        """
        with self._scratch.run_folder(turn.turn_id) as folder:
            self._homes.add(folder.home)
            try:
                talk = self._talk(turn, entries, stands, folder, access=access, told=told)
                return await _to_its_end(talk, folder.home, turn.stop)
            finally:
                kill_run(folder.home)  # what a tool left running
                self._homes.discard(folder.home)

    async def _talk(
        self, turn: TurnRun, entries: Entries, stands: TurnState, folder: RunFolder, *, access: Access, told: str
    ) -> Heard:
        turn.narrator.begin()
        kill = partial(kill_run, folder.home)
        store = TranscriptStore(self._db, turn.session_id, turn.epoch, on_lost=kill)
        cwd = turn.agent.workspace or self._scratch.empty
        options = build_options(
            self._settings, folder, turn.agent, cwd=cwd, access=access, store=store, known_calls=answered_calls(entries)
        )
        options = _of_session(options, turn.session_id, stands, told)
        gate = self._gate(turn, kill)
        options = gate.guard(options) if gate else options
        resumed = without_deferrals(entries, but=stands.call)
        _lay_transcript(folder, cwd, turn.session_id, without_last_notes(resumed) if stands.to_go_on else resumed)
        try:
            heard = await converse(
                options,
                _user_message(turn) if stands.to_ask else None,
                Manners(
                    self._settings.silence_s,
                    self._starts,
                    kill,
                    partial(_hear, turn.narrator, gate),
                    turn.stop,
                ),
            )
        except (CliBroke, MirrorFailed):
            if ended_by := store.lost or (gate and gate.failed):
                raise ended_by from None
            raise
        if ended_by := store.lost or (gate and gate.failed):
            raise ended_by
        return _as_asked(heard, gate) if gate else heard

    def _gate(self, turn: TurnRun, kill: Callable[[], object]) -> Gate | None:
        agent = turn.agent
        if agent.decide is None:
            return None
        held = HeldTurn(turn.session_id, turn.epoch, turn.turn_id)
        return Gate(self._db, held, agent.decide, account=turn.account, on_tool_end=agent.on_tool_end, stop=kill)


def _hear(narrator: Narrator, gate: Gate | None, message: "Message") -> None:
    narrator.hear(message)
    if gate:
        gate.hear(message)


def _as_asked(heard: Heard, gate: Gate) -> Heard:
    """What was heard, with the deferred call as its hook saw it: that is how it is asked about again."""
    call = gate.seen(heard.deferred.id) if heard.deferred else None
    return replace(heard, deferred=DeferredCall(call.id, call.name, call.input)) if call else heard


async def _to_its_end(conversation: Coroutine[Any, Any, Heard], home: Path, stop: asyncio.Event) -> Heard:
    """Await a conversation in a task of its own; cancelled, kill its CLI and wait for its end, however often cancelled.

    A second cancel while the SDK closes its client would leave the CLI and its tools running. `stop` has it interrupted.
    """
    task = asyncio.create_task(conversation)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if (job := current.get(None)) and job.cancelled:
            stop.set()
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task}, timeout=_INTERRUPT_S)
        kill_run(home)
        await end_task(task)
        if not task.cancelled():
            task.exception()  # it ended by itself at the same moment; nobody asks how any more
        raise


def _of_session(options: "ClaudeAgentOptions", session_id: UUID, stands: TurnState, told: str) -> "ClaudeAgentOptions":
    """The options for a session that is new, or resumed from the transcript in the run's own folder.

    `--resume` goes in as an extra argument, because `resume=` would have the SDK load the transcript once more and lay it
    out in the system's temporary folder, where kill -9 leaves it.
    """
    if stands.state == "absent":
        return replace(options, session_id=str(session_id))
    env = dict(options.env)
    if stands.to_go_on:
        env |= CONTINUE_TURN
    if told:
        env[CONTINUE_WITH] = f"Continue from where you left off.\n\n{told}"
    return replace(options, extra_args=options.extra_args | {"resume": str(session_id)}, env=env)


def _lay_transcript(folder: RunFolder, cwd: Path, session_id: UUID, entries: Entries) -> None:
    """Put the transcript where the CLI looks for it: under the name of its working directory, whatever host wrote it."""
    from claude_agent_sdk import project_key_for_directory

    project = folder.config / "projects" / project_key_for_directory(str(cwd))
    project.mkdir(parents=True)
    if entries:
        with (project / f"{session_id}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)


def _user_message(turn: TurnRun) -> dict[str, Any]:
    return {
        "type": "user",
        "uuid": str(turn.turn_id),
        "message": {"role": "user", "content": turn.prompt},
        "parent_tool_use_id": None,
    }
