"""The one gate of a run: every tool call of its CLI is decided here before it runs, recorded, and decided once.

    CLI ─ PreToolUse hook ─┬─▶ one decision a call id ─▶ audit and journal, fenced ─▶ allow │ deny │ defer
        └ can_use_tool ────┘          └─ anything goes wrong: the CLI is killed, and its run raises what it was
        ─ PostToolUse ─────────▶ journal: ended ─▶ on_tool_end

Both doors are needed. The hook is asked for every call, in subagents too, but a resumed CLI runs a deferred call as soon as
it has started, and may do so before its hooks are registered. It waits for in-process MCP servers, so there is always one; and
what still passes the hook by must ask `can_use_tool`, because no option here allows anything by itself.

A gate belongs to one CLI. A second CLI of the same run must ask anew: an answer that allowed the first one to run an approved
call would let the second run it again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from jobs_core import Database
from sessions.bypass import has_own_server, refuse_bypass
from sessions.tool_calls import Held, record_decision, record_end
from sessions.verdicts import (
    Acting,
    Allow,
    Ask,
    Decide,
    Deny,
    OnToolEnd,
    ToolCall,
    ToolEnd,
    Verdict,
    canonical,
    digest_of,
)

if TYPE_CHECKING:
    from claude_agent_sdk import AssistantMessage, ClaudeAgentOptions
    from claude_agent_sdk.types import PermissionResult, ToolPermissionContext

ONE_AT_A_TIME = (
    "Another call of this message waits for approval. One approval at a time: ask again once that one is decided."
)
IN_SUBAGENT = (
    "This call needs approval, and nobody can be asked from within a subagent. Do without it, and say in your report that the "
    "main agent has to make it."
)
NOT_PUT_OFF = "This call needs approval and could not be put off just now. Make it once more."
CALLED_BEFORE = (
    "This very call went to its tool before, in a run that was cut off: its outcome is unknown, and it was not run again. "
    "Check whether it took effect before you rely on it or repeat it."
)
CHANGED = "This call's arguments changed after it was decided, so it was not run."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call as it was first asked about, and what is said of it."""

    call: ToolCall
    verdict: "asyncio.Future[Verdict]"


