"""The points at which a Telegram message's way is cut, and how a process is made to stand there until it was struck.

    K1 said, not committed ─▶ K2 not claimed ─▶ … ─▶ K11 card owed, not claimed ─▶ K12 sent, not recorded
       ─▶ K13 pressed, not committed ─▶ … ─▶ K11, K12 of the answer

At each of them a process of ours writes something down. A trigger has that write wait for a lock, so that the point is reached
when a backend waits there, and left when the lock is opened. The backend of a process that was killed is ended first: it does
not know that nobody listens, and would commit.
"""

from dataclasses import dataclass
from typing import Literal

from jobs_core import Connection, execute, fetch
from tests.drills.waiting import until

_SCHEMA = """
CREATE FUNCTION drill_wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint);
    RETURN NEW;
END $$;
CREATE FUNCTION drill_wait_of_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owed jobs.deliveries;
BEGIN
    IF TG_TABLE_NAME = 'jobs' THEN
        SELECT * INTO owed FROM jobs.deliveries WHERE job_id = NEW.id;
    ELSE
        SELECT * INTO owed FROM jobs.deliveries WHERE id = NEW.delivery_id;
    END IF;
    IF owed.kind = TG_ARGV[1] AND NOT owed.payload ? 'edits' THEN
        PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint);
    END IF;
    RETURN NEW;
END $$;
"""
_TAKEN_IN = "BEFORE INSERT ON jobs.telegram_messages FOR EACH ROW WHEN (NEW.direction = 'in')"
_CLAIMED = "BEFORE UPDATE ON jobs.jobs FOR EACH ROW WHEN (NEW.state = 'claimed' AND NEW.job_type = '{job_type}')"
_SENT = "BEFORE INSERT ON jobs.telegram_messages FOR EACH ROW WHEN (NEW.direction = 'out')"
_PRESSED = "BEFORE INSERT ON jobs.telegram_presses FOR EACH ROW"

_WAITING = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %(lock)s
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

When = Literal["said", "card", "pressed", "answer"]
"""What a person does or sees just before a point, or would see just after it."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a way is cut. event: of the trigger. kind: of the delivery, where it is about one.

    also_worker: the worker is killed as well.
    """

    name: str
    when: When
    event: str
    kind: str = ""
    also_worker: bool = False

    @property
    def lock(self) -> int:
        """The number of the lock that its trigger waits for."""
        return 1 + POINTS.index(self)


POINTS = (
    Point("K1", "said", _TAKEN_IN),
    Point("K2", "said", _CLAIMED.format(job_type="chat_turn"), also_worker=True),
    Point("K11-card", "card", _CLAIMED.format(job_type="deliver"), "card", also_worker=True),
    Point("K12-card", "card", _SENT, "card"),
    Point("K13", "pressed", _PRESSED),
    Point("K11", "answer", _CLAIMED.format(job_type="deliver"), "answer", also_worker=True),
    Point("K12", "answer", _SENT, "answer"),
)


async def prepare(conn: Connection) -> None:
    """Set up a fresh migrated database."""
    await execute(conn, _SCHEMA)
    for point in POINTS:
        wait = f"drill_wait_of_delivery({point.lock}, {point.kind})" if point.kind else f"drill_wait({point.lock})"
        await execute(conn, f'CREATE TRIGGER "drill {point.name}" {point.event} EXECUTE FUNCTION {wait}')


async def close(conn: Connection, point: Point) -> None:
    """Have the next process stop at this point. conn: the drill's own, outside any pool: it holds the lock."""
    await execute(conn, "SELECT pg_advisory_lock(%(lock)s)", {"lock": point.lock})


async def reached(conn: Connection, point: Point) -> None:
    """Wait until a process stands there. Raises TimeoutError."""

    async def somebody_waits() -> bool:
        return bool(await fetch(conn, _WAITING, {"lock": point.lock}))

    await until(somebody_waits, f"a process stands at {point.name}")


async def leave(conn: Connection, point: Point) -> None:
    """Let whoever comes next pass; what still waits there for a process that was killed ends without effect."""

    async def nobody_waits() -> bool:
        return not await fetch(conn, _WAITING, {"lock": point.lock})

    for waiting in await fetch(conn, _WAITING, {"lock": point.lock}):
        await fetch(conn, "SELECT pg_terminate_backend(%(pid)s)", waiting)
    await until(nobody_waits, "the backends have ended")
    await execute(conn, "SELECT pg_advisory_unlock(%(lock)s)", {"lock": point.lock})
