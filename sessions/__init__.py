"""Conversations with Claude as durable things: they live in Postgres, and any worker goes on with any of them.

    take the session (its epoch rises) ─▶ begin the turn ─▶ run_turn, as often as it takes ─▶ answer kept, turn ended

The real Claude Code CLI runs each turn; what it writes is mirrored to `transcript_entries` and fenced by the epoch.
claude_agent_sdk is imported here only, and only once a turn runs: a worker without agents stays small.
"""

from sessions.account import RunAccount, Usage
from sessions.agent import AgentSetup
from sessions.ask import Asked, ask_agent
from sessions.conversation import Content, DeferredCall
from sessions.copies import fork_session
from sessions.errors import (
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
from sessions.live_rows import Audience
from sessions.probe import probe
from sessions.records import Turn, begin_turn, create_session, end_turn, jobs_of_turns, take_session, turn_of_job
from sessions.runner import ClaudeSessions, TurnEnd
from sessions.settings import SessionSettings
from sessions.tools import Call, Tool, current_call

__all__ = [
    "AgentSetup",
    "Asked",
    "Audience",
    "BudgetExhausted",
    "Call",
    "ClaudeSessions",
    "Content",
    "CredentialsRefused",
    "DeferredCall",
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
    "ToolRefused",
    "TranscriptLost",
    "Turn",
    "TurnEnd",
    "TurnEvent",
    "TurnFailed",
    "Usage",
    "ask_agent",
    "begin_turn",
    "create_session",
    "current_call",
    "end_turn",
    "fork_session",
    "jobs_of_turns",
    "probe",
    "take_session",
    "turn_of_job",
]
