"""/metrics, as Prometheus text: what the processes of this program counted, and what stands in the database.

With PROMETHEUS_MULTIPROC_DIR all processes of one host write their counters there, and any door shows them all.
"""

import os
from collections.abc import Iterable

from fastapi import Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from gateways.web.context import Context
from jobs_core.history import days_ahead
from jobs_core.lanes import count_held
from jobs_core.leases import live_workers
from jobs_core.look import counts
from jobs_core.metrics import from_database
from jobs_core.pauses import pauses


async def metrics(request: Request) -> Response:
    """All metrics, at the time of asking."""
    stands: list[Metric] = await request.app.state.look_for_metrics()
    text = generate_latest(_counted()) + generate_latest(_registry_of(_Given(stands)))
    return Response(text, media_type=CONTENT_TYPE_LATEST)


async def look_for_metrics(context: Context) -> list[Metric]:
    """The metrics of what stands in the database; reads all living jobs."""
    async with context.database.connection() as conn:
        workers = len(await live_workers(conn))
        stands = (await counts(conn), workers, await days_ahead(conn), await pauses(conn), await count_held(conn))
        return list(from_database(*stands))


class _Given(Collector):
    """Metrics that were collected already."""

    def __init__(self, given: Iterable[Metric]) -> None:
        self._given = given

    def collect(self) -> Iterable[Metric]:
        return self._given


def _counted() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types here
    return registry


def _registry_of(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry
