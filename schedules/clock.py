"""What the clocks of a zone show, and when. A gap: wall times that never come; a fold: wall times that come twice.

The zones are those of the package tzdata, so that all hosts have the same, whatever their systems bring.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

import tzdata


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises ValueError where there is none."""
    if name not in _names():
        raise ValueError(f"{name!r} is no zone: give an IANA name such as Europe/Berlin, or UTC")
    with resources.files(tzdata).joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def wall_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clock shows at a moment."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def moments_of(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """The moments at which the clock shows this, in UTC: one, none in a gap, two in a fold, in order."""
    folds = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return sorted({moment for moment in folds if wall_of(moment, zone) == wall})


def first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which the clock shows this; for what it never shows, the first moment after the gap."""
    moments = moments_of(wall, zone)
    return moments[0] if moments else _end_of_gap(wall, zone)


def folded_back(moment: datetime, zone: ZoneInfo) -> timedelta:
    """By how much the clock is going to be set back to times that it shows now for the first time; zero outside of a fold."""
    moments = moments_of(wall_of(moment, zone), zone)
    return moments[-1] - moments[0] if moment < moments[-1] else timedelta(0)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the clock jumps over this: read with the later offset it lies before that, with the earlier after."""
    before, after = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    offset = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        same = (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset
        low, high = (middle, high) if same else (low, middle)
    return (before + timedelta(seconds=high)).replace(microsecond=0)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(resources.files(tzdata).joinpath("zones").read_text(encoding="utf-8").split())
