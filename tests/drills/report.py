"""How a drill tells what it saw, and its exit status."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

SKIPPED = 77
"""The exit status of a drill that this machine cannot run."""


class CannotRun(Exception):
    """This machine lacks something that the drill needs; the text says what, and how to get it."""


def show(plan: Any, report: Any, broken: list[str]) -> int:
    """Print two dataclasses and the verdict; the number of drills that broke, 0 or 1."""
    for name, value in _flat({**asdict(plan), **asdict(report)}):
        print(f"{name:>24} {value}")
    print(f"BROKEN: {'; '.join(broken)}" if broken else "HELD", "\n", flush=True)
    return int(bool(broken))


def show_skipped(why: CannotRun) -> int:
    """Print why the drill was not run."""
    print(f"SKIPPED: {why}", flush=True)
    return SKIPPED


def count(into: dict[str, int], names: Iterable[str]) -> None:
    """Count these in a report. (`asdict` spoils a Counter.)"""
    for name in names:
        into[name] = into.get(name, 0) + 1


def quantile(values: list[float], part: float) -> float:
    """The value that `part` of them do not pass (0.99: p99); they are some at least."""
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat({str(key): part for key, part in value.items()})
        elif isinstance(value, list) and value and isinstance(value[0], float):
            for label, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
                yield f"{name}_{label}", round(quantile(value, part), 3)
        else:
            yield name, value
