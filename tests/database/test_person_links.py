"""Two channels that turn out to be one person's, a stranger announced, and what is found by a name."""

from typing import Any

import pytest

from assistant import chats, people
from assistant.chat_list import list_chats
from assistant.errors import NoSuchChat, NoSuchUser, RoleFixed
from assistant.people import User
from assistant.person_links import link, unlink
from assistant.person_search import find
from assistant.task import NewTask
from assistant.tasks import create_task, find_task
from jobs_core import Connection, Database, InvalidInput, Jobs, execute, fetch
from tests.support.people import ADA, EVE, contact, owner, set_role


async def linked(database: Database, address: object, user: User, channel: str = "telegram") -> User:
    async with database.transaction() as conn:
        return await link(conn, channel, str(address), user.id)


async def unlinked(database: Database, address: object, channel: str = "telegram") -> User:
    async with database.transaction() as conn:
        return await unlink(conn, channel, str(address))


async def test_a_stranger_who_was_announced_is_known_at_the_first_contact(database: Database) -> None:
    ada = await owner(database)
    assert (await linked(database, ADA, ada)).tg_user_id == ADA
    assert await linked(database, ADA, ada) == await linked(database, ADA, ada)
    known = await contact(database, ADA, tg_user_id=ADA, name="Ada")
    assert (known.id, known.role, known.name) == (ada.id, "owner", "Ada")


async def test_two_who_are_one_have_all_channels_and_chats_together(database: Database, jobs: Jobs) -> None:
    eve = await contact(database, EVE, tg_user_id=EVE, name="Eve")
    ada = await owner(database)
    async with database.transaction() as conn:
        task = await create_task(conn, NewTask(title="x", assignee=eve.id), created_by=ada.id)
        theirs = await chats.receive(conn, jobs, session_id=None, channel="telegram", message="hi", user_id=eve.id)
    one = await linked(database, EVE, ada)
    assert (one.id, one.role, one.tg_user_id) == (ada.id, "owner", EVE)
    async with database.connection() as conn:
        assert (await people.get(conn, eve.id)).id == ada.id
        assert [user.id for user in await people.list_users(conn)] == [ada.id]
        (chat,) = await fetch(conn, "SELECT user_id FROM jobs.chat_sessions")
        assert chat["user_id"] == ada.id
        assert await list_chats(conn, user_id=eve.id) == await list_chats(conn, user_id=ada.id) != []
        moved = await find_task(conn, task.id)
        assert (moved.assignee, moved.created_by, moved.version) == (ada.id, ada.id, task.version + 1)
        await chats.receive(
            conn, jobs, session_id=theirs.session_id, channel="telegram", message="more", user_id=ada.id
        )
    assert (await contact(database, EVE, tg_user_id=EVE)).id == ada.id
    assert (await contact(database, "another", tg_user_id=EVE)).id == ada.id


async def test_who_was_merged_before_follows_into_a_third(database: Database, conn: Connection) -> None:
    one, two, three = [await contact(database, n) for n in (1, 2, 3)]
    await linked(database, 1, two)
    await linked(database, 2, three)
    assert (await people.get(conn, one.id)).id == three.id
    assert (await linked(database, 9, one)).id == three.id
    assert len(await people.channels(conn, three.id)) == 4


async def test_a_chat_that_was_given_while_its_message_came_is_found_by_whoever_it_is_now(
    database: Database, jobs: Jobs, conn: Connection
) -> None:
    """The message's transaction had looked up the person of before."""
    eve, ada = await contact(database, EVE), await owner(database)
    received = await chats.receive(conn, jobs, session_id=None, channel="telegram", message="hi", user_id=eve.id)
    await linked(database, EVE, ada)
    await execute(conn, "UPDATE jobs.chat_sessions SET user_id = %(eve)s", {"eve": eve.id})
    again: dict[str, Any] = {"session_id": received.session_id, "channel": "telegram", "message": "more"}
    await chats.receive(conn, jobs, **again, user_id=ada.id)


async def test_a_message_of_one_who_is_linked_while_it_comes_is_taken_into_their_chat(
    database: Database, jobs: Jobs, conn: Connection
) -> None:
    """Its transaction knows them by the id of before."""
    eve, ada = await contact(database, EVE), await owner(database)
    chat = await chats.receive(conn, jobs, session_id=None, channel="telegram", message="hi", user_id=eve.id)
    async with database.transaction() as door:
        who = await people.contact(door, "telegram", str(EVE))
        await linked(database, EVE, ada)
        more: dict[str, Any] = {"session_id": chat.session_id, "channel": "telegram", "message": "more"}
        await chats.receive(door, jobs, **more, user_id=who.id)


