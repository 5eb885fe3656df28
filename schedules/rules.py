"""Rule: when a schedule is due, and what becomes of ticks that nobody saw to in time.

    cron, minute and hour both fixed    each wall time once: in a fold at its first coming, in a gap at the gap's end
    cron, minute or hour a wildcard     whenever the clock shows it: an interval of real time
    every                               a span of real time, counted from an anchor
    at                                  one moment

A tick is named by its slot: the wall time of the first kind, the moment in UTC of the others. With that name it is created
once, whatever clocks and zones did meanwhile.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Annotated, Any, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from jobs_core import gate
from schedules import clock, cron

Missed = Literal["skip", "once", "all"]
Overlap = Literal["skip", "queue", "cancel"]

_DAY_S = 86_400
_LONGEST_S = 366 * _DAY_S
MOST_MISSED = 1_000
_SECOND = timedelta(seconds=1)


class Due(NamedTuple):
    """One tick to come: its slot's name, and when it is due, in UTC."""

    slot: str
    at: datetime


class Rule(BaseModel):
    """When, and how. Exactly one of cron, every_s and at is given.

    zone: an IANA name; what cron means, and `at` where it names no zone. cron: five fields, or a name such as @daily.
    every_s: seconds between ticks; anchor: what they are counted from, the moment of `put` where it is not given.
    jitter_s: each job starts up to so much later, by its schedule and slot, so that a crowd spreads.
    missed: of ticks that were not seen to within a minute, `skip` all, run the last one `once` (unless one is due now anyhow),
    or run `all`: the last missed_max of them. None is older than missed_window_s.
    overlap: where a job of an earlier tick has not ended, `skip` the tick, `queue` its job behind that one, or `cancel` that
    one and begin when it has ended.
    Building one of what does not fit raises pydantic's ValidationError; `read` raises InvalidInput.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: str = "UTC"
    cron: str | None = None
    every_s: Annotated[int, Field(ge=1, le=_LONGEST_S)] | None = None
    anchor: AwareDatetime | None = None
    at: datetime | None = None
    jitter_s: Annotated[int, Field(ge=0, le=_DAY_S)] = 0
    missed: Missed = "once"
    missed_max: Annotated[int, Field(ge=1, le=MOST_MISSED)] = 10
    missed_window_s: Annotated[int, Field(ge=1, le=_LONGEST_S)] | None = None
    overlap: Overlap = "skip"

    @classmethod
    def read(cls, values: Any) -> "Rule":
        """A rule of plain values. Raises InvalidInput naming the field."""
        rule = gate.fit(cls, values, field="rule")
        assert isinstance(rule, Rule)
        return rule

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        clock.zone(name)
        return name

    @field_validator("cron")
    @classmethod
    def _fitting_cron(cls, text: str | None) -> str | None:
        return None if text is None else cron.checked(text)

    @field_validator("anchor", "at")
    @classmethod
    def _in_utc(cls, moment: datetime | None, info: ValidationInfo) -> datetime | None:
        if moment is None or "zone" not in info.data:
            return None
        try:
            if moment.tzinfo is None:
                return clock.first_moment(moment, clock.zone(info.data["zone"]))
            return moment.astimezone(UTC)
        except OverflowError:
            raise ValueError("is no time of the years 1 to 9999 in UTC") from None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(kind is not None for kind in (self.cron, self.every_s, self.at)) != 1:
            raise ValueError("give exactly one of cron, every_s and at")
        if self.anchor is not None and self.every_s is None:
            raise ValueError("anchor: is what every_s counts from; leave it out")
        return self

    @property
    def timing(self) -> tuple[Any, ...]:
        """What its ticks follow from: two rules of the same timing have the same ticks."""
        return self.zone, self.cron, self.every_s, self.anchor, self.at

    def upcoming(self, after: datetime, n: int) -> list[datetime]:
        """The next n ticks after a moment, in UTC; fewer where there are no more."""
        return [due.at for due in islice(self.due(after), n)]

    def due(self, after: datetime) -> Iterator[Due]:
        """The ticks after a moment, in order; those of one gap are due together, in the order of their wall times."""
        after = after.astimezone(UTC)
        if self.every_s is not None:
            return self._by_span(after, timedelta(seconds=self.every_s))
        if self.at is not None:
            at = self.at.astimezone(UTC)
            return iter([Due(utc_name(at), at)] if at > after else [])
        assert self.cron is not None
        by = _by_interval if cron.is_interval(self.cron) else _by_wall
        return by(self.cron, clock.zone(self.zone), after)

    def between(self, after: datetime, until: datetime) -> list[Due]:
        """The ticks after a moment up to another, that included."""
        return list(takewhile(lambda due: due.at <= until, self.due(after)))

    def last(self, n: int, after: datetime, until: datetime) -> list[Due]:
        """The last n of `between`, in order; how many there are besides costs nothing."""
        back = n
        while True:
            start = self._so_far_back(back, after, until)
            found = self.between(start, until)
            if start == after or len(found) >= n:
                return found[-n:]
            back *= 2

    def _so_far_back(self, ticks: int, after: datetime, until: datetime) -> datetime:
        """A moment that about so many ticks lie behind, up to `until`; no earlier than `after`."""
        if self.every_s is not None:
            return max(after, until - (ticks + 1) * timedelta(seconds=self.every_s))
        if self.cron is None:
            return after
        zone = clock.zone(self.zone)
        earliest = clock.wall_of(after, zone)
        before = cron.matches_before(self.cron, clock.wall_of(until, zone) + _SECOND)
        walls = list(islice(takewhile(lambda wall: wall > earliest, before), ticks + 1))
        if len(walls) <= ticks:
            return after
        return max(after, clock.first_moment(walls[-1], zone) - _SECOND)

    def _by_span(self, after: datetime, every: timedelta) -> Iterator[Due]:
        anchor = (self.anchor or after).astimezone(UTC)  # a row's may have the zone of somebody's connection
        nth = (after - anchor) // every + 1
        while True:
            try:
                at = anchor + nth * every
            except OverflowError:
                return
            yield Due(utc_name(at), at)
            nth += 1


def _by_wall(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[Due]:
    for wall in cron.matches(expression, clock.wall_of(after, zone)):
        at = clock.first_moment(wall, zone)
        if at > after:
            yield Due(wall.isoformat(timespec="minutes"), at)


def _by_interval(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[Due]:
    while (at := _next_shown(expression, zone, after)) is not None:
        yield Due(utc_name(at), at)
        after = at


def _next_shown(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The first moment after this one at which the clock shows what matches.

    In the first coming of a fold the clock is going to show earlier times again: these are looked at, too.
    """
    shown, found = clock.wall_of(after, zone), list[datetime]()
    for wall in cron.matches(expression, shown - clock.folded_back(after, zone)):
        found += [moment for moment in clock.moments_of(wall, zone) if moment > after]
        if found and wall > shown:
            break
    return min(found, default=None)


def utc_name(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{moment:%f}" if moment.microsecond else "") + "Z"
