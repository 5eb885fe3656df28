"""When schedules are due, worked out without croniter: a walk over the wall clock of each zone, minute by minute.

minute of UTC ─▶ what the clock shows ─┬─ a time it has not shown: whatever matches is due
                                       ├─ one that it has shown before (a fold): intervals are due, fixed times are not
                                       └─ later than a minute on (a gap): fixed times that it jumped over are due now
"""

import calendar
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

from schedules import Rule
from schedules.clock import zone

MINUTE = timedelta(minutes=1)
_ON_TIME = timedelta(seconds=60)
_BEFORE = timedelta(days=2)
"""So much earlier a walk begins, to know what the clock has shown."""


@dataclass
class Cron:
    """One expression of numbers, lists, ranges and steps, and L for the last day of a month; its ticks by slot."""

    text: str
    ticks: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        minute, hour, self.day, month, self.weekday = self.text.split()
        self.interval = minute.startswith("*") or hour.startswith("*")
        self.minutes, self.hours = _values(minute, 0, 59), _values(hour, 0, 23)
        self.months, self.days = _values(month, 1, 12), _values(self.day, 1, 31)
        self.weekdays = {value % 7 for value in _values(self.weekday, 0, 7)}

    def falls_on(self, wall: datetime) -> bool:
        """Whether it has ticks on that day."""
        if wall.month not in self.months:
            return False
        last = calendar.monthrange(wall.year, wall.month)[1]
        on_day = wall.day in self.days or (self.day == "L" and wall.day == last)
        on_weekday = wall.isoweekday() % 7 in self.weekdays
        if self.day != "*" and self.weekday != "*":
            return on_day or on_weekday
        return on_day and on_weekday


def walk(zone_name: str, crons: Sequence[Cron], start: datetime, end: datetime) -> None:
    """Fill in the ticks of expressions of one zone that are due after `start`, up to `end`."""
    by_time: dict[tuple[int, int], list[Cron]] = {}
    for one in crons:
        for time in product(one.hours, one.minutes):
            by_time.setdefault(time, []).append(one)
    for now, wall, repeated, skipped in _clock(zone_name, start - _BEFORE, end):
        if now <= start:
            continue
        for gone in skipped:
            _fixed(by_time, gone, now)
        if not repeated:
            _fixed(by_time, wall, now)
        for one in by_time.get((wall.hour, wall.minute), ()):
            if one.interval and one.falls_on(wall):
                one.ticks[f"{now:%Y-%m-%dT%H:%M:%SZ}"] = now


def _fixed(by_time: Mapping[tuple[int, int], Sequence[Cron]], wall: datetime, now: datetime) -> None:
    for one in by_time.get((wall.hour, wall.minute), ()):
        if not one.interval and one.falls_on(wall):
            one.ticks[wall.isoformat(timespec="minutes")] = now


def run(rule: Rule, ticks: dict[str, datetime], looks: Sequence[datetime]) -> set[str]:
    """The slots that are run where a schedule is looked at just then; the first look is when it was put in."""
    ran, slots = set[str](), sorted((at, slot) for slot, at in ticks.items())
    place = 0
    while place < len(slots) and slots[place][0] <= looks[0]:
        place += 1
    for _, now in pairwise(looks):
        late, on_time = list[str](), list[str]()
        while place < len(slots) and slots[place][0] <= now:
            at, slot = slots[place]
            place += 1
            if now - at < _ON_TIME:
                on_time.append(slot)
            elif rule.missed_window_s is None or (now - at).total_seconds() <= rule.missed_window_s:
                late.append(slot)
        ran.update(on_time)
        if rule.missed == "all":
            ran.update(late[-rule.missed_max :])
        elif rule.missed == "once" and not on_time:
            ran.update(late[-1:])
    return ran


def changes(zone_name: str, start: datetime, end: datetime) -> list[datetime]:
    """The minutes at which the clocks of a zone jump."""
    return [now for (_, before), (now, after) in pairwise(_shown(zone_name, start, end)) if after - before != MINUTE]


def _clock(zone_name: str, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, bool, list[datetime]]]:
    """Each minute of UTC: what the clock shows, whether it has shown that before, and what it jumped over just now."""
    latest: datetime | None = None
    for now, wall in _shown(zone_name, start, end):
        skipped = list[datetime]()
        while latest is not None and latest + MINUTE < wall:
            latest += MINUTE
            skipped.append(latest)
        repeated = latest is not None and wall <= latest
        if not repeated:
            latest = wall
        yield now, wall, repeated, skipped


def _shown(zone_name: str, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    there, now = zone(zone_name), start.astimezone(UTC).replace(second=0, microsecond=0)
    while now <= end:
        yield now, now.astimezone(there).replace(tzinfo=None, fold=0)
        now += MINUTE


def _values(text: str, low: int, high: int) -> set[int]:
    found = set[int]()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "L":
            continue
        if span == "*":
            first, last = str(low), str(high)
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return found
