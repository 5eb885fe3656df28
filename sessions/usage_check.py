"""Compares the ledger with what others counted: the transcript of a session, and the CLI's own result of a run.

The ledger counts calls, the transcript keeps answers, so the ledger may hold more: calls that were cut or refused, answers
that a crash kept out of the transcript, what the CLI asks beside the conversation. It may never hold less.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from jobs_core import Connection, fetch, fetch_one, statement
from sessions.account import Usage
from sessions.store import Entries, load_transcript

_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_TOO_SMALL_USD = Decimal("0.000001")  # the CLI counts in floating point


@dataclass(frozen=True, slots=True)
class Checked:
    """A session's usage by the ledger and by its transcript, where `calls` are answers, and why they differ.

    explained: that is why; else the ledger is wrong, or the transcript is.
    """

    session_id: UUID
    ledger: Usage
    transcript: Usage
    why: Sequence[str]
    explained: bool


async def check_session(conn: Connection, session_id: UUID) -> Checked:
    """Recompute a session's usage from its transcript, subagents' parts too, and compare it with the ledger's.

    What the session began with as a copy is the original's usage.
    """
    row = await fetch_one(conn, statement("sessions", "usage/of_session"), {"session_id": session_id})
    assert row is not None
    ledger, recomputed = Usage(**row), Usage()
    for part in await fetch(conn, statement("sessions", "transcript/subpaths"), {"session_id": session_id}):
        recomputed += of_entries(await load_transcript(conn, session_id, part["subpath"], copied=False))
    why, explained = _explain(ledger, recomputed)
    return Checked(session_id, ledger, recomputed, why, explained)


def of_entries(entries: Entries) -> Usage:
    """What the answers in a transcript used, each message once, by its last entry: that has the final counts."""
    last: dict[str, dict[str, Any]] = {}
    for entry in entries:
        message = entry.get("message") or {}
        if entry.get("type") == "assistant" and message.get("usage") and message.get("model") != "<synthetic>":
            last[message.get("id") or f"no id {len(last)}"] = message["usage"]
    return sum((_usage(usage) for usage in last.values()), Usage())


def _usage(usage: dict[str, Any]) -> Usage:
    return Usage(
        calls=1,
        input_tokens=usage.get("input_tokens") or 0,
        output_tokens=usage.get("output_tokens") or 0,
        cache_read_tokens=usage.get("cache_read_input_tokens") or 0,
        cache_write_tokens=usage.get("cache_creation_input_tokens") or 0,
    )


def _explain(ledger: Usage, transcript: Usage) -> tuple[list[str], bool]:
    differs = [name for name in _COUNTS if getattr(ledger, name) != getattr(transcript, name)]
    more = ledger.calls - transcript.calls
    if not differs and not more:
        return [], True
    why = []
    if ledger.estimated_calls:
        why.append(f"{ledger.estimated_calls} calls were cut off, and are estimated")
    if more > 0:
        why.append(f"{more} more calls than answers: cut or refused, lost in a crash, or made beside the conversation")
    if more < 0:
        why.append(f"{-more} answers that the ledger has no call of: from before there was one, forked or imported")
    less = [name for name in differs if getattr(ledger, name) < getattr(transcript, name)]
    if less and more >= 0:
        return [*why, f"the ledger has fewer {', '.join(less)}, which nothing explains"], False
    if not why:
        return [f"the ledger has more {', '.join(differs)}, which nothing explains"], False
    return why, True


def differs_from_result(used: Usage, total_usd: float | None, entries: Entries) -> str:
    """How the CLI's own sum of a run differs from the ledger's, in words; "" where it does not.

    total_usd: of the result; it goes on from the last `cost-state` that the run was resumed with (`entries`).
    """
    if total_usd is None:
        return ""
    before = next((entry for entry in reversed(entries) if entry.get("type") == "cost-state"), {})
    said = Decimal(str(total_usd)) - Decimal(str(before.get("totalCostUSD") or 0))
    if abs(said - used.cost_usd) <= _TOO_SMALL_USD:
        return ""
    return f"the CLI counts {said:.6f} US dollars, the ledger {used.cost_usd:.6f}"
