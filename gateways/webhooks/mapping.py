"""What job is made of an event: a source's mapping, which is data, in JMESPath (jmespath.org).

    {
      "filter": "body.action == 'opened'",                  events for which this is not true are kept, and ignored
      "input": {"title": "body.issue.title", "tags": ["'web'"], "tries": 3},
      "idempotency_key": "body.issue.node_id"
    }

In `input` every text is an expression, what it stands in is kept as it is, and other values are themselves; `'text'` is
JMESPath for a text. Expressions see `body`, `headers` (by lower-case name), `source` and `id`. The type of the job is the
source's, and nothing in an event can change it.
"""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateways.webhooks.errors import NotMapped
from jobs_core import NewJob, gate
from jobs_core.job_types import JobType

_MAX_EXPRESSION_CHARS = 4_000
_KNOWN_PROGRAMS = 2_000
_MAX_MAPPING_BYTES = 64 * 1024


def _expression(text: str) -> str:
    try:
        _compiled(text)
    except (JMESPathError, RecursionError) as error:
        raise ValueError(f"{text[:200]!r} is not JMESPath: {_first_line(error)}") from None
    return text


def _template(value: Any) -> Any:
    match value:
        case str():
            _expression(value)
        case dict():
            for part in value.values():
                _template(part)
        case list():
            for part in value:
                _template(part)
    return value


Expression = Annotated[str, Field(min_length=1, max_length=_MAX_EXPRESSION_CHARS), AfterValidator(_expression)]


class Mapping(BaseModel):
    """input: of the job. The others are of the create; each that gives null is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filter: Expression | None = None
    input: Annotated[str | dict[str, Any], AfterValidator(_template)] = "body"
    user_id: Expression | None = None
    project_id: Expression | None = None
    idempotency_key: Expression | None = None
    unique_key: Expression | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What expressions see. headers: those that are kept."""

    source: str
    id: str
    headers: Dict[str, str]
    body: Any

    @property
    def seen(self) -> dict[str, Any]:
        """As JMESPath takes it."""
        return {"source": self.source, "id": self.id, "headers": dict(self.headers), "body": self.body}


def check_mapping(given: Any) -> Mapping:
    """The mapping, if it is one. Raises InvalidInput naming the place."""
    gate.to_json(given, field="mapping", max_bytes=_MAX_MAPPING_BYTES)
    fitted = gate.fit(Mapping, given, field="mapping")
    assert isinstance(fitted, Mapping)
    return fitted


def job_of(mapping: Mapping, job_type: JobType[Any] | str, event: Event) -> NewJob | None:
    """The job to create; None where the filter says that there is none. Raises NotMapped."""
    seen = event.seen
    if mapping.filter is not None and not _is_true(_search(mapping.filter, seen, "filter")):
        return None
    made = _filled(mapping.input, seen, "input")
    if not isinstance(made, dict):
        raise NotMapped(f"input: is {type(made).__name__}, not an object; let the mapping's input name its fields")
    return NewJob(
        job_type,
        made,
        user_id=_name(mapping.user_id, seen, "user_id"),
        project_id=_name(mapping.project_id, seen, "project_id"),
        idempotency_key=_name(mapping.idempotency_key, seen, "idempotency_key"),
        unique_key=_name(mapping.unique_key, seen, "unique_key"),
    )


def _filled(template: Any, seen: dict[str, Any], place: str) -> Any:
    match template:
        case str():
            return _search(template, seen, place)
        case dict():
            return {key: _filled(part, seen, f"{place}.{key}") for key, part in template.items()}
        case list():
            return [_filled(part, seen, f"{place}.{index}") for index, part in enumerate(template)]
    return template


def _name(expression: str | None, seen: dict[str, Any], place: str) -> str | None:
    if expression is None:
        return None
    match _search(expression, seen, place):
        case None:
            return None
        case str() as text:
            return text
        case bool() | dict() | list() | float() as other:
            raise NotMapped(f"{place}: {expression!r} gives {type(other).__name__}, not a text or a whole number")
        case number:
            return str(number)


def _search(expression: str, seen: dict[str, Any], place: str) -> Any:
    try:
        return _compiled(expression).search(seen)
    except JMESPathError as error:
        raise NotMapped(f"{place}: {expression!r}: {_first_line(error)}") from None
    except Exception as error:  # noqa: BLE001 - its comparisons and functions let through what Python says of odd values
        raise NotMapped(f"{place}: {expression!r}: {type(error).__name__}") from None


@lru_cache(_KNOWN_PROGRAMS)
def _compiled(expression: str) -> ParsedResult:
    return jmespath.compile(expression)


def _is_true(value: Any) -> bool:
    """As JMESPath has it: false, null and what is empty are not; 0 is."""
    return value is not None and value is not False and value not in ("", [], {})


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
