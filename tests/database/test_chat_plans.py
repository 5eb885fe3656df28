"""Plans of what lists chats and what was said: with 100,000 chats, no statement reads a table whole, or sorts one."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from jobs_core import db
from tests.support.database import fresh_database
from tests.support.plans import Arguments, Plans, explain_all

CHATS, MESSAGES = 100_000, 30_000
FILL = (
    "ALTER TABLE jobs.chat_sessions SET (autovacuum_enabled = off)",
    "ALTER TABLE jobs.chat_message_history SET (autovacuum_enabled = off)",
    "ANALYZE jobs.chat_sessions, jobs.chat_message_history, jobs.chat_files",
    f"""
    INSERT INTO jobs.chat_sessions (session_id, channel, user_id, agent_name, claude_session_id, created_at)
    SELECT 'web_' || n, 'web', 'user ' || n % 50, 'assistant', gen_random_uuid(), now() - n * interval '1 minute'
    FROM generate_series(1, {CHATS}) AS n
    """,
    f"""
    INSERT INTO jobs.chat_message_history (session_id, type, content, turn_id, ended_at)
    SELECT 'web_' || n / 2 + 1, CASE n % 2 WHEN 0 THEN 'human' ELSE 'ai' END, 'text', gen_random_uuid(), now()
    FROM generate_series(1, {MESSAGES}) AS n
    """,
)
PAGE = {"before_at": "2026-01-01", "before_id": "web_7", "limit": "50"}
STATEMENTS: dict[str, Arguments] = {
    "chat/newest": PAGE,
    "chat/newest_of_user": {**PAGE, "user_id": "user 7"},
    "chat/look": {"session_id": "web_7"},
    "message/history": {"session_id": "web_7", "limit": "50", "before_id": "9000000"},
    "message/answer": {"session_id": "web_7", "message_id": None},
    "message/turns_until": {"session_id": "web_7", "last_id": "9000000"},
    "message/remarks": {"session_ids": "{web_7,web_8}", "after_ids": "{5,6}", "most": "100"},
    "message/left_turns": {"session_id": "web_7"},
    "file/of_messages": {"ids": "{7,8}"},
}
TABLES = "jobs.chat_sessions, jobs.chat_message_history, jobs.chat_files"


@pytest.fixture(scope="module")
def plans(server_dsn: str) -> Iterator[Plans]:
    """On one database for all tests here."""

    async def explained(dsn: str) -> Plans:
        async with await db.connect(dsn, name="tests") as conn:
            return await explain_all(conn, STATEMENTS, fill=FILL, tables=TABLES, room="assistant")

    with fresh_database(server_dsn) as dsn:
        yield asyncio.run(explained(dsn))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.mark.parametrize("run", ["new", "prepared"])
@pytest.mark.parametrize("statistics", ["stale", "fresh"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_only_what_is_asked_for_is_read(plans: Plans, statistics: str, run: str, name: str) -> None:
    found = list(nodes(plans[statistics, run, name]))
    whole = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
    assert whole <= {"chat_files", "message_media", "media_files"}, "which are empty here"
    assert all("Index Cond" in node for node in found if node["Node Type"].startswith("Index"))


@pytest.mark.parametrize("statistics", ["stale", "fresh"])
@pytest.mark.parametrize(
    ("name", "index"), [("chat/newest", "chat_sessions_newest"), ("chat/newest_of_user", "chat_sessions_of_user")]
)
def test_a_page_of_chats_is_read_in_its_order(plans: Plans, statistics: str, name: str, index: str) -> None:
    for run in ("new", "prepared"):
        found = list(nodes(plans[statistics, run, name]))
        assert index in {node.get("Index Name") for node in found}
        assert "Bitmap Heap Scan" not in {node["Node Type"] for node in found}
