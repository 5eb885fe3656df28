"""People on a real Postgres: who comes by a channel, who is owner, and that no name gives a right."""

import asyncio
from typing import Any

import pytest

from assistant import people
from assistant.errors import NoSuchUser, RoleFixed
from jobs_core import Connection, Database, InvalidInput, db, execute, fetch
from tests.support.database import until_blocked
from tests.support.mutants import mutated
from tests.support.people import ADA, EVE, contact, owner, set_role

NO_TURNS = ("SELECT pg_advisory_xact_lock(hashtextextended('{schema}.users', 0))", "SELECT 1")


async def rows(conn: Connection) -> list[Any]:
    return await fetch(conn, "SELECT name, username, role FROM jobs.users ORDER BY created_at")


async def test_a_stranger_is_made_at_the_first_contact_and_known_from_then_on(database: Database) -> None:
    first = await contact(database, EVE, name="Eve", username="eve")
    assert (first.name, first.username, first.role, first.id[:2]) == ("Eve", "eve", "external", "u_")
    assert await contact(database, EVE, name="Eve", username="eve") == first
    assert (await contact(database, EVE, channel="matrix")).id != first.id
    assert (await contact(database, 7)).name == "telegram 7"


async def test_a_name_is_kept_current_and_a_channel_that_says_none_changes_none(
    database: Database, conn: Connection
) -> None:
    await contact(database, EVE, name="Eve", username="eve")
    renamed = await contact(database, EVE, name="Eva", username=None)
    assert (renamed.name, renamed.username) == ("Eva", None)
    await contact(database, EVE)
    assert await rows(conn) == [{"name": "Eva", "username": None, "role": "external"}]


async def test_a_contact_is_noted_once_a_minute_and_written_no_more_often(database: Database, conn: Connection) -> None:
    version = "SELECT xmin::text, seen_at FROM jobs.users"
    await contact(database, EVE, name="Eve")
    (first,) = await fetch(conn, version)
    await contact(database, EVE, name="Eve")
    assert await fetch(conn, version) == [first]
    await execute(conn, "UPDATE jobs.users SET seen_at = seen_at - interval '2 minutes'")
    await contact(database, EVE, name="Eve")
    assert (await fetch(conn, version))[0]["seen_at"] > first["seen_at"]


async def test_a_contact_waits_for_no_other_of_the_same_person(database: Database, conn: Connection) -> None:
    """Who talks fast would wait for the transaction of the message before, and with it for its lane."""
    await contact(database, EVE, name="Eve")
    await execute(conn, "UPDATE jobs.users SET seen_at = seen_at - interval '2 minutes'")
    async with database.transaction() as slow:
        await people.contact(slow, "telegram", str(EVE), name="Eve")
        async with asyncio.timeout(10):
            assert (await contact(database, EVE, name="Eve")).name == "Eve"


async def test_of_two_first_contacts_at_once_one_makes_the_person(
    database: Database, conn: Connection, other: Connection
) -> None:
    async with conn.transaction():
        made = await people.contact(conn, "telegram", str(EVE), name="Eve")
        second = asyncio.create_task(contact(database, EVE, name="Eve", username="eve"))
        await until_blocked(other, "-- Makes those who change")
    assert (await second).id == made.id
    assert await rows(conn) == [{"name": "Eve", "username": "eve", "role": "external"}]


async def test_without_the_turn_that_they_take_the_second_of_them_breaks(
    database: Database, conn: Connection, other: Connection
) -> None:
    with mutated(NO_TURNS):
        async with conn.transaction():
            await people.contact(conn, "telegram", str(EVE))
            second = asyncio.create_task(contact(database, EVE))
            await until_blocked(other)
        with pytest.raises(db.UniqueViolation):
            await second


async def test_many_first_contacts_at_once_make_each_person_once(database: Database, conn: Connection) -> None:
    found = await asyncio.gather(*(contact(database, n % 5, tg_user_id=n % 5 + 1) for n in range(40)))
    assert len({user.id for user in found}) == 5
    assert len(await rows(conn)) == 5


async def test_another_address_of_the_same_number_at_telegram_is_the_same_person(
    database: Database, conn: Connection
) -> None:
    one = await contact(database, EVE, tg_user_id=EVE, name="Eve")
    assert (await contact(database, f"second_account:{EVE}", tg_user_id=EVE, name="Eve")).id == one.id
    addresses = [known.address for known in await people.channels(conn, one.id)]
    assert addresses == [str(EVE), f"second_account:{EVE}"]


async def test_a_copied_name_gives_no_right(database: Database) -> None:
    """Nor does a username, an address that looks like another's, or a number at Telegram on another channel."""
    ada = await contact(database, ADA, tg_user_id=ADA, owner_tg_user_id=ADA, name="Ada", username="ada")
    assert ada.role == "owner"
    copies = [
        await contact(database, EVE, tg_user_id=EVE, owner_tg_user_id=ADA, name="Ada", username="ada"),
        await contact(database, f"{ADA} ", tg_user_id=EVE + 1, owner_tg_user_id=ADA, name="owner"),
        await contact(database, ADA, channel="matrix", owner_tg_user_id=ADA, name="Ada"),
        await contact(database, ada.id, channel="matrix", owner_tg_user_id=ADA, name=ada.id),
        await contact(database, "token", channel="Web", owner_tg_user_id=ADA, name="owner"),
        await contact(database, "token2", channel="web", name="owner"),
    ]
    assert [copy.role for copy in copies] == ["external"] * 6
    assert ada.id not in {copy.id for copy in copies}


