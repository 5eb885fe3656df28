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
    ("id = %(session_id)s AND epoch = %(epoch)s", "id = %(session_id)s AND %(epoch)s::bigint IS NOT NULL"),
)
"""Nor do waits, notes, transcripts and an agent's calls look at whose they are; who lost its lease renews it, and claims."""

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

HOLD_IGNORED = (" AND held_at IS NULL\n    RETURNING lane", "\n    RETURNING lane")
"""The end of a head promotes the next one, whether its lane is held or not."""

_HOLD = "held_at = NULL, held_by = NULL, held_reason = NULL, held_job = NULL"
RELEASE_FOLDED_IN = (
    (
        f"""    FOR UPDATE
)
UPDATE {{schema}}.lanes AS l
SET head_pos = NULL, {_HOLD}
FROM hold WHERE l.lane = hold.lane
RETURNING hold.held_at, hold.held_by, hold.held_reason, hold.held_job""",
        ") SELECT held_at, held_by, held_reason, held_job FROM hold",
    ),
    (
        "SET head_pos = (SELECT lane_pos FROM next)\n    WHERE lane = %(lane)s AND held_at IS NULL",
        f"SET head_pos = (SELECT lane_pos FROM next), {_HOLD}\n    WHERE lane = %(lane)s",
    ),
)
"""A hold ends in the statement that looks at the lane's jobs, whose snapshot is then older than the lane's lock."""

PLAIN_LIMIT = (
    ("THEN lost.suspected OR lost.alone END", "THEN false END"),
    (
        "state = 'running' AND coalesce(alone, limited_alone) AND alone_lost_count + 1",
        "state = 'running' AND lost_count + 1",
    ),
)
"""Nobody runs alone, and every lost run counts."""

BY_ARRIVAL = (
    ("ORDER BY round, greatest(served, arrived - %(ahead)s), ready_seq) AS nth", "ORDER BY ready_seq) AS nth"),
    ("greatest(f.served, g.ready_seq - %(ahead)s), g.ready_seq) AS nth", "g.ready_seq) AS nth"),
    ("ORDER BY round, since, arrived) AS turn", "ORDER BY arrived, round) AS turn"),
)
"""Jobs that take turns are claimed in the order in which they came."""

SLOTS_NOT_LOCKED = ("LIMIT g.wanted\n        FOR UPDATE SKIP LOCKED", "LIMIT g.wanted")
"""A claim of jobs with limits sees free slots, and takes them."""
