"""What must have become of the jobs of a drill of deploys: nothing lost or doubled, and nothing charged for a drain."""

from collections import defaultdict
from dataclasses import dataclass

from jobs_core import Connection, fetch_one
from tests.drills.deploy_code import AT_ONCE, LIMITED, NEW, STEPS, WITH_EFFECT
from tests.drills.deploy_site import Site, most_at_once
from tests.drills.records import Verdict, verdict

COLD = "cold"
"""The queue of jobs that only lie there."""

_SEEN = """
SELECT
    (SELECT count(*) FROM jobs.jobs WHERE queue <> %(cold)s) AS left_over,
    (SELECT count(*) FROM jobs.history WHERE lost_count > 0 OR retry_count > 0)
        + (SELECT count(*) FROM jobs.jobs WHERE lost_count > 0 OR retry_count > 0)
        + (SELECT count(*) FROM jobs.attempts WHERE reason <> 'drained') AS charged,
    (SELECT count(*) FROM jobs.attempts WHERE reason = 'drained') AS drained,
    (SELECT count(*) FROM drill_moves AS m JOIN jobs.history AS h ON h.id = m.job_id
     WHERE m.move = 'update' AND m.state = 'running' AND h.job_type <> %(waits)s
       AND NOT EXISTS (SELECT FROM jobs.attempts AS a WHERE a.job_id = m.job_id AND a.token = m.token)) AS unrecorded,
    (SELECT count(*) FROM (
        SELECT FROM jobs.history AS h LEFT JOIN drill_effects AS e ON e.job_id = h.id
        WHERE h.job_type = ANY(%(with_effect)s) AND h.id >= %(first)s
        GROUP BY h.id, h.token HAVING count(e.token) <> 1 OR min(e.token) <> h.token) AS wrong) AS wrong_effects
"""


@dataclass(frozen=True, slots=True)
class Findings(Verdict):
    """charged: jobs with a retry or a loss, and attempts for another reason than the drain. unrecorded: runs taken back
    without one. twice: steps done twice. crowded: limits and lanes passed. misplaced: runs by code that knows nothing of it."""

    created: int
    refused: int
    left_over: int
    charged: int
    drained: int
    unrecorded: int
    wrong_effects: int
    twice: int
    crowded: int
    misplaced: int

    @property
    def broken(self) -> list[str]:
        """What must be zero and is not."""
        may = {"put_back", "created", "drained"}
        values = {name: getattr(self, name) for name in Findings.__dataclass_fields__ if name not in may}
        return [f"{name}: {value}" for name, value in values.items() if value]


async def findings(conn: Connection, site: Site) -> Findings:
    """What became of all that was created, once it is drained."""
    created = [line["job"] for line in site.told("created")]
    seen = await verdict(conn, created)
    values = {"cold": COLD, "waits": STEPS.name, "with_effect": list(WITH_EFFECT), "first": min(created)}
    row = await fetch_one(conn, _SEEN, values)
    assert row
    once = [line["job"] for line in site.told("once")]
    starts = site.told("start")
    misplaced = [
        start
        for start in starts
        if (start["type"] == NEW.name and start["version"] != "new")
        or (start["type"] in {LIMITED.name, STEPS.name} and start["version"] == "released")
    ]
    return Findings(
        seen.lost,
        seen.doubled,
        seen.failed,
        seen.stale,
        seen.put_back,
        **row,
        created=len(created),
        refused=len(site.told("refused")),
        twice=len(once) - len(set(once)),
        crowded=_crowded(site),
        misplaced=len(misplaced),
    )


def _crowded(site: Site) -> int:
    """How many limits and lanes had more runs at once than they allow."""
    moves = site.told("start", "end")
    lanes = defaultdict[str, list[dict[str, object]]](list)
    for move in moves:
        if move["lane"]:
            lanes[move["lane"]].append(move)
    limited = most_at_once([move for move in moves if move["type"] == LIMITED.name]) > AT_ONCE
    return limited + sum(most_at_once(lane) > 1 for lane in lanes.values())
