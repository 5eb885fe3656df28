"""Looking after callbacks by command and over the API: secrets are shown once, URLs looked at before they are kept."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient

from assistant.deliveries import list_deliveries
from jobs_core import Connection, Database, Jobs
from tests.database.test_cli_people import Command, answer
from tests.database.test_cli_people import command as command  # noqa: PLC0414 - a fixture
from tests.support.approvals import bench_on
from tests.support.web import calling, door, error_of

URL = "https://8.8.8.8/in?token=t"
WANTED: dict[str, Any] = {"name": "shop", "url": URL, "events": {"turn.ended": {"state": ["failed"]}}}


@pytest.fixture
async def api(jobs: Jobs) -> AsyncIterator[AsyncClient]:
    """A caller with the token."""
    async with calling(door(jobs)) as client:
        yield client


def test_a_callback_is_looked_after_by_command(command: Command) -> None:
    given = [
        "--event",
        "turn.ended:agent=helper,state=failed",
        "--event",
        "turn.ended:state=stopped",
        "--event",
        "job.ended",
    ]
    secret = answer(command, "callback", "add", "shop", "--url", URL, *given)["secret"]
    events = {"job.ended": {}, "turn.ended": {"agent": ["helper"], "state": ["failed", "stopped"]}}
    [listed] = answer(command, "callback", "ls")
    assert (listed["events"], listed["enabled"], len(listed["secrets"])) == (events, True, 1)
    assert answer(command, "callback", "rotate", "shop", "--overlap", "1h")["secret"] != secret
    shown = command("callback", "show", "shop").out
    assert secret not in shown
    assert shown.count("\nsecret ") == 2
    owed = answer(command, "callback", "test", "shop")
    assert answer(command, "deliveries", "show", str(owed["delivery_id"]))["chat"] == "shop"
    changed = answer(command, "callback", "change", "shop", "--off", "--event", "job.ended:state=failed")
    assert (changed["enabled"], changed["events"], changed["url"]) == (False, {"job.ended": {"state": ["failed"]}}, URL)
    for wrong in (["--url", "https://127.0.0.1/"], ["--event", "job.ended:state"], ["--event", "job.began"]):
        assert command("callback", "change", "shop", *wrong).status != 0
    assert answer(command, "callback", "show", "shop")["url"] == URL
    assert answer(command, "callback", "rm", "shop") == {"removed": "shop"}
    assert "There is no callback 'shop'" in command("callback", "show", "shop").err


async def test_a_callback_is_looked_after_over_the_api(api: AsyncClient, conn: Connection) -> None:
    made = await api.post("/api/callbacks", json=WANTED)
    assert made.status_code == 201
    assert error_of(await api.post("/api/callbacks", json=WANTED), 409)["code"] == "callback_exists"
    rotated = await api.post("/api/callbacks/shop/rotate")
    changed = await api.patch("/api/callbacks/shop", json={"enabled": False})
    shown = (await api.get("/api/callbacks/shop")).json()
    assert changed.json() == shown
    assert ((await api.get("/api/callbacks")).json()) == {"callbacks": [shown]}
    assert (shown["url"], shown["enabled"], len(shown["secrets"])) == (URL, False, 2)
    assert not {made.json()["secret"], rotated.json()["secret"]} & set(str(shown).split("'"))
    tested = await api.post("/api/callbacks/shop/test")
    assert (tested.status_code, tested.json()["delivery_id"]) == (202, (await list_deliveries(conn))[0].id)
    assert (await api.delete("/api/callbacks/shop")).json() == {"removed": "shop"}
    assert error_of(await api.get("/api/callbacks/shop"), 404)["code"] == "no_such_callback"


async def test_no_url_that_leads_inside_is_kept_over_the_api(api: AsyncClient) -> None:
    await api.post("/api/callbacks", json=WANTED)
    for url in (
        "https://169.254.169.254/",
        "https://[::1]/",
        "https://localhost/",
        "http://8.8.8.8/",
        "https://u:p@8.8.8.8/",
    ):
        assert (
            error_of(await api.post("/api/callbacks", json={**WANTED, "name": "other", "url": url}), 422)["field"]
            == "url"
        )
        assert error_of(await api.patch("/api/callbacks/shop", json={"url": url}), 422)["field"] == "url"
    assert [one["url"] for one in (await api.get("/api/callbacks")).json()["callbacks"]] == [URL]


async def test_what_waits_for_approval_is_told_without_what_it_is_made_with(
    database: Database, conn: Connection
) -> None:
    async with bench_on(database, conn) as bench:
        async with calling(door(bench.jobs)) as client:
            await client.post("/api/callbacks", json={**WANTED, "events": {"approval.waiting": {"tool": ["Bash"]}}})
        action = await bench.asked()
    [owed] = [one for one in await list_deliveries(conn) if one.channel == "webhook"]
    data = owed.payload["data"]
    assert (data["action_id"], data["tool"], data["digest"]) == (action.id, "Bash", action.digest)
    assert "arguments" not in data
    assert action.arguments not in str(owed.payload)
