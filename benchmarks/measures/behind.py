"""What may stand behind the jobs that a worker claims: each fills a queue with so many of them."""

from collections.abc import Awaitable, Callable

from benchmarks.contenders.script import TEXT
from benchmarks.contenders.us import LIMITED, MARKED, OurProducer
from benchmarks.measures.claims import JOB_TYPES, LEASE_S, QUEUES, Queue
from benchmarks.measures.year import make_history
from benchmarks.plan import BATCH
from jobs_core.claim_limited import claim_limited
from jobs_core.leases import register
from jobs_core.pauses import pause

_DAYS = 30

Fill = Callable[[Queue, int], Awaitable[None]]


def bulk(kind: str) -> Fill:
    """Jobs of a kind that the drains stand beside, too."""

    async def fill(queue: Queue, jobs: int) -> None:
        await _create(queue, kind, jobs)

    return fill


async def paused(queue: Queue, jobs: int) -> None:
    """Ready jobs of a type that this worker runs, and that an operator has paused."""
    await _create(queue, "marked", jobs)
    await pause(queue.conn, job_type=MARKED.name, set_by="bench")


async def full_limit(queue: Queue, jobs: int) -> None:
    """Jobs of one key, which a running one keeps full."""
    await _limited(queue, jobs, keys=1)


async def full_limits(queue: Queue, jobs: int) -> None:
    """A hundred jobs each of many keys, every one of which a running one keeps full."""
    await _limited(queue, jobs, keys=max(1, jobs // 100))


async def ended(queue: Queue, jobs: int) -> None:
    """A month of history."""
    await make_history(queue.jobs.database.dsn, jobs, days=_DAYS)


async def _create(queue: Queue, kind: str, jobs: int, keys: int = 0) -> None:
    """keys: among how many limits they are shared out."""
    producer = OurProducer(queue.jobs)
    for done in range(0, jobs, BATCH):
        numbers = range(done, min(done + BATCH, jobs))
        texts = [f"full:{number % keys}" if keys else TEXT for number in numbers]
        await producer.create_bulk([{"text": text, "sent": 0.0} for text in texts], kind)


async def _limited(queue: Queue, jobs: int, *, keys: int) -> None:
    await _create(queue, "limited", keys, keys)
    worker_id = await register(queue.conn, queues=QUEUES, job_types=JOB_TYPES, slots=keys, lease_s=LEASE_S)
    held, after = 0, ""
    while held < keys:
        found = await claim_limited(
            queue.conn, worker_id=worker_id, queues=QUEUES, job_types=[LIMITED.name], slots=BATCH, after=after
        )
        held, after = held + len(found.jobs), found.after
    await _create(queue, "limited", jobs, keys)
