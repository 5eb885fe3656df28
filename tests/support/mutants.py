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

_NOTE_HELD = "ON j.id = given.id AND j.token = given.token AND j.state NOT IN ('pending', 'blocked', 'waiting')"
NO_FENCE_OF_NOTES = (
    ("SELECT j.id, j.token FROM {schema}.jobs AS j\n    JOIN", "SELECT given.* FROM {schema}.jobs AS j\n    JOIN"),
    (_NOTE_HELD, "ON j.id = given.id"),
)
"""What a run says is written whether or not it holds its job."""

NOTHING_PAUSED = (" ? t.job_type, false)", " ? NULL, false)")
LIMITED_NOT_PAUSED = (
    ("AS first\n    WHERE NOT coalesce(me.paused -> q.queue ? t.job_type, false)", "AS first"),
    ("WHERE NOT coalesce(me.paused -> line.queue ? line.job_type, false)", ""),
)
"""Nobody heeds a pause; or claims with limits do not."""
NO_PAUSED_TIME = (
    "ELSE j.give_up_at + make_interval(secs => {schema}.paused_s(j.queue, j.job_type, j.claimed_at)) END",
    "ELSE j.give_up_at END",
)
"""Time in operators' pauses is not added at claims."""

SLOT_LOCKED = """SELECT one.key, one.n FROM {schema}.limit_slots AS one
        WHERE one.key = g.key AND one.job_id IS NULL
        ORDER BY one.n
        LIMIT g.wanted
        FOR UPDATE SKIP LOCKED"""
SLOT_SEEN = (SLOT_LOCKED, SLOT_LOCKED.replace("FOR UPDATE SKIP LOCKED", ""))
SLOTS_COUNTED = (
    SLOT_LOCKED,
    """SELECT l.key, n FROM {schema}.limits AS l, generate_series(1, l.slots - (
            SELECT count(*)::integer FROM {schema}.limit_slots AS s WHERE s.key = l.key AND s.job_id IS NOT NULL
        )) AS n
        WHERE l.key = g.key
        LIMIT g.wanted""",
)
"""A free slot is seen, and not locked; or those that are held are counted, as if there were no rows."""

LETTER_NOT_LOCKED = ("ORDER BY id\nFOR UPDATE", "ORDER BY id")
"""Of two redrives at once neither waits for the other."""

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
