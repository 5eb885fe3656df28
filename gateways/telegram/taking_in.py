"""A message whose files are here, on its way into its chat: what its person said in words, what is shown, what is handed over.

voice ─▶ its words, marked as spoken        picture, PDF ─▶ a part of the message, as from the web
other files, and what was not taken ─▶ attached; assistant/handing_over.py tells the agent in its turn
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from assistant import chats, media, people
from assistant.bringing import shown_at_once, words_of
from assistant.chats import MAX_MESSAGE_BYTES
from assistant.content import File
from assistant.errors import ChatClosed, NoSuchChat, NoSuchUser
from assistant.handing_over import shown
from assistant.media import Media
from assistant.remarks import remark
from gateways.telegram.accounts import CHANNEL
from gateways.telegram.waiting import Part, became, drop, take
from gateways.telegram.words import quoted
from jobs_core import Connection, Jobs
from jobs_core.steps import Child
from jobs_core.wake import Ready

log = structlog.get_logger()

LEFT = "Something that you sent before could not be taken in: its job had ended. Please send it once more."


@dataclass(frozen=True, slots=True)
class Message:
    """What goes into a chat besides words. parts: the messages that it is made of. before: what stands before their words.

    files: those that are shown at once; attached: ids of others; refused: what was not taken.
    """

    parts: Sequence[Part]
    before: str
    files: Sequence[File]
    attached: Sequence[int]
    refused: Sequence[Media]

    def says_nothing(self, words: str) -> bool:
        """Whether nothing is left to answer."""
        return not (words.strip() or self.before or self.files) and len(self.refused) == len(self.attached)


async def put_together(
    conn: Connection, parts: Sequence[Part], files: Sequence[Media], heard: Mapping[int, Child]
) -> Message:
    """One message of what came. heard: how the transcription of each clip ended that was here, by file; not in it: too late."""
    by_id = {file.id: file for file in files}
    before, shown_files, attached, refused = list[str](), list[File](), list[int](), list[Media]()
    for part in parts:
        before.append(part.before)
        file = by_id.get(part.file_id) if part.file_id is not None else None
        if file and file.state == "here" and file.kind == "voice":
            before.append(f"{_spoken(file, heard.get(file.id), forwarded=part.forwarded)}\n")
        elif file and (picture := await shown_at_once(conn, file, shown_files)):
            shown_files.append(picture)
        elif file:
            attached.append(file.id)
            refused += [file] if file.state == "refused" else []
    return Message(parts, "".join(before), shown_files, attached, refused)


async def take_in(conn: Connection, *, jobs: Jobs, message: Message) -> set[Ready]:
    """Put it into its chat, in the settling transaction; returns where jobs stand ready for it."""
    ids, session_id, ready = [part.id for part in message.parts], message.parts[0].session_id, set[Ready]()
    taken = await take(conn, ids)
    if len(taken) < len(ids):  # its person has said /stop or /new
        return ready
    if await drop(conn, session_id, before_id=min(ids)):
        ready.update(await remark(conn, LEFT, session_id=session_id))
    if refused := await media.worth_telling(conn, message.refused):
        ready.update(await remark(conn, _not_taken(refused), session_id=session_id))
    words = "\n".join(filter(None, map(taken.__getitem__, ids)))
    if not message.says_nothing(words):
        ready.update(await _say(conn, jobs, message, words))
    return ready


async def _say(conn: Connection, jobs: Jobs, message: Message, words: str) -> Iterable[Ready]:
    first = message.parts[0]
    try:
        received = await chats.receive(
            conn,
            jobs,
            session_id=first.session_id,
            channel=CHANNEL,
            account=first.account,
            user_id=(await people.get(conn, first.user_id)).id,  # they may have been merged into somebody meanwhile
            message=f"{message.before}{words}".encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore"),
            files=message.files,
            media=message.attached,
        )
    except (ChatClosed, NoSuchChat, NoSuchUser) as error:  # nothing was written
        log.warning("telegram.chat_closed", chat=first.session_id, error=str(error))
        return ()
    await became(conn, message.parts, received.message_id, len(message.before))
    return received.ready


def _spoken(file: Media, ended: Child | None, *, forwarded: bool) -> str:
    """What was said in a voice message, or why nobody knows."""
    head, text = words_of(file, ended)
    if not text:
        return head
    if forwarded:
        return f"{head}, forwarded, transcribed; somebody else says:]\n{quoted(text)}"
    return f"{head}, transcribed:] {text}"


def _not_taken(refused: Sequence[Media]) -> str:
    named = [f"{file.kind} {shown(file.claimed_name)}" if file.claimed_name else file.kind for file in refused]
    return "\n".join(f"Not taken: {name}. It is {file.said}." for name, file in zip(named, refused, strict=True))
