"""Conversations with Claude as durable things: they live in Postgres, and any worker goes on with any of them.

    take the session (its epoch rises) ─▶ begin the turn ─▶ run_turn, as often as it takes ─▶ answer kept, turn ended

The real Claude Code CLI runs each turn; what it writes is mirrored to `transcript_entries` and fenced by the epoch.
claude_agent_sdk is imported here only, and only once a turn runs: a worker without agents stays small.
"""

from sessions.agent import AgentSetup
from sessions.conversation import Content, DeferredCall, OnEvent
from sessions.errors import (
    CredentialsRefused,
    MirrorFailed,
    ModelUnavailable,
    PromptRefused,
    RateLimited,
    SessionsError,
    TranscriptLost,
    TurnFailed,
)
from sessions.probe import probe
from sessions.reading import HasRead, what_was_read
from sessions.records import Turn, begin_turn, create_session, end_turn, take_session, turn_of_job
from sessions.resume import result_of_call
from sessions.runner import ClaudeSessions, TurnEnd
from sessions.settings import SessionSettings
from sessions.store import load_transcript
from sessions.tool_calls import Decision, decisions
from sessions.verdicts import Acting, Allow, Ask, Deny, ToolCall, ToolEnd, Verdict, canonical, digest_of

__all__ = [
    "Acting",
    "AgentSetup",
    "Allow",
    "Ask",
    "ClaudeSessions",
    "Content",
    "CredentialsRefused",
    "Decision",
    "DeferredCall",
    "Deny",
    "HasRead",
    "MirrorFailed",
    "ModelUnavailable",
    "OnEvent",
    "PromptRefused",
    "RateLimited",
    "SessionSettings",
    "SessionsError",
    "ToolCall",
    "ToolEnd",
    "TranscriptLost",
    "Turn",
    "TurnEnd",
    "TurnFailed",
    "Verdict",
    "begin_turn",
    "canonical",
    "create_session",
    "decisions",
    "digest_of",
    "end_turn",
    "load_transcript",
    "probe",
    "result_of_call",
    "take_session",
    "turn_of_job",
    "what_was_read",
]