class Gate:
    """The gate of one CLI. `stop` ends that CLI; `failed` says why it did."""

    def __init__(
        self,
        db: Database,
        held: Held,
        decide: Decide,
        *,
        acting: Acting,
        on_tool_end: OnToolEnd | None,
        stop: Callable[[], object],
    ) -> None:
        self.failed: Exception | None = None
        self._db = db
        self._held = held
        self._decide = decide
        self._acting = acting
        self._on_tool_end = on_tool_end
        self._stop = stop
        self._asked: dict[str, _Asked] = {}
        self._message_of: dict[str, str | None] = {}
        self._deferred: ToolCall | None = None

    def guard(self, options: "ClaudeAgentOptions") -> "ClaudeAgentOptions":
        """The options under which each call of a CLI comes here. Raises TurnFailed for those that would let one pass by."""
        from claude_agent_sdk import HookMatcher, create_sdk_mcp_server

        refuse_bypass(options)
        assert isinstance(options.mcp_servers, dict)
        waited_for = {} if has_own_server(options) else {"gate": create_sdk_mcp_server("gate")}
        hooks: Any = {
            "PreToolUse": [HookMatcher(hooks=[self._before], on_failure="block")],
            "PostToolUse": [HookMatcher(hooks=[self._after])],
            "PostToolUseFailure": [HookMatcher(hooks=[self._after])],
        }
        return replace(
            options,
            permission_mode="default",
            can_use_tool=self._can_use,
            hooks=hooks,
            mcp_servers={**options.mcp_servers, **waited_for},
        )

    def heard(self, message: "AssistantMessage") -> None:
        """Take note of which calls a message holds."""
        from claude_agent_sdk import ToolUseBlock

        for block in message.content:
            if isinstance(block, ToolUseBlock):
                self._message_of[block.id] = message.message_id

    def seen(self, call_id: str) -> ToolCall | None:
        """A call as it was asked about."""
        asked = self._asked.get(call_id)
        return asked.call if asked else None

    async def _before(self, given: Any, _call_id: str | None, _context: Any) -> Any:
        """The PreToolUse hook."""
        verdict = await self._answer(_call_of(given), can_defer=True)
        said: dict[str, Any] = {"hookEventName": "PreToolUse"}
        match verdict:
            case Allow(changed):
                said |= {"permissionDecision": "allow"} | ({} if changed is None else {"updatedInput": changed})
            case Deny(reason):
                said |= {"permissionDecision": "deny", "permissionDecisionReason": reason}
            case Ask():
                said |= {"permissionDecision": "defer"}
        return {"hookSpecificOutput": said}

    async def _can_use(self, name: str, given: dict[str, Any], context: "ToolPermissionContext") -> "PermissionResult":
        """The permission callback, which cannot put a call off."""
        from claude_agent_sdk import PermissionResultAllow, PermissionResultDeny

        call = ToolCall(context.tool_use_id or "", name, given, subagent=context.agent_id is not None)
        match await self._answer(call, can_defer=False):
            case Allow(changed):
                return PermissionResultAllow(updated_input=changed)
            case Deny(reason):
                return PermissionResultDeny(message=reason)
            case Ask():
                return PermissionResultDeny(message=NOT_PUT_OFF)

    async def _answer(self, call: ToolCall, *, can_defer: bool) -> Verdict:
        """The call's one verdict, whichever door asks and however often."""
        asked = self._asked.get(call.id)
        if asked is None:
            judging = asyncio.ensure_future(self._judge(call, can_defer=can_defer))
            asked = self._asked[call.id] = _Asked(call, judging)
        verdict = await asyncio.shield(asked.verdict)
        if _is_same(asked.call, verdict, call):
            return verdict
        return await self._record(call, Deny(CHANGED, by="gate: it changed"))

    async def _judge(self, call: ToolCall, *, can_defer: bool) -> Verdict:
        try:
            verdict = await self._decide(call)
        except Exception as error:
            self._fail(error)
            raise
        return await self._record(call, self._bounded(call, verdict, can_defer=can_defer))

    async def _record(self, call: ToolCall, verdict: Verdict) -> Verdict:
        """The verdict, once it is written down; a call that went to its tool before does not go there again."""
        try:
            async with self._db.connection() as conn:
                may_run = await record_decision(conn, self._held, self._acting, call, verdict)
        except Exception as error:
            self._fail(error)
            raise
        if isinstance(verdict, Allow) and not may_run:
            verdict = Deny(CALLED_BEFORE, by="journal")
        log.info("tool_call.decided", tool=call.name, call_id=call.id, verdict=type(verdict).__name__, by=verdict.by)
        return verdict

    def _bounded(self, call: ToolCall, verdict: Verdict, *, can_defer: bool) -> Verdict:
        """The verdict as far as the CLI can carry it out: of two deferred calls of a message it drops the first, untold."""
        if not isinstance(verdict, Ask):
            return verdict
        if call.subagent:
            return Deny(IN_SUBAGENT, verdict.by)
        if not can_defer:
            return Deny(NOT_PUT_OFF, verdict.by)
        if self._deferred and self._deferred.id != call.id and not self._stand_apart(self._deferred, call):
            return Deny(ONE_AT_A_TIME, verdict.by)
        self._deferred = call
        return verdict

    def _stand_apart(self, deferred: ToolCall, call: ToolCall) -> bool:
        """Whether these are known to stand in two messages: the first one's was taken back, when its connection broke."""
        first, second = self._message_of.get(deferred.id), self._message_of.get(call.id)
        return first is not None and second is not None and first != second

    async def _after(self, given: Any, _call_id: str | None, _context: Any) -> Any:
        """The PostToolUse and PostToolUseFailure hooks."""
        asked = self._asked.get(given["tool_use_id"])
        if asked is None or not asked.verdict.done() or not isinstance(asked.verdict.result(), Allow):
            return {}  # it went to no tool
        failed = given["hook_event_name"] == "PostToolUseFailure"
        returned = given.get("error") if failed else given.get("tool_response")
        try:
            async with self._db.connection() as conn:
                await record_end(conn, self._held, asked.call, failed=failed)
            if self._on_tool_end:
                await self._on_tool_end(asked.call, ToolEnd(failed, digest_of(canonical({"returned": returned}))))
        except Exception as error:
            self._fail(error)
            raise
        return {}

    def _fail(self, error: Exception) -> None:
        """End the run: a CLI that only heard that its hook broke would go on without the call."""
        self.failed = self.failed or error
        self._stop()


def _call_of(given: Any) -> ToolCall:
    return ToolCall(given["tool_use_id"], given["tool_name"], given["tool_input"], subagent="agent_id" in given)


def _is_same(first: ToolCall, verdict: Verdict, call: ToolCall) -> bool:
    """Whether a call asked about again is what was decided, or what it was changed to."""
    known = {canonical(first.input)}
    if isinstance(verdict, Allow) and verdict.input is not None:
        known.add(canonical(verdict.input))
    return call.name == first.name and canonical(call.input) in known
