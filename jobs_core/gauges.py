"""Gauges that stand in the database: each room declares its own, and one statement of its own reads them.

    <room>/metrics.py GAUGES ─┐
    <room>/sql/metrics/look.sql ─ rows (gauge, labels, value) ─▶ read ─▶ Prometheus' families

Such a statement is bounded: it goes along indexes and counts up to COUNTED_TO of a kind, however large the tables are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from prometheus_client.core import GaugeMetricFamily, Metric

from jobs_core import db
from jobs_core.statements import statement

COUNTED_TO = 10_000
"""What stands there of one kind is counted up to this: more takes a look through all of it."""
MOST_SERIES = 200
"""Of one gauge. Queues are named by whoever creates jobs: where there are more, the smallest are one series."""
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Gauge:
    """One gauge. labels: what tells its series apart. is_most: several series together are their greatest, else their sum."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    is_most: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """One series of a gauge; labels: their values, in the gauge's order."""

    gauge: str
    labels: Sequence[str]
    value: float


async def read(conn: db.Connection, room: LiteralString, **values: Any) -> list[Value]:
    """What the room's statement says."""
    rows = await db.fetch(conn, statement(room, "metrics/look"), {"most": COUNTED_TO, **values})
    return [Value(row["gauge"], row["labels"], row["value"]) for row in rows]


def families(gauges: Iterable[Gauge], values: Iterable[Value]) -> list[Metric]:
    """The gauges with these values; one without any has no series."""
    found = {gauge.name: dict[tuple[str, ...], float]() for gauge in gauges}
    for one in values:
        found[one.gauge][tuple(one.labels)] = one.value
    return [_family(gauge, found[gauge.name]) for gauge in gauges]


def _family(gauge: Gauge, series: dict[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
    in_order = sorted(series.items(), key=lambda one: one[1], reverse=True)
    for labels, value in in_order[:MOST_SERIES]:
        family.add_metric(labels, value)
    if rest := [value for _, value in in_order[MOST_SERIES:]]:
        family.add_metric([OTHERS] * len(gauge.labels), max(rest) if gauge.is_most else sum(rest))
    return family
