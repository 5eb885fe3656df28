"""What may stand in paths and queries: bounded, and nothing that Postgres would choke on."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from jobs_core import InvalidInput, gate

Id = Annotated[int, Field(ge=1, lt=2**63)]
"""A number that fits the id columns."""


def _name(text: str) -> str:
    try:
        return gate.check_text(text, field="name", max_chars=gate.MAX_NAME_CHARS)
    except InvalidInput as error:  # told as pydantic's, which knows the place
        raise PydanticCustomError("name", "{why}", {"why": str(error).removeprefix("name: ")}) from None


Name = Annotated[
    str,
    AfterValidator(_name),
    WithJsonSchema({"type": "string", "maxLength": gate.MAX_NAME_CHARS, "pattern": "^[^\\u0000\\ud800-\\udfff]*$"}),
]
"""The name of a queue, a type, a chat."""


class Page(BaseModel):
    """Which part of a list: at most `limit`, from before the id `before_id` on."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=100)
    before_id: Id | None = None
