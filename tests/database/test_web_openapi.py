"""/openapi.json is true: whatever it allows to be asked is answered as it says. `JOBS_API_EXAMPLES=200` asks for longer."""

import json
import os
from collections.abc import AsyncIterator

import pytest

from gateways.web import sending
from gateways.web.access import OPEN
from gateways.web.routes import ROUTES
from jobs_core import Connection, Database
from tests.support.api_cases import Explorer
from tests.support.approvals import bench_on
from tests.support.web import asked
from tests.support.web_people import Cast, cast_on

EXAMPLES = int(os.environ.get("JOBS_API_EXAMPLES", "2"))


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


async def test_what_is_asked_as_described_is_answered_as_described(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "HEARD_WITHIN_S", 0.0)  # nobody hears voices here
    explorer = Explorer(cast.served, await document_of(cast), cast.ids, examples=EXAMPLES)
    wrong = await explorer.explore(1)
    assert wrong == [], "\n\n".join(wrong)
    assert len(explorer.tried) == len(ROUTES)
