"""Decides the tool calls of one run of a turn, and turns one that must be asked about into a wait.

    open ─ pending? ─ yes ─▶ the run ends: Wait
             └─ no ─▶ run_turn ─ each call ─▶ decided about? ─ yes ─▶ as the person said, approved ones once
                          │                     └─ no ─▶ policy, what is always allowed ─▶ allow │ reject │ ask
                          └─▶ close: no earlier action of the turn stays open ─ a call was put off? ─ yes ─▶ ask: the run ends:
                              Wait, and the action in its transaction

Only a call with the id of the turn's newest action is answered by that action. What was approved for another, or for a call
that the transcript does not hold any more, lets nothing run.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from assistant import actions, approvals
from assistant.action import Action, event_of
from assistant.actions import Place
from assistant.policy import Policy, Unattended
from assistant.remarks import remark
from jobs_core import AnyJob, Connection, Database, Wait
from jobs_core.waits import emitted
from jobs_core.wake import Ready
from sessions import (
    AgentSetup,
    Allow,
    Ask,
    DeferredCall,
    Deny,
    ToolCall,
    ToolEnd,
    Verdict,
    canonical,
    digest_of,
    load_transcript,
    result_of_call,
    what_was_read,
)

NOBODY_IS_THERE = (
    "This call needs approval, and nobody is there to give it: this turn runs by a schedule whose policy is to reject "
    "such calls. Do without it, and say in your answer what you would have done."
)
EXPIRED = "Nobody decided about this call in time, so it was not run."
CANCELLED = "This call was called off, so it was not run."
CHANGED = "This call is not the one that was approved, so it was not run."
TOO_LONG = f"This call needs approval, and its arguments are longer than a person can be asked to read: at most \
{actions.MAX_ARGUMENTS_BYTES} bytes as JSON."
RAN_ONCE = "This call was approved and ran to its end, but its result was lost. It was not run again: look at what it has done."
UNKNOWN = (
    "This call was approved and begun, and then its run was lost: nobody knows whether it took effect. It was not run again. "
    "Check, and do not repeat it unasked."
)
_LOOK_AGAIN = timedelta(seconds=10)
"""How often a job looks whose event somebody told without deciding (`./jobs emit`)."""
_WORD_OF = {"expired": EXPIRED, "cancelled": CANCELLED, "executed": RAN_ONCE, "unknown": UNKNOWN}


class Gatekeeper:
    """The gatekeeper of one run."""

    def __init__(
        self,
        database: Database,
        job: AnyJob,
        place: Place,
        policy: Policy,
        action: Action | None,
        *,
        told: bool,
        unattended: Unattended | None = None,
    ) -> None:
        self._database = database
        self._job = job
        self._place = place
        self._policy = policy
        self._action = action
        self._rule_of: dict[str, str] = {}
        self._told = told
        self._unattended = unattended

    @classmethod
    async def open(
        cls, database: Database, job: AnyJob, place: Place, policy: Policy, *, unattended: Unattended | None = None
    ) -> "Gatekeeper":
        """Look at what the turn's last run left. Raises LeaseLost. unattended: None where somebody waits for the turn."""
        async with database.connection() as conn:
            action, told = await actions.of_turn(conn, place.turn_id), None
            if action and action.state == "pending":
                await actions.expire_due(conn, job, action.id)
                # Before the second look: that finds it decided, if it was by deciding that its event was told.
                told = await emitted(conn, action.event)
            elif action and action.state == "executing":
                await _learn_its_end(conn, job, action)
            action = await actions.of_turn(conn, place.turn_id)
            return cls(database, job, place, policy, action, told=told is not None, unattended=unattended)

    @property
    def waits(self) -> Wait | None:
        """How the run ends at once: nobody has decided yet. None: it may go on."""
        if self._action is None or self._action.state != "pending":
            return None
        if self._told:  # by somebody who decided nothing: who waits for what has happened does not wait
            return Wait(until=_LOOK_AGAIN)
        return Wait(self._action.event, self._action.expires_at)

    def guard(self, agent: AgentSetup) -> AgentSetup:
        """The agent, with each of its calls decided here."""
        return replace(agent, decide=self.decide, on_tool_end=self.tool_ended)

    async def decide(self, call: ToolCall) -> Verdict:
        """What is to become of a call. Raises LeaseLost: then it must not run."""
        if self._action and call.id == self._action.call_id:
            return await self._as_decided(await self._newest() or self._action, call)
        judged = self._policy.judge(call.name, call.input)
        match judged.then:
            case "allow":
                return Allow(by=judged.by)
            case "reject":
                return Deny(f"This call is not allowed here ({judged.by}).", by=judged.by)
            case "ask":
                return await self._ask_unless_allowed(call, judged.by)

    async def tool_ended(self, call: ToolCall, end: ToolEnd) -> None:
        """Record what became of the approved call, before the model hears of it."""
        if self._action and call.id == self._action.call_id:
            async with self._database.connection() as conn:
                await actions.end_execution(conn, self._job, self._action.id, end)

    async def ask(self, call: DeferredCall) -> Wait:
        """How the run ends that put this call off: its action is written in the transaction in which the job begins to wait."""
        async with self._database.connection() as conn:
            drawn = await actions.draw(conn)
            has_read = what_was_read(await load_transcript(conn, self._place.claude_session_id))

        async def write(conn: Connection) -> Sequence[Ready]:
            asked = ToolCall(call.id, call.name, call.input)
            asked_by = self._rule_of.get(call.id, "")
            owners = [approvals.OWNERS]
            written = await actions.ask(
                conn,
                self._job,
                drawn,
                self._place,
                asked,
                asked_by=asked_by,
                may_decide=owners,
                has_read=has_read,
                quiet=self._unattended == "wait",
            )
            said = f"{call.name} waits for approval: action {drawn[0]}."
            told = await remark(conn, said, session_id=self._place.session_id, owed=not written.in_its_chat)
            return (*written.ready, *told)

        return Wait(event_of(drawn[0]), drawn[1], also=write)

    async def close(self) -> None:
        """Leave no action of a turn open that has gone on past it. Raises LeaseLost."""
        if self._action is None:
            return
        action = await self._newest()
        async with self._database.connection() as conn:
            if action and action.state == "approved":
                await actions.drop(conn, self._job, action.id, "the turn went on without this call")
            elif action and action.state == "executing" and not await _learn_its_end(conn, self._job, action):
                await actions.begin_execution(conn, self._job, action.id)  # a second time: it is unknown

    async def _newest(self) -> Action | None:
        """The action as it is now: another CLI of this run may have run the call, and broken."""
        async with self._database.connection() as conn:
            return await actions.of_turn(conn, self._place.turn_id)

    async def _ask_unless_allowed(self, call: ToolCall, rule: str) -> Verdict:
        arguments = canonical(call.input)
        if len(arguments) > actions.MAX_ARGUMENTS_BYTES:
            return Deny(TOO_LONG, by=rule)
        async with self._database.connection() as conn:
            always = await approvals.is_always_allowed(
                conn,
                user_id=self._place.user_id,
                agent=self._place.agent,
                tool=call.name,
                digest=digest_of(arguments),
            )
        if always is not None:
            return Allow(by=f"always allowed {always}")
        if self._unattended == "reject":
            return Deny(NOBODY_IS_THERE, by=f"{rule}; nobody is there")
        self._rule_of[call.id] = rule
        return Ask(by=rule)

    async def _as_decided(self, action: Action, call: ToolCall) -> Verdict:
        by = f"{action.decided_by} in action {action.id}" if action.decided_by else f"action {action.id}"
        match action.state:
            case "pending":
                return Ask(by)
            case "approved" | "executing":
                return await self._execute(action, call, by)
            case "rejected":
                return Deny(f"{action.decided_by} rejected this call: {action.reason or 'no reason was given'}", by)
            case "superseded":
                said = action.reason or "(nothing, but sent a file)"
                return Deny(f"This call was not run: instead of approving it, somebody said: {said}", by)
            case over:
                return Deny(_WORD_OF[over], by)

    async def _execute(self, action: Action, call: ToolCall, by: str) -> Verdict:
        """Let through just what was approved, once."""
        arguments, digest = action.runs_with
        is_it = call.name == action.tool and digest_of(canonical(call.input)) == action.digest
        refused = None if is_it and digest_of(arguments) == digest else CHANGED
        if self._policy.judge(action.tool, json.loads(arguments)).then == "reject":
            refused = "The agent's rules reject this call as it was approved, so it was not run."
        async with self._database.connection() as conn:
            if refused and action.state == "approved":
                await actions.drop(conn, self._job, action.id, refused)
                return Deny(refused, by)
            begun = await actions.begin_execution(conn, self._job, action.id)
        if begun is None:
            return Deny(CANCELLED, by)
        if begun.state == "unknown":
            return Deny(UNKNOWN, by)
        return Allow(json.loads(arguments), by)


async def _learn_its_end(conn: Connection, job: AnyJob, action: Action) -> bool:
    """Record the end of an executing action off the transcript, where that holds the result; whether it does."""
    result = result_of_call(await load_transcript(conn, action.claude_session_id), action.call_id)
    if result is None:
        return False
    end = ToolEnd(bool(result.get("is_error")), digest_of(canonical({"returned": result.get("content")})))
    await actions.end_execution(conn, job, action.id, end)
    return True
