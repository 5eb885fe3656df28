"""Plans of what looks events up: a million of them cost a look no more than a thousand."""

from collections.abc import Iterator
from typing import Any

from jobs_core import Connection
from tests.support.plans import Arguments, explain_all, index_conditions

FILL = (
    "ALTER TABLE jobs.webhook_events SET (autovacuum_enabled = off)",
    "ANALYZE jobs.webhook_events",
    """
    INSERT INTO jobs.webhook_events (source, key, digest, body, headers, result, received_at)
    SELECT 's' || n % 3, 'k' || n, '', '', '{}', 'ignored', now() - make_interval(secs => 100000 - n)
    FROM generate_series(1, 100000) AS n
    """,
)
STATEMENTS: dict[str, Arguments] = {
    "webhook_event/known": {"sources": "{s1,s2}", "keys": "{k1,k2}"},
    "webhook_event/prune": {"kept_s": "2592000", "batch": "500"},
    "webhook_event/lock": {"id": "7"},
}


def scans(plan: dict[str, Any]) -> Iterator[str]:
    """What is read of tables as a whole."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for child in plan.get("Plans", []):
        yield from scans(child)


async def test_no_look_reads_all_events(conn: Connection) -> None:
    found = await explain_all(conn, STATEMENTS, fill=FILL, tables="jobs.webhook_events", room="gateways")
    for which, plan in found.items():
        assert not list(scans(plan)), which
        assert list(index_conditions(plan)), which
