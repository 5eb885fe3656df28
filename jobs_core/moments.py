"""A time as people hand it in: with its zone, and one that Postgres and Python both hold."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

YEARS = range(2000, 2200)
"""What both hold, whatever the zone."""


def _moment(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise ValueError(f"the year is not between {YEARS[0]} and {YEARS[-1]}")
    return moment.astimezone(UTC)  # Postgres takes no offset past 15:59


Moment = Annotated[AwareDatetime, AfterValidator(_moment)]
"""A time with its zone, made UTC."""