async def test_whoever_holds_the_token_and_the_number_of_the_settings_are_one_owner(
    database: Database, conn: Connection
) -> None:
    by_token = await owner(database)
    assert (by_token.role, by_token.name) == ("owner", "owner")
    assert await owner(database) == by_token
    ada = await contact(database, ADA, tg_user_id=ADA, owner_tg_user_id=ADA, name="Ada")
    assert (ada.id, ada.role, ada.tg_user_id) == (by_token.id, "owner", ADA)
    assert (await contact(database, ADA, tg_user_id=ADA, owner_tg_user_id=ADA, name="Ada")).id == ada.id
    assert [user.id for user in await people.list_users(conn)] == [ada.id]


async def test_whom_the_settings_name_becomes_one_with_no_other_owner_than_the_tokens(database: Database) -> None:
    bob = await set_role(database, await contact(database, "bob", channel="matrix"), "owner")
    ada = await contact(database, ADA, tg_user_id=ADA, owner_tg_user_id=ADA)
    moved = await contact(database, EVE, tg_user_id=EVE, owner_tg_user_id=EVE)
    assert {user.role for user in (bob, ada, moved)} == {"owner"}
    assert len({user.id for user in (bob, ada, moved)}) == 3


async def test_an_owner_who_comes_by_telegram_first_holds_the_token_later(database: Database) -> None:
    ada = await contact(database, ADA, tg_user_id=ADA, owner_tg_user_id=ADA, name="Ada")
    assert (await owner(database)).id == ada.id


async def test_many_that_ask_for_the_owner_at_once_make_one(database: Database, conn: Connection) -> None:
    found = await asyncio.gather(
        *(owner(database) for _ in range(8)),
        *(contact(database, ADA, tg_user_id=ADA, owner_tg_user_id=ADA) for _ in range(8)),
    )
    assert {user.role for user in found} == {"owner"}
    assert len(await people.list_users(conn)) == 1


async def test_the_last_owner_stays_owner_and_so_does_whoever_holds_the_token(database: Database) -> None:
    ada = await contact(database, ADA, tg_user_id=ADA, owner_tg_user_id=ADA)
    with pytest.raises(RoleFixed, match="the only owner"):
        await set_role(database, ada, "external")
    bob = await contact(database, 8)
    assert (await set_role(database, bob, "owner")).role == "owner"
    assert (await set_role(database, ada, "external")).role == "external"
    assert (await owner(database)).id == bob.id
    await set_role(database, ada, "owner")
    with pytest.raises(RoleFixed, match="holds the web API's token"):
        await set_role(database, bob, "external")


async def test_of_two_owners_who_are_demoted_at_once_one_stays(
    database: Database, conn: Connection, other: Connection
) -> None:
    one, two = [await set_role(database, await contact(database, n), "owner") for n in (1, 2)]
    async with conn.transaction():
        await people.set_role(conn, one.id, "external")
        second = asyncio.create_task(set_role(database, two, "external"))
        await until_blocked(other, "-- Makes those who change")
    with pytest.raises(RoleFixed):
        await second
    assert [user.id for user in await people.list_users(conn, role="owner")] == [two.id]


async def test_without_their_turns_none_of_the_two_stays_owner(database: Database, conn: Connection) -> None:
    one, two = [await set_role(database, await contact(database, n), "owner") for n in (1, 2)]
    with mutated(NO_TURNS):
        async with conn.transaction():
            await people.set_role(conn, one.id, "external")
            await set_role(database, two, "external")
    assert await people.list_users(conn, role="owner") == []


async def test_people_are_listed_the_newest_first_by_pages_and_roles(database: Database, conn: Connection) -> None:
    made = [(await contact(database, n, name=f"n{n}")).id for n in range(5)]
    ids = [user.id for user in await people.list_users(conn, limit=2)]
    ids += [user.id for user in await people.list_users(conn, limit=10, before=ids[-1])]
    assert ids == made[::-1]
    assert await people.list_users(conn, role="owner") == []


@pytest.mark.parametrize("name", ["Eve\x1b[2J", "Eve\u202e\u2066", "  Eve\n\n\t", "Eve" + "\u200b" * 300])
async def test_a_name_is_kept_on_one_line_without_what_cannot_be_seen(database: Database, name: str) -> None:
    user = await contact(database, EVE, name=name)
    assert user.name.isprintable()
    assert user.name.startswith("Eve")
    assert len(user.name) <= 100


@pytest.mark.parametrize("name", ["", " \n", "\u200b", "\ud800", "\0"])
async def test_one_who_is_called_nothing_is_called_by_the_address(database: Database, name: str) -> None:
    assert (await contact(database, EVE, name=name)).name == f"telegram {EVE}"


@pytest.mark.parametrize(
    ("channel", "address", "said"),
    [
        ("", "1", {}),
        ("telegram", "", {}),
        ("web", "token", {}),
        ("telegram", "a\0b", {}),
        ("telegram", "1\u200b", {}),
        ("telegram", "x" * 201, {}),
        ("telegram", "1", {"tg_user_id": 0}),
        ("telegram", "1", {"tg_user_id": 2**63}),
    ],
)
async def test_what_is_no_id_is_refused_and_makes_nobody(
    database: Database, conn: Connection, channel: str, address: str, said: Any
) -> None:
    with pytest.raises(InvalidInput):
        await contact(database, address, channel, **said)
    assert await rows(conn) == []


async def test_an_id_that_is_nobodys_is_told_so(conn: Connection) -> None:
    with pytest.raises(NoSuchUser, match="There is no user 'u_nobody'"):
        await people.get(conn, "u_nobody")
    with pytest.raises(InvalidInput):
        await people.get(conn, "")
