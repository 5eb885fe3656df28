"""Conversations with Claude as durable things: they live in Postgres, and any worker goes on with any of them.

    take the session (its epoch rises) ─▶ begin the turn ─▶ run_turn, as often as it takes ─▶ answer kept, turn ended

The real Claude Code CLI runs each turn; what it writes is mirrored to `transcript_entries` and fenced by the epoch.
claude_agent_sdk is imported here only, and only once a turn runs: a worker without agents stays small.
"""

from sessions.account import RunAccount, Usage
from sessions.agent import AgentSetup, Effort
from sessions.ask import Asked, ask_agent
from sessions.budgets import BudgetShort
from sessions.conversation import Content, DeferredCall
from sessions.copies import fork_session
from sessions.errors import (
    AgentBroke,
    BudgetExhausted,
    CredentialsRefused,
    MirrorFailed,
    ModelUnavailable,
    NotCopied,
    PromptRefused,
    RateLimited,
    SessionsError,
    ToolRefused,
    TranscriptLost,
    TurnFailed,
)
from sessions.events import OnEvent, TurnEvent
from sessions.has_read import HasRead, what_was_read
from sessions.live_rows import Audience
from sessions.probe import probe
from sessions.records import Turn, begin_turn, create_session, end_turn, jobs_of_turns, take_session, turn_of_job
from sessions.resume import result_of_call
from sessions.runner import ClaudeSessions, TurnEnd
from sessions.settings import SessionSettings
from sessions.store import load_transcript
from sessions.tool_calls import Decision, decisions
from sessions.tools import Call, Tool, current_call, shown_names
from sessions.verdicts import Allow, Ask, Deny, ToolCall, ToolEnd, Verdict, canonical, digest_of

__all__ = [
    "AgentBroke",
    "AgentSetup",
    "Allow",
    "Ask",
    "Asked",
    "Audience",
    "BudgetExhausted",
    "BudgetShort",
    "Call",
    "ClaudeSessions",
    "Content",
    "CredentialsRefused",
    "Decision",
    "DeferredCall",
    "Deny",
    "Effort",
    "HasRead",
    "MirrorFailed",
    "ModelUnavailable",
    "NotCopied",
    "OnEvent",
    "PromptRefused",
    "RateLimited",
    "RunAccount",
    "SessionSettings",
    "SessionsError",
    "Tool",
    "ToolCall",
    "ToolEnd",
    "ToolRefused",
    "TranscriptLost",
    "Turn",
    "TurnEnd",
    "TurnEvent",
    "TurnFailed",
    "Usage",
    "Verdict",
    "ask_agent",
    "begin_turn",
    "canonical",
    "create_session",
    "current_call",
    "decisions",
    "digest_of",
    "end_turn",
    "fork_session",
    "jobs_of_turns",
    "load_transcript",
    "probe",
    "result_of_call",
    "shown_names",
    "take_session",
    "turn_of_job",
    "what_was_read",
]
