"""What stands before a message's own words: what others said in the group, and the message that it answers."""

from assistant.deliveries import find_delivery
from assistant.held import is_blocked
from assistant.incoming import content_of
from gateways.telegram import taken
from gateways.telegram.accounts import CHANNEL
from gateways.telegram.door import Door
from gateways.telegram.incoming import Incoming
from gateways.telegram.taken import Known
from gateways.telegram.words import with_overheard, with_reply
from jobs_core import Connection

NOT_KNOWN = "(a message that is not known here)"


async def words_before(conn: Connection, door: Door, message: Incoming, session_id: str, replied: Known | None) -> str:
    """What stands there, in the chat session that the message goes to. replied: what is known of the one that it answers.

    Raises ToBeSeen where Telegram is to be asked for that one first.
    """
    overheard = [] if message.is_private else await taken.overheard_before(conn, door.held.name, message)
    answered = (
        None
        if message.reply_to is None and not message.quote
        else await _answered(conn, door, message, session_id, replied)
    )
    return with_overheard(with_reply("", answered), overheard)


async def _answered(
    conn: Connection, door: Door, message: Incoming, session_id: str, replied: Known | None
) -> str | None:
    """The words that it answers; None where that is what we said last, and needs no quote."""
    if message.quote:
        return message.quote
    if replied is None:
        return await _unseen(conn, door, message)
    if replied.is_last:
        return None
    if message.is_private and replied.session_id not in (None, session_id):
        return NOT_KNOWN  # it was said by somebody else, who had this number
    return await _words_of(conn, replied)


async def _words_of(conn: Connection, replied: Known) -> str | None:
    if replied.history_id is not None:
        return await content_of(conn, replied.history_id)
    if replied.delivery_id is not None:
        return str((await find_delivery(conn, replied.delivery_id)).payload.get("text", ""))
    return None


async def _unseen(conn: Connection, door: Door, message: Incoming) -> str:
    """The words of a message that never came here, as Telegram has told them since; of people who are blocked, none."""
    found = door.unseen.find(message.chat_id, message.reply_to or 0)
    if found is None or await is_blocked(conn, CHANNEL, str(found.sender_id)):
        return NOT_KNOWN
    return found.words
