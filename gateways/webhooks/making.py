"""From a request whose sender is known to the job that its source wants of it: for the door, a replay and a dry run alike."""

import re
from collections.abc import Iterable, Mapping

import structlog

from gateways.webhooks.errors import NotMapped
from gateways.webhooks.mapping import Event, job_of
from gateways.webhooks.sources import Definition
from jobs_core import InvalidInput, Jobs, NewJob, gate

log = structlog.get_logger()

MAX_BODY_BYTES = 1024 * 1024
_KEPT = frozenset({"content-type", "user-agent", "webhook-id", "webhook-timestamp", "idempotency-key"})
_TELLING = re.compile(r"assert|auth|cookie|cred|forwarded|jwt|key|oidc|passw|real-ip|secret|session|sign|token")
_MOST_KEPT, _MAX_NAME_CHARS, _MAX_KEPT_CHARS = 40, 100, 500
_FORM = "application/x-www-form-urlencoded"


def kept(headers: Mapping[str, str], secret: Iterable[str]) -> dict[str, str]:
    """Of headers by lower-case name those that say what an event is: never one that may show a secret, or who passed it on."""
    shown = {
        name: value[:_MAX_KEPT_CHARS]
        for name, value in headers.items()
        if name not in secret
        and len(name) <= _MAX_NAME_CHARS
        and (name in _KEPT or (name.startswith("x-") and not _TELLING.search(name)))
    }
    return dict(list(shown.items())[:_MOST_KEPT])


def read_event(source: str, key: str, headers: Mapping[str, str], body: bytes) -> Event:
    """The event that a body tells, a JSON object or array. Raises InvalidInput."""
    try:
        told = gate.from_json(body, field="body", max_bytes=MAX_BODY_BYTES)
    except InvalidInput:
        if headers.get("content-type", "").lower().startswith(_FORM):  # what GitHub sends unless told otherwise
            raise InvalidInput(
                f"body: is a form, not JSON; have the sender use the content type application/json, not {_FORM}",
                field="body",
            ) from None
        raise
    if not isinstance(told, dict | list):
        raise InvalidInput(f"body: is {type(told).__name__}, not a JSON object or array", field="body")
    return Event(source, key, headers, told)


def made_of(jobs: Jobs, definition: Definition, event: Event) -> NewJob | NotMapped | None:
    """The job to create, None where the filter lets the event out, or why there can be none."""
    try:
        job = job_of(definition.mapping, definition.job_type, event)
        if job is not None:
            jobs.lane_of(job)  # checks all that can be known of it before it is written
    except NotMapped as error:
        return error
    except InvalidInput as error:
        return NotMapped(str(error))
    except Exception as error:  # noqa: BLE001 - its type's own code (lane, limits, keys) met what it does not expect
        log.warning("webhook.type_broke", job_type=definition.job_type, error=type(error).__name__)
        return NotMapped(f"{definition.job_type}: its code for lane, limits or keys raised {type(error).__name__}")
    return job
