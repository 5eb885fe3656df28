"""Tells the owner that a sender gave one id to two events: its own mistake, or somebody who sends on what he overheard."""

from assistant.notifications import notify
from gateways.webhooks.taking import Taken
from jobs_core import Database, execute, fetch_one, statement


async def tell_of_conflict(database: Database, source: str, known: Taken) -> None:
    """Count it with the event that was taken in, and tell the owner: once for an event, and once an hour for a source."""
    async with database.transaction() as conn:
        row = await fetch_one(conn, statement("gateways", "webhook_event/conflict"), {"id": known.id})
        if row is None or row["conflicts"] > 1:
            return
        if not await execute(conn, statement("gateways", "webhook_source/alarm"), {"name": source}):
            return
        await notify(
            conn,
            user_id=None,
            title=f"The webhook source {source} sent another body under a known id",
            body=(
                f"It was refused, and event {known.id} stays as it is. The sender is at fault, or somebody else sends what "
                f"they overheard: ./jobs hook deliveries {source} --conflicts shows which, ./jobs hook rotate {source} makes a "
                "new secret. More of this source is not told for an hour."
            ),
            category="webhooks",
            severity="warning",
            metadata={"source": source, "event": known.id},
        )
