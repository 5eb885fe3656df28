"""Every route of the door: method, path, and who may call it (access.py). What is not in here is not served."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from pydantic import BaseModel
from starlette.routing import compile_path

from assistant.agents import AgentSettings
from assistant.preferences import Preferences
from assistant.schedule_drafts import Draft, DraftChange
from gateways.web import (
    agents,
    approvals,
    budgets,
    callbacks,
    chat,
    chats,
    events,
    files,
    health,
    hooks,
    inbox,
    jobs,
    lanes,
    limits,
    live,
    metrics,
    notifications,
    openapi,
    owed,
    pauses,
    provider,
    redrive,
    schedules,
    steer,
    tasks,
    tokens,
    usage,
    users,
)
from gateways.web.access import BY_ANYBODY, BY_OPERATOR, OPEN, Access, by_owners, by_people


@dataclass(frozen=True, slots=True)
class Route:
    """One route, and what /openapi.json says of it beside what its function's signature tells.

    access: who may call it. status: of its plain success; or_status: of others. takes: what its body is read as, which may be
    empty where or_nothing, and a form where is_form_too. gives: what its answer is, where the function makes the response
    itself; a text: of this media type. errors: statuses of refusals beside those that any such route has (`openapi.errors_of`).
    """

    method: str
    path: str
    answer: Callable[..., Any]
    access: Access
    _: KW_ONLY
    status: int = 200
    or_status: tuple[int, ...] = ()
    takes: type[BaseModel] | None = None
    or_nothing: bool = False
    is_form_too: bool = False
    gives: type[BaseModel] | str | None = None
    errors: tuple[int, ...] = ()


ROUTES = (
    Route("GET", "/health", health.health, OPEN, gives=health.Health, or_status=(503,)),
    Route("GET", "/metrics", metrics.metrics, OPEN, gives="text/plain"),
    Route("GET", "/openapi.json", openapi.document, OPEN, gives="application/json"),
    Route("GET", "/api/me", tokens.me, BY_ANYBODY),
    Route("GET", "/api/tokens", tokens.listed, by_people("tokens:read")),
    Route("POST", "/api/tokens", tokens.create, BY_OPERATOR, status=201, takes=tokens.NewToken, errors=(404,)),
    Route("DELETE", "/api/tokens/{token_id}", tokens.revoke, by_people("tokens:write")),
    Route(
        "POST",
        "/api/chat",
        chat.say,
        by_people("chats:write"),
        takes=chat.Say,
        is_form_too=True,
        gives=chat.Reply,
        or_status=(202,),
        errors=(404, 409),
    ),
    Route("GET", "/api/chat/{session_id}/messages", chat.messages, by_people("chats:read")),
    Route(
        "GET",
        "/api/chat/{session_id}/files/{message_id}/{nth}",
        files.one,
        by_people("chats:read"),
        gives="*/*",
        errors=(410,),
    ),
    Route("GET", "/api/chat/{session_id}/events", live.stream, by_people("chats:read"), gives="text/event-stream"),
    Route("GET", "/api/chats", chats.listed, by_people("chats:read"), errors=(404,)),
    Route(
        "POST",
        "/api/chats",
        chats.begin,
        by_people("chats:write"),
        status=201,
        takes=chats.NewChat,
        or_nothing=True,
        errors=(404,),
    ),
    Route("GET", "/api/chats/{session_id}", chats.one, by_people("chats:read")),
    Route("POST", "/api/chats/{session_id}/close", chats.close, by_people("chats:write"), errors=(409,)),
    Route("POST", "/api/chats/reset", chats.reset_all, by_people("chats:write"), takes=chats.ResetAll),
    Route("PATCH", "/api/chats/{session_id}", chats.rename, by_people("chats:write"), takes=chats.Title),
    Route("POST", "/api/chats/{session_id}/stop", chats.stop, by_people("chats:write")),
    Route("POST", "/api/chats/{session_id}/reset", chats.reset, by_people("chats:write")),
    Route(
        "POST",
        "/api/chats/{session_id}/fork",
        chats.fork,
        by_people("chats:write"),
        status=201,
        takes=chats.Fork,
        or_nothing=True,
        errors=(409,),
    ),
    Route("POST", "/api/jobs", jobs.create, by_owners("jobs:write"), status=201, takes=jobs.Create, or_status=(200,)),
    Route("GET", "/api/jobs", jobs.newest, by_owners("jobs:read")),
    Route("POST", "/api/jobs/redrive", redrive.redrive, by_owners("jobs:write"), takes=redrive.Redrive),
    Route("GET", "/api/jobs/{job_id}", jobs.one, by_owners("jobs:read")),
    Route("GET", "/api/jobs/{job_id}/explain", jobs.explain, by_owners("jobs:read")),
    Route(
        "GET",
        "/api/jobs/{job_id}/events",
        events.stream,
        by_owners("jobs:read"),
        gives="text/event-stream",
        or_status=(204,),
    ),
    Route(
        "POST", "/api/jobs/{job_id}/cancel", steer.cancel, by_owners("jobs:write"), takes=steer.Reason, or_nothing=True
    ),
    Route("POST", "/api/events/{event}", steer.emit, by_owners("jobs:write"), takes=steer.Payload, or_nothing=True),
    Route("GET", "/api/job-types", jobs.job_types, by_owners("jobs:read")),
    Route("GET", "/api/limits", limits.listed, by_owners("jobs:read")),
    Route("GET", "/api/limits/{key:path}", limits.one, by_owners("jobs:read")),
    Route("PUT", "/api/limits/{key:path}", limits.put, by_owners("jobs:write"), takes=limits.Put),
    Route("DELETE", "/api/limits/{key:path}", limits.remove, by_owners("jobs:write"), errors=(409,)),
    Route("GET", "/api/lanes", lanes.listed, by_owners("jobs:read")),
    Route("GET", "/api/lanes/{lane:path}", lanes.one, by_owners("jobs:read")),
    Route(
        "PUT", "/api/lanes/{lane:path}/hold", lanes.hold, by_owners("jobs:write"), takes=lanes.NewHold, or_nothing=True
    ),
    Route("DELETE", "/api/lanes/{lane:path}/hold", lanes.release, by_owners("jobs:write"), errors=(409,)),
    Route("GET", "/api/schedules", schedules.listed, by_owners("schedules:read")),
    Route(
        "POST",
        "/api/schedules",
        schedules.create,
        by_owners("schedules:write"),
        status=201,
        takes=Draft,
        errors=(404, 409),
    ),
    Route("GET", "/api/schedules/{name}", schedules.one, by_owners("schedules:read")),
    Route(
        "PATCH",
        "/api/schedules/{name}",
        schedules.change,
        by_owners("schedules:write"),
        takes=DraftChange,
        errors=(409,),
    ),
    Route("DELETE", "/api/schedules/{name}", schedules.remove, by_owners("schedules:write"), errors=(409,)),
    Route(
        "POST",
        "/api/schedules/{name}/pause",
        schedules.pause,
        by_owners("schedules:write"),
        takes=schedules.Pause,
        or_nothing=True,
    ),
    Route("POST", "/api/schedules/{name}/resume", schedules.resume, by_owners("schedules:write")),
    Route("POST", "/api/schedules/{name}/run", schedules.run, by_owners("schedules:write"), status=201),
    Route("GET", "/api/schedule-results", schedules.results, by_owners("schedules:read"), errors=(404,)),
    Route("GET", "/api/agents", agents.listed, by_owners("agents:read")),
    Route("GET", "/api/agents/{name}", agents.one, by_owners("agents:read")),
    Route("PUT", "/api/agents/{name}", agents.put, by_owners("agents:write"), takes=AgentSettings),
    Route(
        "POST",
        "/api/agents/{name}/try",
        agents.try_one,
        by_owners("agents:write"),
        takes=agents.Trial,
        gives=chat.Reply,
        or_status=(202,),
    ),
    Route("GET", "/api/users", users.listed, by_owners("users:read")),
    Route("GET", "/api/users/search", users.found, by_owners("users:read")),
    Route("GET", "/api/users/{user_id}", users.one, by_owners("users:read")),
    Route("PATCH", "/api/users/{user_id}", users.change, by_owners("users:write"), takes=users.NewRole, errors=(409,)),
    Route("GET", "/api/budgets", budgets.listed, by_owners("jobs:read")),
    Route("GET", "/api/budgets/{scope:path}", budgets.one, by_owners("jobs:read")),
    Route("PUT", "/api/budgets/{scope:path}", budgets.put, by_owners("jobs:write"), takes=budgets.Put),
    Route("POST", "/api/budgets/{scope:path}/raise", budgets.raised, by_owners("jobs:write"), takes=budgets.Raise),
    Route("DELETE", "/api/budgets/{scope:path}", budgets.remove, by_owners("jobs:write")),
    Route("GET", "/api/provider", provider.show, by_owners("jobs:read")),
    Route("POST", "/api/provider/resume", provider.resumed, by_owners("jobs:write"), errors=(409,)),
    Route("GET", "/api/approvals", approvals.listed, by_people("approvals:read")),
    Route("GET", "/api/approvals/always", approvals.always, by_owners("approvals:read")),
    Route("DELETE", "/api/approvals/always/{always_id}", approvals.revoke, by_owners("approvals:write")),
    Route("GET", "/api/approvals/{action_id}", approvals.one, by_people("approvals:read")),
    Route(
        "POST",
        "/api/approvals/{action_id}/decision",
        approvals.decide,
        by_people("approvals:write"),
        takes=approvals.Decision,
        errors=(409,),
    ),
    Route("GET", "/api/workers", jobs.workers, by_owners("jobs:read")),
    Route("GET", "/api/usage", usage.added_up, by_people("usage:read")),
    Route("GET", "/api/pauses", pauses.in_force, by_owners("jobs:read")),
    Route("POST", "/api/pauses", pauses.pause, by_owners("jobs:write"), status=201, takes=pauses.NewPause),
    Route("DELETE", "/api/pauses", pauses.resume, by_owners("jobs:write"), errors=(404,)),
    Route("GET", "/api/tasks", tasks.listed, by_owners("tasks:read")),
    Route(
        "POST", "/api/tasks", tasks.create, by_owners("tasks:write"), status=201, takes=tasks.Made, errors=(404, 409)
    ),
    Route("GET", "/api/tasks/{task_id}", tasks.one, by_owners("tasks:read")),
    Route("PATCH", "/api/tasks/{task_id}", tasks.change, by_owners("tasks:write"), takes=tasks.Changed, errors=(409,)),
    Route("GET", "/api/deliveries", owed.deliveries, by_owners("jobs:read")),
    Route("GET", "/api/deliveries/{delivery_id}", owed.delivery, by_owners("jobs:read")),
    Route("POST", "/api/deliveries/{delivery_id}/retry", owed.resend, by_owners("jobs:write"), errors=(409,)),
    Route("GET", "/api/hooks", hooks.listed, by_owners("webhooks:read")),
    Route("POST", "/api/hooks", hooks.add, by_owners("webhooks:write"), status=201, takes=hooks.Add, errors=(409,)),
    Route("GET", "/api/hooks/{name}", hooks.one, by_owners("webhooks:read")),
    Route("PATCH", "/api/hooks/{name}", hooks.change, by_owners("webhooks:write"), takes=hooks.Change),
    Route("DELETE", "/api/hooks/{name}", hooks.remove, by_owners("webhooks:write")),
    Route(
        "POST",
        "/api/hooks/{name}/rotate",
        hooks.rotated,
        by_owners("webhooks:write"),
        takes=hooks.Rotate,
        or_nothing=True,
    ),
    Route("POST", "/api/hooks/{name}/try", hooks.tried, by_owners("webhooks:write"), takes=hooks.Try),
    Route("GET", "/api/hook-deliveries", hooks.events, by_owners("webhooks:read")),
    Route("GET", "/api/hook-deliveries/{event_id}", hooks.event, by_owners("webhooks:read")),
    Route(
        "POST",
        "/api/hook-deliveries/{event_id}/replay",
        hooks.replayed,
        by_owners("webhooks:write"),
        takes=hooks.Again,
        or_nothing=True,
        errors=(409,),
    ),
    Route("GET", "/api/callbacks", callbacks.listed, by_owners("webhooks:read")),
    Route(
        "POST",
        "/api/callbacks",
        callbacks.add,
        by_owners("webhooks:write"),
        status=201,
        takes=callbacks.Add,
        errors=(409,),
    ),
    Route("GET", "/api/callbacks/{name}", callbacks.one, by_owners("webhooks:read")),
    Route("PATCH", "/api/callbacks/{name}", callbacks.change, by_owners("webhooks:write"), takes=callbacks.Change),
    Route("DELETE", "/api/callbacks/{name}", callbacks.remove, by_owners("webhooks:write")),
    Route(
        "POST",
        "/api/callbacks/{name}/rotate",
        callbacks.rotated,
        by_owners("webhooks:write"),
        takes=callbacks.Rotate,
        or_nothing=True,
    ),
    Route("POST", "/api/callbacks/{name}/test", callbacks.tried, by_owners("webhooks:write"), status=202),
    Route("GET", "/api/notifications", notifications.listed, by_people("notifications:read")),
    Route("GET", "/api/notifications/events", inbox.stream, by_people("notifications:read"), gives="text/event-stream"),
    Route(
        "POST",
        "/api/notifications/read",
        notifications.all_read,
        by_people("notifications:write"),
        takes=notifications.AllRead,
        errors=(404,),
    ),
    Route(
        "GET",
        "/api/notifications/preferences",
        notifications.preferences,
        by_people("notifications:read"),
        errors=(404,),
    ),
    Route(
        "PUT",
        "/api/notifications/preferences",
        notifications.put_preferences,
        by_people("notifications:write"),
        takes=Preferences,
        errors=(404,),
    ),
    Route("POST", "/api/notifications/{notification_id}/read", notifications.read, by_people("notifications:write")),
)


def is_open(method: str, path: str) -> bool:
    """Whether a request to this path needs no token."""
    return any(method == opened and pattern.fullmatch(path) for opened, pattern in _OPEN)


_OPEN = [(route.method, compile_path(route.path)[0]) for route in ROUTES if route.access is OPEN]