async def test_nobody_says_anything_in_a_chat_of_somebody_else(
    database: Database, jobs: Jobs, conn: Connection
) -> None:
    """It would be answered with the rights of whoever began it."""
    ada, eve = await owner(database), await contact(database, EVE)
    chat = await chats.receive(conn, jobs, session_id=None, channel="telegram", message="hi", user_id=ada.id)
    intrusion: dict[str, Any] = {"session_id": chat.session_id, "channel": "telegram", "message": "rm -rf"}
    with pytest.raises(NoSuchChat):
        await chats.receive(conn, jobs, **intrusion, user_id=eve.id)
    assert len(await fetch(conn, "SELECT FROM jobs.chat_message_history")) == 1


async def test_no_owner_is_lost_by_a_link(database: Database) -> None:
    eve = await contact(database, EVE)
    with pytest.raises(RoleFixed, match="holds the web API's token is an owner"):
        await linked(database, "token", eve, channel="web")
    ada = await owner(database)
    await linked(database, ADA, ada)
    with pytest.raises(RoleFixed, match="link the other way"):
        await linked(database, ADA, eve)
    second = await set_role(database, eve, "owner")
    assert (await linked(database, "token", second, channel="web")).role == "owner"
    assert (await owner(database)).id == second.id != ada.id


async def test_a_channel_that_is_forgotten_is_a_strangers_with_no_right(database: Database) -> None:
    ada = await owner(database)
    await linked(database, ADA, ada)
    assert (await unlinked(database, ADA)).tg_user_id is None
    stranger = await contact(database, ADA, tg_user_id=ADA)
    assert (stranger.role, stranger.id != ada.id) == ("external", True)
    with pytest.raises(NoSuchUser, match="Nobody is known by telegram 99"):
        await unlinked(database, 99)
    with pytest.raises(InvalidInput):
        await unlinked(database, "token", channel="web")


async def test_one_who_became_another_by_mistake_is_a_stranger_again_with_no_right(database: Database) -> None:
    """The owner had a number already, so that the other's stayed with the one who was merged."""
    ada, eve = await owner(database), await contact(database, EVE, tg_user_id=EVE)
    await linked(database, ADA, ada)
    assert (await linked(database, EVE, ada)).tg_user_id == ADA
    assert (await unlinked(database, EVE)).tg_user_id == ADA
    stranger = await contact(database, EVE, tg_user_id=EVE)
    assert (stranger.role, stranger.id in {ada.id, eve.id}) == ("external", False)


@pytest.mark.parametrize("address", ["0", "007", str(2**63), "9" * 200])
async def test_an_address_that_is_nobodys_number_is_linked_and_unlinked_as_any(
    database: Database, address: str
) -> None:
    ada = await owner(database)
    assert (await linked(database, address, ada)).tg_user_id is None
    assert (await contact(database, address)).id == ada.id
    assert (await unlinked(database, address)).id == ada.id


async def test_a_link_to_nobody_or_of_nothing_is_refused(database: Database, conn: Connection) -> None:
    ada = await owner(database)
    with pytest.raises(NoSuchUser):
        await link(conn, "telegram", "1", "u_nobody")
    with pytest.raises(InvalidInput):
        await linked(database, "", ada)


async def test_people_are_found_by_what_is_remembered_the_likeliest_first(database: Database, conn: Connection) -> None:
    for name, username in [("John Smith", "js"), ("Joan Smythe", "dove"), ("José Álvarez", None), ("100%_done", "max")]:
        await contact(database, f"at {name}", name=name, username=username)

    async def found(text: str, **more: Any) -> list[str]:
        return [one.user.name for one in await find(conn, text, **more)]

    assert await found("jhon smith") == ["John Smith", "Joan Smythe"]
    assert await found("smith", limit=1) == ["John Smith"]
    assert await found("JOSE ALVARES") == ["José Álvarez"]
    assert await found("@max") == await found("at 100%_done") == await found("%_d") == ["100%_done"]
    (exact,) = await find(conn, (await contact(database, "at Joan Smythe")).id)
    assert (exact.user.name, exact.likeness) == ("Joan Smythe", 1.0)
    assert await found("somebody else") == []
    with pytest.raises(InvalidInput):
        await find(conn, " @ ")


async def test_one_who_was_not_seen_for_long_is_found_by_a_part_of_the_name_and_one_merged_is_not(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.person_search.RECENT", 1)
    long_ago = await contact(database, 1, name="Methuselah")
    await contact(database, 2, name="Noah")
    await execute(conn, "UPDATE jobs.users SET seen_at = seen_at - interval '9 years' WHERE name = 'Methuselah'")
    assert [one.user.id for one in await find(conn, "thusel")] == [long_ago.id]
    assert await find(conn, "metuselah") == []
    assert [one.user.id for one in await find(conn, "noha")] == [(await contact(database, 2)).id]
    await linked(database, 1, await contact(database, 2))
    assert await find(conn, "thusel") == []
