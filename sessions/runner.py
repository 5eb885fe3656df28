"""Runs turns of Claude sessions, wherever they were left off.

    transcript ─ classify ─▶ finished: the recorded answer, no CLI is started
                             absent, unseen: ask          ┐
                             interrupted, …: go on        ├▶ one CLI ─▶ result ─▶ answer, call to decide, or an error
                                                          ┘   │ └─ broke: classify again and once more, then raise
                                                              └─ model proxy ─▶ API

Nothing of a session lives in this process: the transcript is loaded before each CLI and mirrored while that runs, and the
CLI's files are wiped after it. So any worker can run any turn, and one that died has lost what was not mirrored, no more.
"""

import logging
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import structlog

from jobs_core import Database
from sessions.account import RunAccount, Usage
from sessions.agent import AgentSetup
from sessions.cli_host import CliHost, TurnRun
from sessions.conversation import CliBroke, Content, DeferredCall, Heard
from sessions.errors import AgentBroke, ModelUnavailable, TranscriptLost, TurnFailed
from sessions.events import OnEvent
from sessions.failures import to_error
from sessions.live import Live
from sessions.live_rows import Audience, Held
from sessions.narrator import Narrator
from sessions.options import Access
from sessions.records import fence_session, has_transcript, last_answered_turn
from sessions.resume import TurnState, classify
from sessions.settings import SessionSettings
from sessions.store import Entries, load_transcript
from sessions.tool_calls import calls_of_turn, word_of_lost_calls
from sessions.usage import close_open_calls
from sessions.usage_check import differs_from_result

if TYPE_CHECKING:
    from sessions.model_proxy.news import ProviderWatch
    from sessions.model_proxy.proxy import ModelProxy
    from sessions.model_proxy.run import ProxyRun

Source = Literal["asked", "resumed", "recorded"]

_STARTS = 2  # a second CLI, where the first one broke; what breaks both is the queue's to retry
_OVER = ("finished", "cancelled")
_NOTHING = Usage()
_GONE = "Your last call, {call}, was not run: its tool is not there any more. Go on without it."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """A turn's answer, and the usage the provider counted for this run (None where the answer was on record).

    With `deferred` there is no answer yet: the call waits for a decision, and `run_turn` goes on once there is one.
    used: what this run used by the ledger, subagents included; of the whole turn, `usage_of_turn` tells. structured: the value,
    where the agent has a `result_schema`; `answer` is its JSON then.
    """

    answer: str
    usage: dict[str, Any] | None
    source: Source
    deferred: DeferredCall | None = None
    used: Usage = _NOTHING
    structured: dict[str, Any] | None = None

    @property
    def cost_usd(self) -> Decimal:
        """What this run cost, by list price."""
        return self.used.cost_usd


