"""What the chat, the jobs and the recorded requests say of a turn that was cut, and of all that were before it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from assistant import chat_history
from jobs_core import Connection, fetch, fetch_one
from simulator.client import SimulatorControl
from tests.drills.turn_points import Stage
from tests.support.sessions import said

UNKNOWN = "its outcome is unknown"
"""What the CLI tells the model of a call whose result it does not have."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that has ended, with the job that ended it."""

    stage: Stage
    job_id: int


async def spoiled(conn: Connection, sim: SimulatorControl, chat: str, turns: Sequence[Turn]) -> list[str]:
    """What is wrong, in words, [] where nothing is; `turns` are the chat's, and the requests recorded are the last one's."""
    last = turns[-1]
    requests = await sim.requests()
    return [
        *await spoiled_chat(conn, chat, turns),
        *_differs("its job", await _job(conn, last), ("complete", 0, last.stage.point.lost)),
        *_differs("its attempts", await _attempts(conn, last), ["lost"] * last.stage.point.lost),
        *_differs("runs of its tool", _tool_runs(last.stage), last.stage.point.runs),
        *_differs("requests", len(requests), last.stage.point.requests),
        *_differs("calls in the ledger, and open ones", await _calls(conn, last), (len(requests), 0)),
        *_in_the_request(requests[-1].body if requests else None, turns),
    ]


async def spoiled_chat(conn: Connection, chat: str, turns: Sequence[Turn]) -> list[str]:
    """What is wrong with the chat alone: each prompt and each answer once, in order, and no other word."""
    lines = [(line.type, line.content) for line in await chat_history.newest(conn, chat, limit=1000)]
    expected = [line for turn in turns for line in (("human", turn.stage.prompt()), ("ai", turn.stage.answer))]
    return _differs("the chat", lines, expected)


def _differs(what: str, seen: object, expected: object) -> list[str]:
    return [] if seen == expected else [f"{what}: {seen}, not {expected}"]


async def _job(conn: Connection, turn: Turn) -> tuple[Any, ...]:
    sql = "SELECT state, retry_count, lost_count FROM jobs.history WHERE id = %(id)s"
    row = await fetch_one(conn, sql, {"id": turn.job_id})
    return tuple(row.values()) if row else ()


async def _attempts(conn: Connection, turn: Turn) -> list[str]:
    rows = await fetch(conn, "SELECT reason FROM jobs.attempts WHERE job_id = %(id)s", {"id": turn.job_id})
    return [row["reason"] for row in rows]


async def _calls(conn: Connection, turn: Turn) -> tuple[Any, ...]:
    """A call that was cut is in the ledger as well, and was closed by the run that came after."""
    sql = "SELECT sum(calls)::bigint, sum(open_calls)::bigint AS open FROM jobs.usage_counted WHERE job_id = %(id)s"
    row = await fetch_one(conn, sql, {"id": turn.job_id})
    return tuple(row.values()) if row else ()


def _tool_runs(stage: Stage) -> int:
    return stage.runs.read_text().count("run") if stage.runs.exists() else 0


def _in_the_request(body: dict[str, Any] | None, turns: Sequence[Turn]) -> Iterator[str]:
    """The last request holds each prompt once, each answer that was given before once, and what became of the tool."""
    if body is None:
        yield "no request was recorded"
        return
    last = turns[-1].stage
    prompts, answers = Counter(text.rstrip("\n") for text in said(body, "user")), Counter(said(body, "assistant"))
    for turn in turns:
        yield from _differs(f"prompts of {turn.stage.point.name} in it", prompts[turn.stage.prompt()], 1)
    for turn in turns[:-1]:
        yield from _differs(f"answers of {turn.stage.point.name} in it", answers[turn.stage.answer], 1)
    results = _results_since(body, last.prompt())
    expected = {"unknown": UNKNOWN, "result": last.result, "": ""}[last.point.told]
    if len(results) != bool(expected) or any(expected not in result for result in results):
        yield f"the model heard {results} of the tool, not {expected!r}"


def _results_since(body: dict[str, Any], prompt: str) -> list[str]:
    """The results of tools that a request brings after a prompt."""
    messages, results = body["messages"], list[str]()
    for message in messages:
        if prompt in [text.rstrip("\n") for text in said({"messages": [message]}, "user")]:
            results = []
        if isinstance(message["content"], list):
            results += [str(block["content"]) for block in message["content"] if block["type"] == "tool_result"]
    return results
