"""Every route of the door: path, method, whether it needs the token. What is not in here is not served."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateways.web import (
    agents,
    approvals,
    budgets,
    chat,
    chats,
    events,
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
    usage,
    users,
)


@dataclass(frozen=True, slots=True)
class Route:
    """One route; `status` is that of its plain success."""

    method: str
    path: str
    answer: Callable[..., Any]
    needs_token: bool = True
    status: int = 200


ROUTES = (
    Route("GET", "/health", health.health, needs_token=False),
    Route("GET", "/metrics", metrics.metrics, needs_token=False),
    Route("POST", "/api/chat", chat.say),
    Route("GET", "/api/chat/{session_id}/messages", chat.messages),
    Route("GET", "/api/chat/{session_id}/events", live.stream),
    Route("GET", "/api/chats", chats.listed),
    Route("POST", "/api/chats/reset", chats.reset_all),
    Route("PATCH", "/api/chats/{session_id}", chats.rename),
    Route("POST", "/api/chats/{session_id}/stop", chats.stop),
    Route("POST", "/api/chats/{session_id}/reset", chats.reset),
    Route("POST", "/api/chats/{session_id}/fork", chats.fork, status=201),
    Route("POST", "/api/jobs", jobs.create, status=201),
    Route("GET", "/api/jobs", jobs.newest),
    Route("POST", "/api/jobs/redrive", redrive.redrive),
    Route("GET", "/api/jobs/{job_id}", jobs.one),
    Route("GET", "/api/jobs/{job_id}/explain", jobs.explain),
    Route("GET", "/api/jobs/{job_id}/events", events.stream),
    Route("POST", "/api/jobs/{job_id}/cancel", steer.cancel),
    Route("POST", "/api/events/{event}", steer.emit),
    Route("GET", "/api/job-types", jobs.job_types),
    Route("GET", "/api/limits", limits.listed),
    Route("GET", "/api/limits/{key:path}", limits.one),
    Route("PUT", "/api/limits/{key:path}", limits.put),
    Route("DELETE", "/api/limits/{key:path}", limits.remove),
    Route("GET", "/api/lanes", lanes.listed),
    Route("GET", "/api/lanes/{lane:path}", lanes.one),
    Route("PUT", "/api/lanes/{lane:path}/hold", lanes.hold),
    Route("DELETE", "/api/lanes/{lane:path}/hold", lanes.release),
    Route("GET", "/api/schedules", schedules.listed),
    Route("POST", "/api/schedules", schedules.create, status=201),
    Route("GET", "/api/schedules/{name}", schedules.one),
    Route("PATCH", "/api/schedules/{name}", schedules.change),
    Route("DELETE", "/api/schedules/{name}", schedules.remove),
    Route("POST", "/api/schedules/{name}/pause", schedules.pause),
    Route("POST", "/api/schedules/{name}/resume", schedules.resume),
    Route("POST", "/api/schedules/{name}/run", schedules.run, status=201),
    Route("GET", "/api/schedule-results", schedules.results),
    Route("GET", "/api/agents", agents.listed),
    Route("GET", "/api/agents/{name}", agents.one),
    Route("PUT", "/api/agents/{name}", agents.put),
    Route("POST", "/api/agents/{name}/try", agents.try_one),
    Route("GET", "/api/users", users.listed),
    Route("GET", "/api/users/search", users.found),
    Route("GET", "/api/users/{user_id}", users.one),
    Route("PATCH", "/api/users/{user_id}", users.change),
    Route("GET", "/api/budgets", budgets.listed),
    Route("GET", "/api/budgets/{scope:path}", budgets.one),
    Route("PUT", "/api/budgets/{scope:path}", budgets.put),
    Route("POST", "/api/budgets/{scope:path}/raise", budgets.raised),
    Route("DELETE", "/api/budgets/{scope:path}", budgets.remove),
    Route("GET", "/api/provider", provider.show),
    Route("POST", "/api/provider/resume", provider.resumed),
    Route("GET", "/api/approvals", approvals.listed),
    Route("GET", "/api/approvals/always", approvals.always),
    Route("DELETE", "/api/approvals/always/{always_id}", approvals.revoke),
    Route("GET", "/api/approvals/{action_id}", approvals.one),
    Route("POST", "/api/approvals/{action_id}/decision", approvals.decide),
    Route("GET", "/api/workers", jobs.workers),
    Route("GET", "/api/usage", usage.added_up),
    Route("GET", "/api/pauses", pauses.in_force),
    Route("POST", "/api/pauses", pauses.pause, status=201),
    Route("DELETE", "/api/pauses", pauses.resume),
    Route("GET", "/api/tasks", tasks.listed),
    Route("POST", "/api/tasks", tasks.create, status=201),
    Route("GET", "/api/tasks/{task_id}", tasks.one),
    Route("PATCH", "/api/tasks/{task_id}", tasks.change),
    Route("GET", "/api/deliveries", owed.deliveries),
    Route("GET", "/api/deliveries/{delivery_id}", owed.delivery),
    Route("POST", "/api/deliveries/{delivery_id}/retry", owed.resend),
    Route("GET", "/api/notifications", notifications.listed),
    Route("GET", "/api/notifications/events", inbox.stream),
    Route("POST", "/api/notifications/read", notifications.all_read),
    Route("GET", "/api/notifications/preferences", notifications.preferences),
    Route("PUT", "/api/notifications/preferences", notifications.put_preferences),
    Route("POST", "/api/notifications/{notification_id}/read", notifications.read),
)

OPEN = frozenset((route.method, route.path) for route in ROUTES if not route.needs_token)
"""Method and path of what needs no token; no parameter stands in such a path, so that it can be compared as it is."""
