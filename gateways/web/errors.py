"""What a caller is told when something goes wrong: `{"error": {"code", "message", "field"}}`, never a traceback.

InvalidInput 422 · what the assistant refuses: in the table below · database away 503 · Refused: as it says ·
anything else 500, and logged
"""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.errors import (
    AssistantError,
    CallbackExists,
    ChatClosed,
    MayNotDecide,
    MayNotSchedule,
    NoSuchAction,
    NoSuchAgent,
    NoSuchAlways,
    NoSuchAnswer,
    NoSuchCallback,
    NoSuchChat,
    NoSuchDelivery,
    NoSuchTask,
    NoSuchUser,
    NotDecided,
    NotResent,
    RoleFixed,
    ScheduleOfFile,
    TaskChanged,
    TaskExists,
)
from gateways.webhooks.errors import NoSuchEvent, NoSuchSource, NotReplayed, SourceExists, WebhookError
from jobs_core import ConnectionFailed, InvalidInput, KeyReused, db
from schedules.errors import NameTaken, NoSuchSchedule
from sessions.errors import NotCopied

log = structlog.get_logger()

_OF_ASSISTANT: dict[type[Exception], tuple[int, str, str]] = {
    NoSuchChat: (404, "no_such_chat", "session_id"),
    ChatClosed: (409, "chat_closed", "session_id"),
    NoSuchAnswer: (404, "no_such_answer", "message_id"),
    NotCopied: (409, "not_copied", "message_id"),
    NoSuchTask: (404, "no_such_task", "task_id"),
    TaskExists: (409, "task_exists", "external_task_id"),
    TaskChanged: (409, "task_changed", "if_version"),
    NoSuchUser: (404, "no_such_user", "user_id"),
    RoleFixed: (409, "role_fixed", "role"),
    NoSuchAgent: (404, "no_such_agent", "name"),
    NoSuchAction: (404, "no_such_action", "action_id"),
    NoSuchAlways: (404, "no_such_action", "always_id"),
    NoSuchDelivery: (404, "no_such_delivery", "delivery_id"),
    NotResent: (409, "not_resent", "delivery_id"),
    MayNotDecide: (403, "may_not_decide", "decided_by"),
    NotDecided: (409, "not_decided", "decision"),
    MayNotSchedule: (422, "may_not_schedule", "user_id"),
    ScheduleOfFile: (409, "schedule_of_file", "name"),
    NoSuchSchedule: (404, "no_such_schedule", "name"),
    NameTaken: (409, "name_taken", "name"),
    NoSuchCallback: (404, "no_such_callback", "name"),
    CallbackExists: (409, "callback_exists", "name"),
    NoSuchSource: (404, "no_such_source", "name"),
    SourceExists: (409, "source_exists", "name"),
    NoSuchEvent: (404, "no_such_event", "event_id"),
    NotReplayed: (409, "not_replayed", "again"),
}
"""Status, code and field of each that a route may raise."""


class Refused(Exception):
    """A request that is not taken, with the HTTP status that says why."""

    def __init__(
        self, status: int, code: str, message: str, *, field: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.headers = headers


def refusal(error: Refused) -> JSONResponse:
    """The answer that says so."""
    told = {"code": error.code, "message": str(error), "field": error.field or None}
    return JSONResponse({"error": told}, error.status, error.headers)


def tell_errors(api: FastAPI) -> None:
    """Have every error that a route may raise told in this form."""

    async def tell(_request: Request, error: Exception) -> JSONResponse:
        return refusal(error if isinstance(error, Refused) else _refused(error))

    known = (
        Refused,
        InvalidInput,
        *_OF_ASSISTANT,
        *ConnectionFailed,
        *db.Retryable,
        db.ReadOnly,
        RequestValidationError,
        HTTPException,
    )
    for kind in known:
        api.add_exception_handler(kind, tell)


def _refused(error: Exception) -> Refused:
    match error:
        case InvalidInput(field=field):
            code = "key_reused" if isinstance(error, KeyReused) else "invalid_input"
            return Refused(422, code, str(error), field=field)
        case AssistantError() | NotCopied() | NoSuchSchedule() | NameTaken() | WebhookError():
            status, code, field = _OF_ASSISTANT[type(error)]
            return Refused(status, code, str(error), field=field)
        case RequestValidationError():
            return _invalid_parameter(error.errors()[0])
        case HTTPException(status_code=status, headers=headers):
            code = str(error.detail).lower().replace(" ", "_")
            return Refused(status, code, f"{error.detail}: there is no such path or method here", headers=headers)
    return unavailable(error)


def unavailable(error: Exception) -> Refused:
    """What is told where Postgres rolled a transaction back, made it wait too long, or cannot be reached."""
    if isinstance(error, (*db.Retryable, db.LockNotAvailable)):
        message = "Others were faster each time; nothing was acknowledged. Try again."
        return Refused(503, "busy", message, headers={"Retry-After": "1"})
    log.warning("database.away", error=db.describe(error))
    message = "The database cannot be reached; nothing was acknowledged. Try again in a moment."
    return Refused(503, "database_away", message, headers={"Retry-After": "2"})


def _invalid_parameter(first: Mapping[str, Any]) -> Refused:
    field = ".".join(str(part) for part in first["loc"][1:])  # the first part says where it stood: query, path
    return Refused(422, "invalid_input", f"{field}: {first['msg'].removeprefix('Value error, ')}", field=field)


class Surprises:
    """Around the routes: what nobody expected is logged and answered with a bare 500."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._inner(scope, receive, noting)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            log.exception("request.broke", method=scope["method"], path=scope["path"])
            broken = Refused(500, "internal_error", "The request failed by a fault of this program; its log says more")
            await refusal(broken)(scope, receive, send)
