"""Logs: structlog, one line an event, to stderr, so that stdout stays a command's answer.

An event is `noun.past_verb`; what it is about is keys. Message text and secrets are never logged: of an exception only its type
and where it came from, for its own text may hold a row, and a row holds what people said. The job keeps the text.
"""

import logging
import sys
import traceback

import structlog

from jobs_core.db import describe
from jobs_core.job import current
from jobs_core.settings import CoreSettings

_FRAMES = 8  # the innermost ones say where it broke


def set_up_logs(settings: CoreSettings) -> None:
    """Choose level and form for this process; libraries that use `logging` are shown from warnings on."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _name_the_job,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _frames_only,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")


def _name_the_job(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if job := current.get(None):
        named = {"job_id": job.id, "job_type": job.job_type, "token": job.token}
        event = {**named, **event}
    return event


def _frames_only(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["error"] = describe(error)
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        event["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event
