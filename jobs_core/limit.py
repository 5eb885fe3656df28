"""A limit as a job type declares it: a key, and how many of its jobs may run at once, or be claimed a second."""

from dataclasses import dataclass, replace

from jobs_core import gate
from jobs_core.errors import InvalidInput

MOST_SLOTS = 10_000
"""Of a key: each is a row."""
LEAST_PER_S, MOST_PER_S = 1e-6, 1_000_000.0
"""One in 11 days is the least: a look divides by it, and by a rate that is next to nothing Postgres cannot."""
MOST_KEYS = 10
"""Of one job: each is looked at by itself."""
MOST_GROUP_BYTES = 1_000
"""Of a job's keys together, which stand in an index beside its queue and type; a row of one holds 2,704."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `slots` running jobs of `key`, and at most `rate_per_s` claims of it a second; one of the two, or both.

    weight: how many slots, and permits, the job takes; one that is heavier than all there are takes all.
    burst: how many permits gather while nobody asks. Without it: half a second's worth, so that a minute's count stays within
    1 %, or 1 and a tenth of a second's worth, where that is more: a permit that nobody fetches at once must not be lost.
    The numbers are those of a key that is new: `./jobs limit set` and `limits.set_limit` change them.
    """

    key: str
    weight: int = 1
    slots: int | None = None
    rate_per_s: float | None = None
    burst: float | None = None


def checked(limit: Limit, *, field: str = "limits") -> Limit:
    """The limit with its burst filled in. Raises InvalidInput naming what does not fit."""
    key = gate.check_name(limit.key, field=f"{field}.key")
    if limit.slots is None and limit.rate_per_s is None:
        raise InvalidInput(f"{field}: {key!r} has neither slots nor a rate; give one", field=field)
    if limit.burst is not None and limit.rate_per_s is None:
        raise InvalidInput(f"{field}.burst: {key!r} has no rate; give one, or leave it out", field=f"{field}.burst")
    _check_integer(limit.weight, 1, f"{field}.weight")
    if limit.slots is not None:
        _check_integer(limit.slots, 0, f"{field}.slots")
    if limit.rate_per_s is None:
        return limit
    rate_per_s = _number(limit.rate_per_s, LEAST_PER_S, f"{field}.rate_per_s")
    burst = max(1 + rate_per_s / 10, rate_per_s / 2) if limit.burst is None else limit.burst
    return replace(limit, rate_per_s=rate_per_s, burst=_number(burst, 1, f"{field}.burst"))


def _check_integer(number: int, least: int, field: str) -> None:
    if type(number) is not int or not least <= number <= MOST_SLOTS:
        raise InvalidInput(f"{field}: {number!r} is not an integer from {least} to {MOST_SLOTS}", field=field)


def _number(number: float, least: float, field: str) -> float:
    """The number as a float; NaN is not in the range, nor is an integer that no float can hold."""
    plain = isinstance(number, int | float) and not isinstance(number, bool)
    if not plain or not least <= number <= MOST_PER_S:
        raise InvalidInput(f"{field}: {number!r} is not a number from {least:g} to {MOST_PER_S:,.0f}", field=field)
    return float(number)
