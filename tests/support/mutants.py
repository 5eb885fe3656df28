"""Mutants: a guard is taken out of the SQL, to show that the test which holds it fails without it."""

from collections.abc import Iterator
from contextlib import contextmanager

from jobs_core import statements


@contextmanager
def mutated(*changes: tuple[str, str]) -> Iterator[None]:
    """Statements read meanwhile have each `old` text replaced by its `new`; fails if one was never met."""
    original = statements.fill_in
    unmet = {old for old, _ in changes}

    def fill_in(text: str) -> str:
        for old, new in changes:
            if old in text:
                unmet.discard(old)
                text = text.replace(old, new)
        return original(text)

    statements.statement.cache_clear()
    statements.fill_in = fill_in
    try:
        yield
        assert not unmet, f"the mutant changed nothing: {unmet}"
    finally:
        statements.fill_in = original
        statements.statement.cache_clear()


FENCE = "id = %(id)s AND token = %(token)s AND state NOT IN ('pending', 'blocked', 'waiting')"
NO_FENCE = (FENCE, "id = %(id)s AND %(token)s::bigint IS NOT NULL")
NO_FENCE_TOGETHER = (
    "j.id = given.id AND j.token = given.token\n      AND j.state NOT IN ('pending', 'blocked', 'waiting')",
    "j.id = given.id AND given.token IS NOT NULL",
)
"""Settles and starts find the job by its id alone; and those that are collected."""

NO_FENCE_AT_ALL = (
    NO_FENCE,
    NO_FENCE_TOGETHER,
    ("j.id = given.id AND j.token = given.token AND j.state NOT IN", "j.id = given.id AND j.state NOT IN"),
    ("SELECT j.id, j.token FROM {schema}.jobs AS j", "SELECT j.id, given.token FROM {schema}.jobs AS j"),
    (
        "j.id = %(id)s AND j.token = %(token)s AND j.state NOT IN",
        "j.id = %(id)s AND %(token)s::bigint IS NOT NULL AND j.state NOT IN",
    ),
    ("id = %(worker_id)s AND dead_at IS NULL AND expires_at > clock_timestamp()", "id = %(worker_id)s"),
    ("id = %(id)s AND epoch = %(epoch)s", "id = %(id)s AND %(epoch)s::bigint IS NOT NULL"),
)
"""Nor do waits, notes and transcripts look at whose they are; and a worker that lost its lease renews it, and claims."""

LANE_LOCK_FOLDED_IN = (
    ("ORDER BY lane FOR UPDATE", "ORDER BY lane"),
    (
        "WITH next AS MATERIALIZED (\n    SELECT id, lane_pos FROM {schema}.jobs\n    WHERE lane = %(lane)s",
        """WITH locked AS MATERIALIZED (
    SELECT lane FROM {schema}.lanes WHERE lane = %(lane)s FOR UPDATE
), next AS MATERIALIZED (
    SELECT id, lane_pos FROM {schema}.jobs
    WHERE lane = (SELECT lane FROM locked)""",
    ),
)
"""The lane's row is locked inside the statement that looks at its jobs, whose snapshot is then older than the lock."""

PLAIN_LIMIT = (
    ("alone = lost.started OR lost.alone", "alone = false"),
    ("state = 'running' AND alone AND alone_lost_count + 1", "state = 'running' AND lost_count + 1"),
)
"""Nobody runs alone, and every lost run counts."""
