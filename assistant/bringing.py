"""What files that are here become on their way into a chat, whatever door they came by: shown, spoken, or handed over later.

voice ─▶ its words, marked as spoken        picture, PDF ─▶ a part of the message, as from the web
other files, and what was not taken ─▶ attached; handing_over.py tells the agent in its turn
"""

from collections.abc import Sequence

from assistant import media
from assistant.content import MAX_FILE_BYTES, MAX_FILES, MAX_FILES_BYTES, File, picture_or_pdf
from assistant.errors import FileGone
from assistant.handing_over import title_of
from assistant.media import Media
from assistant.pictures import fits_a_model
from assistant.transcription import TranscribeResult
from jobs_core import Connection
from jobs_core.steps import Child


async def shown_at_once(conn: Connection, file: Media, shown_files: Sequence[File]) -> File | None:
    """The file as a part of its message, if a model can be shown it there beside those; None: it is handed over otherwise."""
    size = file.bytes or 0
    together = size + sum(len(other.content) for other in shown_files)
    if file.state != "here" or size > MAX_FILE_BYTES or together > MAX_FILES_BYTES or len(shown_files) >= MAX_FILES:
        return None
    if file.media_type is None or (file.media_type != "application/pdf" and not file.media_type.startswith("image/")):
        return None
    try:
        content = await media.content_of(conn, file)
    except FileGone:  # meanwhile
        return None
    if picture_or_pdf(content) != file.media_type:
        return None
    if file.media_type.startswith("image/") and not fits_a_model(content, file.media_type):
        return None
    return File(file.media_type, content, title_of(file.claimed_name))


def words_of(file: Media, ended: Child | None) -> tuple[str, str]:
    """What stands before a voice message's words, without what closes it, and the words: "" where there are none.

    ended: how its transcription did; None: it took too long.
    """
    length = "Voice message" if file.seconds is None else f"Voice message, {file.seconds} s"
    if why := _not_heard(ended):
        return f"[{length}. It was not transcribed: {why}]", ""
    assert ended is not None, "without an end nothing was heard"
    text = TranscribeResult.model_validate(ended.result).text
    return (f"[{length}", text) if text else (f"[{length}. No words could be heard in it]", "")


def _not_heard(ended: Child | None) -> str | None:
    """Why a clip was not transcribed; None: it was."""
    if ended is None:
        return "that took too long"
    if ended.state != "complete":
        return f"job {ended.id}, which was to do it, {'was cancelled' if ended.state == 'cancelled' else 'failed'}"
    heard = TranscribeResult.model_validate(ended.result)
    if heard.status == "not_set_up":
        return f"transcription is not set up here ({heard.why})"
    return heard.why if heard.status == "refused" else None
