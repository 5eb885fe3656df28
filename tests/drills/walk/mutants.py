"""Guards of held lanes, sticky jobs, turns and ageing, and what of the SQL takes each of them out."""

from tests.support.mutants import BY_ARRIVAL, HOLD_IGNORED

_PROMOTED = "WHERE lane = %(lane)s AND held_at IS NULL\n    RETURNING lane"
_UNBEGUN = "LIMIT 1)\n  AND j.state = 'pending' AND j.token IS NULL"
LANES = {
    "a held lane keeps its first job ready": ((_UNBEGUN, "LIMIT 1)\n  AND false"),),
    "a hold takes its job from a run": ((_UNBEGUN, "LIMIT 1)"),),
    "the next of a held lane is promoted": (HOLD_IGNORED,),
    "a release promotes nobody": ((_PROMOTED, _PROMOTED.replace("NULL\n", "NULL AND head_pos IS NOT NULL\n")),),
    "two release a lane": (("AND held_at IS NOT NULL\n    FOR UPDATE", "AND held_at IS NOT NULL"),),
    "what a lane is held for is redriven behind the others": ((" - 1\nWHERE j.id", " + 1000\nWHERE j.id"),),
}

_DUE = "AND (lane IS NULL OR lane_pos IS NOT NULL)\n    ORDER BY scheduled_for"
_REMEMBERED = (
    "WHERE id = %(id)s AND token = %(token)s AND state NOT IN ('pending', 'blocked', 'waiting')\n  AND sticky_key"
)
STICKY = {
    "a sticky job is never anybody's": ((_DUE, f"AND preferred_worker IS NULL {_DUE}"),),
    "a worker that drains keeps what waits for it": (
        ("j.ready_seq IS NULL AND j.token IS NULL\nRETURNING", "false\nRETURNING"),
    ),
    "more jobs wait for a worker than it has room for": (("wanted.nth <= room.n", "true"),),
    "a stale run is remembered": (
        (
            _REMEMBERED,
            "WHERE id = %(id)s AND %(token)s::bigint IS NOT NULL\n  AND sticky_key",
        ),
    ),
    "a worker heeds no pause of what waits for it": (
        (
            "AND NOT coalesce(me.paused -> j.queue ? j.job_type, false)\n        ORDER BY j.priority",
            "ORDER BY j.priority",
        ),
    ),
    "a worker takes what is being given to all": (
        ("LIMIT %(slots)s\n        FOR UPDATE SKIP LOCKED\n    ) AS waiting", "LIMIT %(slots)s\n    ) AS waiting"),
    ),
    "keys of the living are forgotten with those of the dead": (
        ("OR NOT EXISTS (SELECT FROM {schema}.workers AS w WHERE w.id = s.worker_id AND w.dead_at IS NULL)", "OR true"),
    ),
}

TURNS = {
    "turns go by arrival": BY_ARRIVAL,
    "a turn is not noted": (("SET served = t.drawn", "SET served = f.served"),),
    "two claims take the same turn": (("key\n    FOR UPDATE OF f\n), in_order", "key\n), in_order"),),
    "a turn that came to nothing is not given back": (("SET served = l.before", "SET served = f.served"),),
    "newcomers are always next": (
        ("arrived - %(ahead)s", "arrived - 1000000000"),
        ("ready_seq - %(ahead)s", "ready_seq - 1000000000"),
    ),
}

_AGED = "LIMIT %(batch)s\n            FOR UPDATE SKIP LOCKED\n        ) AS one"
AGEING = {
    "what goes up is ready no more": (("ready_seq = numbered.ready_seq\nFROM", "ready_seq = NULL\nFROM"),),
    "what is paused goes up": (("-> q.queue ? t.job_type, false)\n), groups", "-> q.queue ? NULL, false)\n), groups"),),
    "of two looks each has a job go up": ((_AGED, _AGED.replace("            FOR UPDATE SKIP LOCKED\n", "")),),
    "what failed is kept in the class it had gone up to": (("coalesce(first_priority, priority) END", "priority END"),),
}
