"""Links of channels to people, made and undone by the owner: two turn out to be one person, or a stranger is announced."""

from assistant.errors import NoSuchUser, RoleFixed
from assistant.people import BIGGEST_ID, TELEGRAM, WEB_TOKEN, User, channels, check_id, get, lock, merge, set_tg_user_id
from jobs_core import Connection, InvalidInput, execute, fetch_one, statement


async def link(conn: Connection, channel: str, address: str, user_id: str) -> User:
    """Say that whoever comes by this channel is this person; call it inside a transaction. Returns the person.

    Where somebody is known by it already, those two become one person, with all that is theirs, and the role of
    `user_id`: it is not undone by `unlink`. What jobs were recorded under stays as it was. Raises NoSuchUser, InvalidInput, and
    RoleFixed where an owner would become an external person.
    """
    where = {"channel": check_id(channel, "channel"), "address": check_id(address, "address")}
    await lock(conn)
    user = await get(conn, user_id)
    if where == WEB_TOKEN and not user.is_owner:
        raise RoleFixed(f"Whoever holds the web API's token is an owner: make {user.id} one first")
    known = await fetch_one(conn, statement("assistant", "user/of_channel"), where)
    if known is None:
        await execute(conn, statement("assistant", "user/add_channel"), where | {"user_id": user.id})
        await _note_number(conn, user, where)
    elif known["id"] != user.id:
        other = User(**known)
        if other.is_owner and not user.is_owner:
            raise RoleFixed(
                f"{channel} {address} is {other.id}, an owner: link the other way, or make {user.id} one first"
            )
        await merge(conn, other, user)
    return await get(conn, user.id)


async def unlink(conn: Connection, channel: str, address: str) -> User:
    """Forget who comes by this channel: at the next contact they are a stranger. Returns whose it was.

    Call it inside a transaction. Raises NoSuchUser, InvalidInput for the channel of the web API's token.
    """
    where = {"channel": check_id(channel, "channel"), "address": check_id(address, "address")}
    if where == WEB_TOKEN:
        raise InvalidInput("address: whoever holds the web API's token is the owner: change JOBS_TOKEN instead")
    await lock(conn)
    row = await fetch_one(conn, statement("assistant", "user/remove_channel"), where)
    if row is None:
        raise NoSuchUser(f"Nobody is known by {channel} {address}: ./jobs user show lists a person's channels")
    user = await get(conn, row["user_id"])
    number = _number_in(where)
    # It may stand with one who became this person, who had a number already; by it the stranger would be this person still.
    holder = await _of_number(conn, number) if number else None
    if holder and (await get(conn, holder.id)).id == user.id:
        await set_tg_user_id(conn, holder.id, None)
        left = [one for one in await channels(conn, user.id) if one.channel == TELEGRAM]
        if left and (await get(conn, user.id)).tg_user_id is None:
            return await write_to(conn, user, max(left, key=lambda one: one.created_at).address)
    return await get(conn, user.id)


async def write_to(conn: Connection, user: User, address: str) -> User:
    """Have a person, who comes by this address at Telegram, be written to there and no longer at another; the lock is held."""
    number = _number_in({"channel": TELEGRAM, "address": address})
    if number is None or number == user.tg_user_id:
        return user
    if holder := await _of_number(conn, number):  # the row of one who became this person
        await set_tg_user_id(conn, holder.id, None)
    await set_tg_user_id(conn, user.id, number)
    return await get(conn, user.id)


async def _note_number(conn: Connection, user: User, where: dict[str, str]) -> None:
    """An address at Telegram is the person's number there, by which the settings may name the owner."""
    number = _number_in(where)
    if number and user.tg_user_id is None and await _of_number(conn, number) is None:
        await set_tg_user_id(conn, user.id, number)


def _number_in(where: dict[str, str]) -> int | None:
    """The number at Telegram that an address is, None where it is none."""
    address = where["address"]
    if where["channel"] != TELEGRAM or not (address.isascii() and address.isdigit()):
        return None
    number = int(address)
    return number if 0 < number <= BIGGEST_ID and str(number) == address else None


async def _of_number(conn: Connection, number: int) -> User | None:
    """Whose row has this number; they may have become somebody else."""
    row = await fetch_one(conn, statement("assistant", "user/by_tg_user_id"), {"tg_user_id": number})
    return User(**row) if row else None
