"""What the shop does: orders come in, and each is followed by two jobs."""

from pydantic import BaseModel

from jobs_core import Complete, Connection, HandlerTable, Job, Jobs, JobType, NewJob, db, execute, fetch_one
from jobs_core.history import make_partitions
from jobs_core.migrations import migrate

TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email      text NOT NULL,
    cents      bigint NOT NULL,
    receipted  boolean NOT NULL DEFAULT false
);
CREATE TABLE IF NOT EXISTS takings (one boolean PRIMARY KEY DEFAULT true, cents bigint NOT NULL);
"""


class Receipt(BaseModel):
    """A receipt to send."""

    order_id: int
    email: str


class Tally(BaseModel):
    """Count the takings: there is nothing to say about it."""


RECEIPT = JobType("receipt", Receipt, lane=lambda receipt: f"receipts:{receipt.email}")
"""Receipts of one customer are sent one at a time, in order."""
TALLY = JobType("tally", Tally, brief=True, unique_key=lambda _: "takings", unique_while="unstarted")
"""However many orders come in before it starts, one is enough."""


def build_table() -> HandlerTable:
    """What this program can do."""
    table = HandlerTable()
    table.register_handler(RECEIPT, send_receipt)
    table.register_handler(TALLY, count_takings)
    return table


async def set_up(dsn: str) -> None:
    """Make the tables: the queue's, in a schema of its own, and the shop's."""
    async with await db.connect(dsn, name="own_program set-up") as conn:
        await migrate(conn, ["jobs_core"])
        await make_partitions(conn)
        await execute(conn, TABLES)


async def place_order(jobs: Jobs, email: str, cents: int) -> int:
    """Take an order: it and its jobs are there together, or none of them is. Returns the order's id."""
    async with jobs.database.transaction() as conn:
        order = await fetch_one(
            conn,
            "INSERT INTO orders (email, cents) VALUES (%(email)s, %(cents)s) RETURNING id",
            {"email": email, "cents": cents},
        )
        assert order
        receipt = Receipt(order_id=order["id"], email=email)
        created = await jobs.create_many([NewJob(RECEIPT, receipt), NewJob(TALLY, Tally())], conn=conn)
    created.wake()
    return receipt.order_id


async def send_receipt(job: Job[Receipt]) -> Complete:
    """Send it, and note that in the very transaction that ends the job."""
    if "@" not in job.input.email:
        raise ValueError(f"{job.input.email!r} is no address")
    # Here the mail goes out, with job.id as its idempotency key: a run that is lost after this is run again.

    async def note(conn: Connection) -> None:
        await execute(conn, "UPDATE orders SET receipted = true WHERE id = %(id)s", {"id": job.input.order_id})

    return Complete({"to": job.input.email}, also=note)


async def count_takings(_: Job[Tally]) -> Complete:
    """Write down what all orders come to."""

    async def count(conn: Connection) -> None:
        await execute(
            conn,
            "INSERT INTO takings (cents) SELECT coalesce(sum(cents), 0) FROM orders "
            "ON CONFLICT (one) DO UPDATE SET cents = excluded.cents",
        )

    return Complete(also=count)