class ClaudeSessions:
    """The agents of one worker process; a `jobs_core.Resource`.

    Its event loop must run in the main thread: a CLI gets its death signal when the *thread* that started it ends.
    """

    def __init__(self, db: Database, settings: SessionSettings, watch: "ProviderWatch | None" = None) -> None:
        self._db = db
        self._settings = settings
        self._watch = watch
        self._host = CliHost(db, settings)
        self._proxy: ModelProxy | None = None
        self._live = Live(db)

    async def start(self) -> None:
        """Find the CLI and wipe what killed processes left.

        Raises ConfigurationError where there is no CLI or no place for its files.
        """
        # The SDK raises whatever it logs, and logs each kill of ours as a fatal error.
        logging.getLogger("claude_agent_sdk").setLevel(logging.CRITICAL)
        self._host.open()
        self._live.start()

    async def lease_lost(self) -> None:
        """Kill every CLI that runs, with all its descendants, and end every call to the API."""
        self._host.kill_all()
        if self._proxy:
            self._proxy.cut_runs()

    async def stop(self) -> None:
        """Write the last of what is shown, and wipe this process' files."""
        await self._live.stop()
        self._host.close()
        if self._proxy:
            await self._proxy.stop()

    async def run_turn(
        self,
        *,
        session_id: UUID,
        epoch: int,
        turn_id: UUID,
        prompt: Content,
        agent: AgentSetup,
        audience: Audience | None = None,
        on_event: OnEvent | None = None,
        account: RunAccount | None = None,
    ) -> TurnEnd:
        """Get the answer to `prompt`, whose uuid is `turn_id`, in a session taken under `epoch`; no transaction is held.

        Call it again with the same arguments after any failure or crash: the prompt is asked once, and an answer that
        was given is not asked for again. Cancelled, it leaves no process behind. account: whose usage it is, and how much it
        may be; None: nobody's, without a cap.

        audience: who may watch the run (docs/live.md). on_event: told the same events, in this process.

        Raises the errors of this room; LeaseLost where another run has taken the session; what the database raises, where no
        call could be recorded and so none was made.
        """
        tell = [on_event] if on_event else []
        live = self._live.open(Held(session_id, epoch), audience, turn_id) if audience else None
        if live:
            tell.append(live.tell)
        account = account or RunAccount(turn_id, token=0)
        turn = TurnRun(session_id, epoch, turn_id, prompt, agent, Narrator(*tell), account)
        how = "broke"
        try:
            end = await self._through_proxy(turn)
            how = "deferred" if end.deferred else "answered"
            return end
        finally:
            if live:
                live.end(how)

    async def _through_proxy(self, turn: TurnRun) -> TurnEnd:
        entries, stands = await self._look(turn)
        if stands.state in _OVER:  # no CLI runs that would close what a run that crashed behind the answer left open
            async with self._db.transaction() as conn:
                await fence_session(conn, turn.session_id, turn.epoch)
                await close_open_calls(conn, turn.turn_id)
        if end := _on_record(turn, stands):
            return end
        async with self._model_proxy().run(turn.account, turn.session_id, turn.epoch) as (api, url):
            api.on_used = turn.narrator.spent
            return await self._run(turn, entries, stands, api, Access(url, api.credential))

    def _model_proxy(self) -> "ModelProxy":
        if self._proxy is None:
            from sessions.model_proxy.proxy import ModelProxy

            self._proxy = ModelProxy(self._settings, self._db, self._watch)
        return self._proxy

    async def _run(
        self, turn: TurnRun, entries: Entries, stands: TurnState, api: "ProxyRun", access: Access
    ) -> TurnEnd:
        starts, broken, gone = 0, CliBroke(""), ""
        while starts < _STARTS:
            if gone and stands.call == gone:
                stands = TurnState("interrupted")
            try:
                told = await self._told(turn, entries, stands, gone)
                heard = await self._host.run(turn, entries, stands, access, told)
            except CliBroke as error:
                if api.refused:
                    raise api.refused from None
                starts, broken = starts + 1, error
                log.warning("cli.broke", session_id=str(turn.session_id), turn_id=str(turn.turn_id), reason=str(broken))
                entries, stands = await self._look(turn)
                if end := _on_record(turn, stands, api.used):
                    return end
                continue
            _compare(turn, api.used, heard, entries)
            if heard.tool_gone and not gone and stands.call:
                gone = stands.call
                entries, stands = await self._look(turn)
                continue
            if heard.tool_gone:
                raise TurnFailed(f"Turn {turn.turn_id} cannot go on: the tool of its call {gone} is gone")
            if heard.failure:
                raise api.refused or to_error(replace(heard.failure, retry_after_s=api.retry_after_s))
            source: Source = "asked" if stands.to_ask else "resumed"
            if heard.deferred:
                return TurnEnd("", heard.usage, source, heard.deferred, used=api.used)
            _, now = await self._look(turn)  # the transcript holds what was said before a crash or a token limit, too
            return _end(turn, now, TurnEnd(heard.answer, heard.usage, source, used=api.used))
        unavailable = ModelUnavailable if broken.silent else AgentBroke
        raise unavailable(f"The Claude Code CLI broke twice in turn {turn.turn_id}: {broken}")

    async def _told(self, turn: TurnRun, entries: Entries, stands: TurnState, gone: str) -> str:
        """What a model that is to go on must know, which its transcript does not say."""
        if stands.to_ask:
            return ""
        async with self._db.connection() as conn:
            lost = word_of_lost_calls(await calls_of_turn(conn, turn.turn_id), entries, waits=stands.call)
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
        if answered and classify(entries, str(answered)).to_ask:
            raise TranscriptLost(
                f"Session {turn.session_id} has answered turn {answered}, but its transcript of {len(entries)} entries "
                "does not hold it: restore the transcript, or begin a new session"
            )
        return entries, classify(entries, str(turn.turn_id))


def _on_record(turn: TurnRun, stands: TurnState, used: Usage = _NOTHING) -> TurnEnd | None:
    """The end of a turn that needs no CLI (any more). Raises TurnFailed for one that was stopped."""
    if stands.state == "cancelled":
        raise TurnFailed(f"Turn {turn.turn_id} was stopped by a person")
    if stands.state == "finished":
        return _end(turn, stands, TurnEnd("", None, "recorded", used=used))
    return None


def _compare(turn: TurnRun, used: Usage, heard: Heard, entries: Entries) -> None:
    """Say where the CLI counts otherwise than the ledger; where calls were cut, or the price is a guess, that is no wonder."""
    if how := differs_from_result(used, heard.cost_usd, entries):
        log.info("usage.differed", turn_id=str(turn.turn_id), how=how, estimated_calls=used.estimated_calls)


def _end(turn: TurnRun, stands: TurnState, end: TurnEnd) -> TurnEnd:
    """A turn's end as the transcript has it, of the whole turn and not of the last run.

    Raises TurnFailed for an empty answer, and for words where a value was asked for: the CLI calls both a success.
    """
    answer = stands.answer or end.answer
    if not answer:
        raise TurnFailed("The model's answer was empty")
    if turn.agent.result_schema is not None and not isinstance(stands.structured, dict):
        raise TurnFailed("The model answered in words where a result of the given form was asked for")
    return replace(end, answer=answer, structured=stands.structured if turn.agent.result_schema else None)
