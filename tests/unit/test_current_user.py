"""For whom a run acts: two at once in one process never mix, in tasks and threads they begin either."""

import asyncio
from datetime import UTC, datetime

import pytest

from assistant.people import User, acting_for, current_user


def user(name: str) -> User:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    return User(f"u_{name}", name, None, "external", None, now, now)


async def test_two_users_at_once_in_one_process_never_mix() -> None:
    """Each looks in its own task, in a task begun inside, and in a thread, while the other's runs are under way."""
    both_inside = asyncio.Barrier(2)

    async def look() -> str:
        await both_inside.wait()
        return current_user().id

    async def run(name: str) -> set[str]:
        seen = set()
        with acting_for(user(name)):
            for _ in range(20):
                seen.add(await look())
                seen.add(await asyncio.create_task(look()))
                seen.add(await asyncio.to_thread(lambda: current_user().id))
        return seen

    async with asyncio.timeout(30):
        assert await asyncio.gather(run("ada"), run("bob")) == [{"u_ada"}, {"u_bob"}]


async def test_a_task_that_outlives_its_run_keeps_its_user_and_none_is_left_behind() -> None:
    ended = asyncio.Event()

    async def late() -> str:
        await ended.wait()
        return current_user().id

    with acting_for(user("ada")):
        task = asyncio.create_task(late())
        with acting_for(user("bob")):
            assert current_user().id == "u_bob"
        assert current_user().id == "u_ada"
    ended.set()
    assert await task == "u_ada"
    with pytest.raises(LookupError):
        current_user()
