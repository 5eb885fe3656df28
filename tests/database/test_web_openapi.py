"""/openapi.json is true: whatever it allows to be asked is answered as it says. `JOBS_API_EXAMPLES=200` asks for longer."""

import inspect
import json
import os
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateways.web import sending
from gateways.web.access import OPEN
from gateways.web.routes import ROUTES, Route
from jobs_core import Connection, Database
from tests.support.api_cases import SHORT, Explorer
from tests.support.approvals import bench_on
from tests.support.web import asked
from tests.support.web_people import Cast, cast_on

EXAMPLES = int(os.environ.get("JOBS_API_EXAMPLES", str(SHORT)))


@pytest.fixture
async def cast(database: Database, conn: Connection) -> AsyncIterator[Cast]:
    async with bench_on(database, conn) as bench:
        yield await cast_on(bench)


async def document_of(cast: Cast) -> dict:  # type: ignore[type-arg]  # JSON
    return json.loads((await asked(cast.served, "GET", "/openapi.json", token=None)).body)


async def test_each_route_is_described_with_who_may_call_it(cast: Cast) -> None:
    document = await document_of(cast)
    assert (document["info"]["title"], document["info"]["version"]) == ("Jobs", "1.2.3")
    told = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert told.keys() == {(route.method, route.path.replace(":path}", "}")) for route in ROUTES}
    assert len({operation["operationId"] for operation in told.values()}) == len(ROUTES)
    for route in ROUTES:
        operation = told[route.method, route.path.replace(":path}", "}")]
        scopes = [route.access.scope] if route.access.scope else []
        assert operation["security"] == ([] if route.access is OPEN else [{"token": scopes}])
        assert operation["x-access"] == route.access.who
        assert ("requestBody" in operation) is (route.takes is not None)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method != "GET"], ids=lambda route: route.path)
def test_the_body_that_is_described_is_the_one_that_is_read(route: Route) -> None:
    read = re.search(r"read(?:_body)?\(request, ([\w.]+)(, if_empty)?", inspect.getsource(route.answer))
    model = None if read is None else eval(read[1], vars(inspect.getmodule(route.answer)))
    assert (model, bool(read and read[2])) == (route.takes, route.or_nothing)


async def test_what_is_asked_as_described_is_answered_as_described(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "HEARD_WITHIN_S", 0.0)  # nobody hears voices here
    explorer = Explorer(cast.served, await document_of(cast), cast.ids | await others(cast), examples=EXAMPLES)
    wrong = [said for label, given in fitting(cast).items() for said in await explorer.ask(label, **given)]
    wrong += await explorer.explore(1)
    assert wrong == [], "\n\n".join(wrong)
    assert len(explorer.tried) == len(ROUTES)
    never = {name for name, statuses in explorer.tried.items() if not any(status < 300 for status in statuses)}
    assert never <= NOT_HERE, never


NOT_HERE = {
    "GET /api/deliveries/{delivery_id}",
    "POST /api/deliveries/{delivery_id}/retry",
    "POST /api/provider/resume",
    "POST /api/chats/{session_id}/fork",
    "GET /api/hook-deliveries/{event_id}",
    "POST /api/hook-deliveries/{event_id}/replay",
}
"""What asks for something that is not there: a delivery, a pause of the provider, an answer, an event that was received."""


def fitting(cast: Cast) -> dict[str, dict[str, Any]]:
    """Requests that chance would hardly make, so that a success of each route is looked at."""
    decision = cast.bodies["POST", "/api/approvals/{action_id}/decision"]
    return {
        "POST /api/approvals/{action_id}/decision": {"body": decision | {"decision": "approve", "always": True}},
        "DELETE /api/approvals/always/{always_id}": {},
        "POST /api/tokens": {"body": {"name": "t"}},
        "POST /api/jobs": {"body": {"job_type": "chat_turn", "input": {"session_id": "none"}}},
        "POST /api/chat": {"body": {"message": "m"}, "query": {"wait_s": 0}},
        "POST /api/chats/reset": {"body": {"user_id": cast.eve.id}},
        "POST /api/notifications/read": {"body": {"category": "approval"}},
        "POST /api/agents/{name}/try": {"body": {"message": "m"}, "query": {"wait_s": 0}},
        "POST /api/budgets/{scope}/raise": {"body": {"by_usd": 1}},
        "GET /api/users/search": {"query": {"text": "x"}},
        "PUT /api/limits/{key}": {"body": {"slots": 2}},
        "POST /api/schedules": {
            "body": {"name": "a", "every_s": 3600, "job_type": "chat_turn", "input": {"session_id": "none"}}
        },
        "PATCH /api/schedules/{name}": {"body": {"every_s": 7200}},
        "POST /api/schedules/{name}/pause": {},
        "POST /api/schedules/{name}/resume": {},
        "POST /api/schedules/{name}/run": {},
        "POST /api/hooks": {"body": {"name": "a", "job_type": "chat_turn"}},
        "PATCH /api/hooks/{name}": {"body": {"enabled": False}},
        "POST /api/hooks/{name}/rotate": {},
        "POST /api/hooks/{name}/try": {"body": {"body": "{}"}},
        "POST /api/callbacks": {"body": {"name": "a", "url": "https://8.8.8.8/in", "events": {"turn.ended": {}}}},
        "GET /api/callbacks/{name}": {},
        "PATCH /api/callbacks/{name}": {"body": {"enabled": False}},
        "POST /api/callbacks/{name}/rotate": {},
        "POST /api/callbacks/{name}/test": {},
        "DELETE /api/callbacks/{name}": {},
        "POST /api/pauses": {"body": {"queue": "q"}},
        "DELETE /api/pauses": {"query": {"queue": "q"}},
    }


async def others(cast: Cast) -> dict[str, Any]:
    """What is no person's, under the names that paths have for it."""

    async def made(method: str, path: str, body: Any) -> Any:
        answer = await asked(cast.served, method, path, body=body)
        assert answer.status in {200, 201, 202}, answer.body
        return json.loads(answer.body)

    await made("PUT", "/api/limits/k", {"slots": 1})
    await made("PUT", "/api/lanes/l/hold", None)
    await made("PUT", "/api/budgets/day", {"cap_usd": 5})
    await made("PUT", "/api/agents/a", {})
    task = await made("POST", "/api/tasks", {"title": "t"})
    said = await made("POST", "/api/chat?wait_s=0", {"message": "m"})
    return {
        "key": "k",
        "lane": "l",
        "scope": "day",
        "name": "a",
        "user_id": cast.eve.id,
        "task_id": task["id"],
        "job_id": said["job_id"],
        "event": "e",
        "always_id": 1,
        "notification_id": 1,  # the owner's: what waits for approval
    }
