"""What may stand in paths and queries: bounded, and nothing that Postgres would choke on."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from jobs_core import InvalidInput, gate

Id = Annotated[int, Field(ge=1, lt=2**63)]
"""A number that fits the id columns."""


def _name(text: str) -> str:
    try:
        return gate.check_text(text, field="name", max_chars=gate.MAX_NAME_CHARS)
    except InvalidInput as error:  # told as pydantic's, which knows the place
        raise PydanticCustomError("name", "{why}", {"why": str(error).removeprefix("name: ")}) from None


Name = Annotated[str, AfterValidator(_name)]
"""The name of a queue, a type, a chat."""


YEARS = range(2000, 2200)
"""What Postgres and Python both hold as a time, whatever its zone."""


def _moment(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise PydanticCustomError("year", f"the year is not between {YEARS[0]} and {YEARS[-1]}")
    return moment.astimezone(UTC)  # Postgres takes no offset past 15:59


Moment = Annotated[AwareDatetime, AfterValidator(_moment)]
"""A time with its zone."""


class Page(BaseModel):
    """Which part of a list: at most `limit`, from before the id `before_id` on."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=100)
    before_id: Id | None = None
