"""docs/metrics.md is the list of metrics: it names each one, with its kind and labels, and no other."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY

from gateways.web.metrics import GAUGES

CHECKOUT = Path(__file__).resolve().parents[2]
ROOMS = ("jobs_core", "workers", "schedules", "sessions", "assistant", "handlers", "gateways")
ROW = re.compile(r"^\| `(jobs_\w+)` \| (\w+) \| (.+?) \| .+ \|$", re.MULTILINE)
CLOSED = {
    "account",  # of ours, as its owner named it
    "agent",  # likewise
    "because",
    "channel",
    "host",
    "job_type",
    "kind",
    "model",  # of the price list
    "outcome",
    "period",
    "queue",
    "result",
    "room",
    "scope",
    "source",  # of webhooks, as its operator named it
    "state",
    "table",
}

Told = dict[str, tuple[str, tuple[str, ...]]]


def documented() -> Told:
    rows = ROW.findall((CHECKOUT / "docs" / "metrics.md").read_text(encoding="utf-8"))
    assert len(rows) == len({name for name, *_ in rows}), "a metric stands on the page twice"
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def counted() -> Iterator[tuple[str, tuple[str, tuple[str, ...]]]]:
    for room in ROOMS:
        for file in (CHECKOUT / room).rglob("metrics.py"):
            importlib.import_module(".".join(file.relative_to(CHECKOUT).with_suffix("").parts))
    for collector in REGISTRY._collector_to_names:
        name = getattr(collector, "_name", "")
        if name.startswith("jobs_"):
            kind = collector._type
            yield name + ("_total" if kind == "counter" else ""), (kind, tuple(collector._labelnames))


def in_code() -> Told:
    return dict(counted()) | {gauge.name: ("gauge", gauge.labels) for gauge in GAUGES}


def test_metrics_of_every_room_were_found() -> None:
    """The other tests would hold for an empty list too."""
    some = {"jobs_ended_total", "jobs_leases_lost_total", "jobs_turns_total", "jobs_approvals_total", "jobs_living"}
    assert some <= in_code().keys()


def test_the_page_lists_exactly_the_metrics_of_the_code() -> None:
    assert documented() == in_code()


def test_no_label_can_name_a_person_or_what_was_said() -> None:
    assert {label for _, labels in in_code().values() for label in labels} <= CLOSED


def test_names_are_as_prometheus_wants_them() -> None:
    units = ("_seconds", "_usd", "_ratio", "_total")
    for name, (kind, _) in in_code().items():
        assert (kind == "counter") == name.endswith("_total"), name
        assert kind != "histogram" or name.endswith(units), name
