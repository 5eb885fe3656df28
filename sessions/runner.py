"""Runs turns of Claude sessions, wherever they were left off.

    transcript ─ classify ─▶ finished: the recorded answer, no CLI is started
                             absent, unseen: ask          ┐
                             interrupted, …: go on        ├▶ one CLI ─▶ result ─▶ answer, call to decide, or an error
                                                          ┘     └─ broke: classify again and once more, then raise

Nothing of a session lives in this process: the transcript is loaded before each CLI and mirrored while that runs, and the
CLI's files are wiped after it. So any worker can run any turn, and one that died has lost what was not mirrored, no more.
"""

import logging
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import structlog

from jobs_core import Database
from sessions.agent import AgentSetup
from sessions.cli_host import CliHost, TurnRun
from sessions.conversation import CliBroke, Content, DeferredCall, OnEvent
from sessions.errors import ModelUnavailable, TranscriptLost, TurnFailed
from sessions.failures import to_error
from sessions.records import has_transcript, last_answered_turn
from sessions.resume import TurnState, classify
from sessions.settings import SessionSettings
from sessions.store import Entries, load_transcript
from sessions.tool_calls import calls_of_turn, word_of_lost_calls

Source = Literal["asked", "resumed", "recorded"]

_STARTS = 2  # a second CLI, where the first one broke; what breaks both is the queue's to retry
_NOT_IN_IT = ("absent", "unseen")
_GONE = "Your last call, {call}, was not run: its tool is not there any more. Go on without it."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """A turn's answer, and the usage the provider counted for this run (None where the answer was on record).

    With `deferred` there is no answer yet: the call waits for a decision, and `run_turn` goes on once there is one.
    """

    answer: str
    usage: dict[str, Any] | None
    source: Source
    deferred: DeferredCall | None = None


class ClaudeSessions:
    """The agents of one worker process; a `jobs_core.Resource`.

    Its event loop must run in the main thread: a CLI gets its death signal when the *thread* that started it ends.
    """

    def __init__(self, db: Database, settings: SessionSettings) -> None:
        self._db = db
        self._host = CliHost(db, settings)

    async def start(self) -> None:
        """Find the CLI and wipe what killed processes left.

        Raises ConfigurationError where there is no CLI or no place for its files.
        """
        # The SDK raises whatever it logs, and logs each kill of ours as a fatal error.
        logging.getLogger("claude_agent_sdk").setLevel(logging.CRITICAL)
        self._host.open()

    async def lease_lost(self) -> None:
        """Kill every CLI that runs, with all its descendants."""
        self._host.kill_all()

    async def stop(self) -> None:
        """Wipe this process' files."""
        self._host.close()

    async def run_turn(
        self,
        *,
        session_id: UUID,
        epoch: int,
        turn_id: UUID,
        prompt: Content,
        agent: AgentSetup,
        on_event: OnEvent | None = None,
    ) -> TurnEnd:
        """Get the answer to `prompt`, whose uuid is `turn_id`, in a session taken under `epoch`; no transaction is held.

        Call it again with the same arguments after any failure or crash: the prompt is asked once, and an answer that
        was given is not asked for again. Cancelled, it leaves no process behind.

        Raises the errors of this room; LeaseLost where another run has taken the session.
        """
        turn = TurnRun(session_id, epoch, turn_id, prompt, agent, on_event)
        starts, broken, gone = 0, "", ""
        while starts < _STARTS:
            entries, stands = await self._look(turn)
            if gone and stands.call == gone:
                stands = TurnState("interrupted")
            if stands.state == "finished":
                return TurnEnd(_not_empty(stands.answer), None, "recorded")
            if stands.state == "cancelled":
                raise TurnFailed(f"Turn {turn_id} was stopped by a person")
            try:
                heard = await self._host.run(turn, entries, stands, await self._told(turn, entries, stands, gone))
            except CliBroke as error:
                starts, broken = starts + 1, str(error)
                log.warning("cli.broke", session_id=str(session_id), turn_id=str(turn_id), reason=broken)
                continue
            if heard.tool_gone and not gone and stands.call:
                gone = stands.call
                continue
            if heard.tool_gone:
                raise TurnFailed(f"Turn {turn_id} cannot go on: the tool of its call {gone} is gone")
            if heard.failure:
                raise to_error(heard.failure)
            source: Source = "asked" if stands.state in _NOT_IN_IT else "resumed"
            if heard.deferred:
                return TurnEnd("", heard.usage, source, heard.deferred)
            _, now = await self._look(turn)  # the transcript holds what was said before a crash or a token limit, too
            return TurnEnd(_not_empty(now.answer or heard.answer), heard.usage, source)
        raise ModelUnavailable(f"The Claude Code CLI broke twice in turn {turn_id}: {broken}")

    async def _told(self, turn: TurnRun, entries: Entries, stands: TurnState, gone: str) -> str:
        """What a model that is to go on must know, which its transcript does not say."""
        if stands.state not in {"interrupted", "api_error"}:
            return ""
        async with self._db.connection() as conn:
            lost = word_of_lost_calls(await calls_of_turn(conn, turn.turn_id), entries)
        return "\n\n".join(part for part in (gone and _GONE.format(call=gone), lost) if part)

    async def _look(self, turn: TurnRun) -> tuple[Entries, TurnState]:
        """Load the transcript and say where the turn stands.

        Raises TranscriptLost where it is gone or lacks an answered turn: what would answer is a model that forgot everything;
        LeaseLost where another run has taken the session: one that woke from a freeze would start a CLI beside that run's.
        """
        async with self._db.connection() as conn:
            had_one = await has_transcript(conn, turn.session_id, turn.epoch)
            answered = await last_answered_turn(conn, turn.session_id)
            entries = await load_transcript(conn, turn.session_id)
        if had_one and not entries:
            raise TranscriptLost(
                f"Session {turn.session_id} had a transcript, of which nothing is left: restore it, or begin a new session"
            )
        if answered and classify(entries, str(answered)).state in _NOT_IN_IT:
            raise TranscriptLost(
                f"Session {turn.session_id} has answered turn {answered}, but its transcript of {len(entries)} entries "
                "does not hold it: restore the transcript, or begin a new session"
            )
        return entries, classify(entries, str(turn.turn_id))


def _not_empty(answer: str | None) -> str:
    if not answer:
        raise TurnFailed("The model's answer was empty")
    return answer
