"""People through the web door: who has the token is the owner, others are listed, found and given roles."""

import pytest

from jobs_core import Connection, Database, Jobs, fetch
from tests.support.people import EVE, contact, owner
from tests.support.web import calling, door, error_of

USERS = "/api/users"


async def test_who_says_something_with_the_token_is_the_owner_in_chat_and_job(jobs: Jobs, conn: Connection) -> None:
    async with calling(door(jobs, chat_wait_s=0.0)) as client:
        first = (await client.post("/api/chat", json={"message": "hello"})).json()
        again = await client.post("/api/chat", json={"message": "more", "session_id": first["session_id"]})
        assert again.status_code == 202
        (user,) = (await client.get(USERS)).json()["users"]
        assert user["role"] == "owner"
        assert [job["user_id"] for job in (await client.get("/api/jobs")).json()["jobs"]] == [user["id"]] * 2
    assert await fetch(conn, "SELECT user_id FROM jobs.chat_sessions") == [{"user_id": user["id"]}]


async def test_people_are_listed_found_and_shown_with_their_channels(jobs: Jobs, database: Database) -> None:
    ada, eve = await owner(database), await contact(database, EVE, name="Eve Smith")
    async with calling(door(jobs)) as client:
        listed = (await client.get(USERS)).json()["users"]
        assert [user["id"] for user in listed] == [eve.id, ada.id]
        assert (await client.get(USERS, params={"before": eve.id, "limit": 1})).json()["users"] == listed[1:]
        assert (await client.get(USERS, params={"role": "external"})).json()["users"] == listed[:1]
        found = (await client.get(f"{USERS}/search", params={"text": "smiht"})).json()["found"]
        assert [one["user"]["id"] for one in found] == [eve.id]
        one = (await client.get(f"{USERS}/{eve.id}")).json()
        assert one["user"] == listed[0]
        assert [(known["channel"], known["address"]) for known in one["channels"]] == [("telegram", str(EVE))]


async def test_a_role_is_given_and_the_owners_is_not_taken(jobs: Jobs, database: Database) -> None:
    ada, eve = await owner(database), await contact(database, EVE)
    async with calling(door(jobs)) as client:
        assert (await client.patch(f"{USERS}/{eve.id}", json={"role": "owner"})).json()["role"] == "owner"
        refused = error_of(await client.patch(f"{USERS}/{ada.id}", json={"role": "external"}), 409)
        assert (refused["code"], refused["field"]) == ("role_fixed", "role")
        assert (await client.patch(f"{USERS}/{eve.id}", json={"role": "external"})).json()["role"] == "external"


@pytest.mark.parametrize("body", [{}, {"role": "root"}, {"role": "owner", "name": "Ada"}, {"role": None}])
async def test_nothing_but_a_role_can_be_changed(jobs: Jobs, database: Database, body: object) -> None:
    eve = await contact(database, EVE)
    async with calling(door(jobs)) as client:
        error_of(await client.patch(f"{USERS}/{eve.id}", json=body), 422)
        assert (await client.get(f"{USERS}/{eve.id}")).json()["user"]["role"] == "external"


async def test_who_is_not_there_is_told_so_and_what_is_no_id_by_its_field(jobs: Jobs) -> None:
    async with calling(door(jobs)) as client:
        for refused in (
            await client.get(f"{USERS}/u_nobody"),
            await client.patch(f"{USERS}/u_nobody", json={"role": "owner"}),
        ):
            assert (error_of(refused, 404)["code"], error_of(refused, 404)["field"]) == ("no_such_user", "user_id")
        assert error_of(await client.get(f"{USERS}/a%00b"), 422)["field"] == "user_id"
        assert error_of(await client.get(f"{USERS}/search", params={"text": " "}), 422)["field"] == "text"
        assert error_of(await client.get(USERS, params={"role": "root"}), 422)["field"] == "role"
