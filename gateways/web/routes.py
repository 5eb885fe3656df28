"""Every route of the door: method, path, and who may call it (access.py). What is not in here is not served."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.routing import compile_path

from gateways.web import (
    agents,
    approvals,
    budgets,
    chat,
    chats,
    events,
    files,
    health,
    inbox,
    jobs,
    lanes,
    limits,
    live,
    metrics,
    notifications,
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
    """One route; `access`: who may call it; `status` is that of its plain success."""

    method: str
    path: str
    answer: Callable[..., Any]
    access: Access
    status: int = 200


ROUTES = (
    Route("GET", "/health", health.health, OPEN),
    Route("GET", "/metrics", metrics.metrics, OPEN),
    Route("GET", "/api/me", tokens.me, BY_ANYBODY),
    Route("GET", "/api/tokens", tokens.listed, by_people("tokens:read")),
    Route("POST", "/api/tokens", tokens.create, BY_OPERATOR, status=201),
    Route("DELETE", "/api/tokens/{token_id}", tokens.revoke, by_people("tokens:write")),
    Route("POST", "/api/chat", chat.say, by_people("chats:write")),
    Route("GET", "/api/chat/{session_id}/messages", chat.messages, by_people("chats:read")),
    Route("GET", "/api/chat/{session_id}/files/{message_id}/{nth}", files.one, by_people("chats:read")),
    Route("GET", "/api/chat/{session_id}/events", live.stream, by_people("chats:read")),
    Route("GET", "/api/chats", chats.listed, by_people("chats:read")),
    Route("POST", "/api/chats", chats.begin, by_people("chats:write"), status=201),
    Route("GET", "/api/chats/{session_id}", chats.one, by_people("chats:read")),
    Route("POST", "/api/chats/{session_id}/close", chats.close, by_people("chats:write")),
    Route("POST", "/api/chats/reset", chats.reset_all, by_people("chats:write")),
    Route("PATCH", "/api/chats/{session_id}", chats.rename, by_people("chats:write")),
    Route("POST", "/api/chats/{session_id}/stop", chats.stop, by_people("chats:write")),
    Route("POST", "/api/chats/{session_id}/reset", chats.reset, by_people("chats:write")),
    Route("POST", "/api/chats/{session_id}/fork", chats.fork, by_people("chats:write"), status=201),
    Route("POST", "/api/jobs", jobs.create, by_owners("jobs:write"), status=201),
    Route("GET", "/api/jobs", jobs.newest, by_owners("jobs:read")),
    Route("POST", "/api/jobs/redrive", redrive.redrive, by_owners("jobs:write")),
    Route("GET", "/api/jobs/{job_id}", jobs.one, by_owners("jobs:read")),
    Route("GET", "/api/jobs/{job_id}/explain", jobs.explain, by_owners("jobs:read")),
    Route("GET", "/api/jobs/{job_id}/events", events.stream, by_owners("jobs:read")),
    Route("POST", "/api/jobs/{job_id}/cancel", steer.cancel, by_owners("jobs:write")),
    Route("POST", "/api/events/{event}", steer.emit, by_owners("jobs:write")),
    Route("GET", "/api/job-types", jobs.job_types, by_owners("jobs:read")),
    Route("GET", "/api/limits", limits.listed, by_owners("jobs:read")),
    Route("GET", "/api/limits/{key:path}", limits.one, by_owners("jobs:read")),
    Route("PUT", "/api/limits/{key:path}", limits.put, by_owners("jobs:write")),
    Route("DELETE", "/api/limits/{key:path}", limits.remove, by_owners("jobs:write")),
    Route("GET", "/api/lanes", lanes.listed, by_owners("jobs:read")),
    Route("GET", "/api/lanes/{lane:path}", lanes.one, by_owners("jobs:read")),
    Route("PUT", "/api/lanes/{lane:path}/hold", lanes.hold, by_owners("jobs:write")),
    Route("DELETE", "/api/lanes/{lane:path}/hold", lanes.release, by_owners("jobs:write")),
    Route("GET", "/api/schedules", schedules.listed, by_owners("schedules:read")),
    Route("POST", "/api/schedules", schedules.create, by_owners("schedules:write"), status=201),
    Route("GET", "/api/schedules/{name}", schedules.one, by_owners("schedules:read")),
    Route("PATCH", "/api/schedules/{name}", schedules.change, by_owners("schedules:write")),
    Route("DELETE", "/api/schedules/{name}", schedules.remove, by_owners("schedules:write")),
    Route("POST", "/api/schedules/{name}/pause", schedules.pause, by_owners("schedules:write")),
    Route("POST", "/api/schedules/{name}/resume", schedules.resume, by_owners("schedules:write")),
    Route("POST", "/api/schedules/{name}/run", schedules.run, by_owners("schedules:write"), status=201),
    Route("GET", "/api/schedule-results", schedules.results, by_owners("schedules:read")),
    Route("GET", "/api/agents", agents.listed, by_owners("agents:read")),
    Route("GET", "/api/agents/{name}", agents.one, by_owners("agents:read")),
    Route("PUT", "/api/agents/{name}", agents.put, by_owners("agents:write")),
    Route("POST", "/api/agents/{name}/try", agents.try_one, by_owners("agents:write")),
    Route("GET", "/api/users", users.listed, by_owners("users:read")),
    Route("GET", "/api/users/search", users.found, by_owners("users:read")),
    Route("GET", "/api/users/{user_id}", users.one, by_owners("users:read")),
    Route("PATCH", "/api/users/{user_id}", users.change, by_owners("users:write")),
    Route("GET", "/api/budgets", budgets.listed, by_owners("jobs:read")),
    Route("GET", "/api/budgets/{scope:path}", budgets.one, by_owners("jobs:read")),
    Route("PUT", "/api/budgets/{scope:path}", budgets.put, by_owners("jobs:write")),
    Route("POST", "/api/budgets/{scope:path}/raise", budgets.raised, by_owners("jobs:write")),
    Route("DELETE", "/api/budgets/{scope:path}", budgets.remove, by_owners("jobs:write")),
    Route("GET", "/api/provider", provider.show, by_owners("jobs:read")),
    Route("POST", "/api/provider/resume", provider.resumed, by_owners("jobs:write")),
    Route("GET", "/api/approvals", approvals.listed, by_people("approvals:read")),
    Route("GET", "/api/approvals/always", approvals.always, by_owners("approvals:read")),
    Route("DELETE", "/api/approvals/always/{always_id}", approvals.revoke, by_owners("approvals:write")),
    Route("GET", "/api/approvals/{action_id}", approvals.one, by_people("approvals:read")),
    Route("POST", "/api/approvals/{action_id}/decision", approvals.decide, by_people("approvals:write")),
    Route("GET", "/api/workers", jobs.workers, by_owners("jobs:read")),
    Route("GET", "/api/usage", usage.added_up, by_people("usage:read")),
    Route("GET", "/api/pauses", pauses.in_force, by_owners("jobs:read")),
    Route("POST", "/api/pauses", pauses.pause, by_owners("jobs:write"), status=201),
    Route("DELETE", "/api/pauses", pauses.resume, by_owners("jobs:write")),
    Route("GET", "/api/tasks", tasks.listed, by_owners("tasks:read")),
    Route("POST", "/api/tasks", tasks.create, by_owners("tasks:write"), status=201),
    Route("GET", "/api/tasks/{task_id}", tasks.one, by_owners("tasks:read")),
    Route("PATCH", "/api/tasks/{task_id}", tasks.change, by_owners("tasks:write")),
    Route("GET", "/api/deliveries", owed.deliveries, by_owners("jobs:read")),
    Route("GET", "/api/deliveries/{delivery_id}", owed.delivery, by_owners("jobs:read")),
    Route("POST", "/api/deliveries/{delivery_id}/retry", owed.resend, by_owners("jobs:write")),
    Route("GET", "/api/notifications", notifications.listed, by_people("notifications:read")),
    Route("GET", "/api/notifications/events", inbox.stream, by_people("notifications:read")),
    Route("POST", "/api/notifications/read", notifications.all_read, by_people("notifications:write")),
    Route("GET", "/api/notifications/preferences", notifications.preferences, by_people("notifications:read")),
    Route("PUT", "/api/notifications/preferences", notifications.put_preferences, by_people("notifications:write")),
    Route("POST", "/api/notifications/{notification_id}/read", notifications.read, by_people("notifications:write")),
)


def is_open(method: str, path: str) -> bool:
    """Whether a request to this path needs no token."""
    return any(method == opened and pattern.fullmatch(path) for opened, pattern in _OPEN)


_OPEN = [(route.method, compile_path(route.path)[0]) for route in ROUTES if route.access is OPEN]
