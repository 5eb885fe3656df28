"""A message whose files are here, on its way into its chat: what its person said in words, what is shown, what is handed over.

voice ─▶ its words, marked as spoken        picture, PDF ─▶ a part of the message, as from the web
other files, and what was not taken ─▶ attached; assistant/handing_over.py tells the agent in its turn
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from assistant import chats, media
from assistant.chats import MAX_MESSAGE_BYTES
from assistant.content import MAX_FILE_BYTES, MAX_FILES, MAX_FILES_BYTES, File, picture_or_pdf
from assistant.errors import ChatClosed, NoSuchChat
from assistant.handing_over import shown, title_of
from assistant.media import Media
from assistant.pictures import fits_a_model
from assistant.remarks import remark
from assistant.transcription import TranscribeResult
from gateways.telegram.waiting import Waiting, drop_left, take
from jobs_core import Connection, Jobs
from jobs_core.steps import Child
from jobs_core.wake import Ready

log = structlog.get_logger()

LEFT = "Something that you sent before could not be taken in: its job had ended. Please send it once more."


@dataclass(frozen=True, slots=True)
class Message:
    """What goes into a chat. parts: the messages that it is made of. own_from: where their own words begin in the content.

    files: those that are shown at once; attached: ids of others; refused: what was not taken.
    """

    parts: Sequence[Waiting]
    content: str
    own_from: int
    files: Sequence[File]
    attached: Sequence[int]
    refused: Sequence[Media]


async def put_together(
    conn: Connection, parts: Sequence[Waiting], files: Sequence[Media], heard: Mapping[int, Child]
) -> Message:
    """One message of what came. heard: how the transcription of each clip ended that was here, by file; not in it: too late."""
    by_id = {file.id: file for file in files}
    spoken, shown_files, attached, refused = list[str](), list[File](), list[int](), list[Media]()
    for part in parts:
        file = by_id.get(part.file_id) if part.file_id is not None else None
        if file and file.state == "here" and file.kind == "voice":
            spoken.append(_spoken(file, heard.get(file.id)))
        elif file and (picture := await _shown_at_once(conn, file, shown_files)):
            shown_files.append(picture)
        elif file:
            attached.append(file.id)
            refused += [file] if file.state == "refused" else []
    words = "\n".join(filter(None, (part.content for part in parts)))
    if not (words.strip() or spoken or shown_files) and len(refused) == len(attached):
        return Message(parts, "", 0, (), (), refused)  # nothing is left to answer
    first = "".join(part.before for part in parts) + "".join(f"{line}\n" for line in spoken)
    content = f"{first}{words}".encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore")
    return Message(parts, content, len(first), shown_files, attached, refused)


async def take_in(conn: Connection, *, jobs: Jobs, message: Message) -> set[Ready]:
    """Put it into its chat, in the settling transaction; returns where jobs stand ready for it."""
    first, ready, history_id = message.parts[0], set[Ready](), None
    session_id = first.session_id
    if await drop_left(conn, session_id, min(part.id for part in message.parts)):
        ready.update(await remark(conn, LEFT, session_id=session_id))
    if message.refused:
        ready.update(await remark(conn, _not_taken(message.refused), session_id=session_id))
    if message.content.strip() or message.files or message.attached:
        try:
            received = await chats.receive(
                conn,
                jobs,
                session_id=session_id,
                channel="telegram",
                account=first.account,
                user_id=first.user_id,
                message=message.content,
                files=message.files,
                media=message.attached,
            )
            history_id = received.message_id
            ready |= received.ready
        except (ChatClosed, NoSuchChat) as error:  # nothing was written
            log.warning("telegram.chat_closed", chat=session_id, error=str(error))
    await take(conn, [part.id for part in message.parts], history_id, message.own_from)
    return ready


async def _shown_at_once(conn: Connection, file: Media, shown_files: Sequence[File]) -> File | None:
    """The file as a part of its message, if a model can be shown it there beside those; None: it is handed over otherwise."""
    size = file.bytes or 0
    together = size + sum(len(other.content) for other in shown_files)
    if file.state != "here" or size > MAX_FILE_BYTES or together > MAX_FILES_BYTES or len(shown_files) >= MAX_FILES:
        return None
    if file.media_type is None or (file.media_type != "application/pdf" and not file.media_type.startswith("image/")):
        return None
    content = await media.content_of(conn, file)
    if picture_or_pdf(content) != file.media_type:
        return None  # its bytes were dropped meanwhile
    if file.media_type.startswith("image/") and not fits_a_model(content, file.media_type):
        return None
    return File(file.media_type, content, title_of(file.claimed_name))


def _spoken(file: Media, ended: Child | None) -> str:
    """What was said in a voice message, or why nobody knows."""
    length = "Voice message" if file.seconds is None else f"Voice message, {file.seconds} s"
    if ended is None:
        return f"[{length}. It was not transcribed: that took too long]"
    if ended.state != "complete":
        return f"[{length}. It was not transcribed: {ended.error or 'that was ' + ended.state}]"
    heard = TranscribeResult.model_validate(ended.result)
    if heard.status == "not_set_up":
        return f"[{length}. It was not transcribed: transcription is not set up here ({heard.why})]"
    if heard.status == "refused":
        return f"[{length}. It was not transcribed: {heard.why}]"
    return f"[{length}, transcribed:] {heard.text}" if heard.text else f"[{length}. No words could be heard in it]"


def _not_taken(refused: Sequence[Media]) -> str:
    named = [f"{file.kind} {shown(file.claimed_name)}" if file.claimed_name else file.kind for file in refused]
    return "\n".join(f"Not taken: {name}. It is {file.said}." for name, file in zip(named, refused, strict=True))
