"""Files of a chat, given back to whoever's chat it is: as something to save, never as a page of ours."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Path, Response
from starlette.responses import StreamingResponse

from assistant import media
from assistant.content import MAX_FILES
from assistant.files import nth_file
from gateways.web.caller import ChatId
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Id


async def one(
    context: Here,
    session_id: ChatId,
    message_id: Annotated[Id, Path()],
    nth: Annotated[int, Path(ge=1, le=10 * MAX_FILES)],
) -> Response:
    """The bytes of a message's nth file, from 1, in the order of the chat's history; 410 where they are no longer kept."""
    async with context.database.connection() as conn:
        file = await nth_file(conn, session_id, message_id, nth)
        large = await media.find(conn, [file.file_id]) if file and file.file_id is not None else []
    if file is None:
        message = (
            f"Message {message_id} of that chat has no file {nth}: GET /api/chat/{{id}}/messages tells what it has"
        )
        raise Refused(404, "no_such_file", message, field="nth")
    if file.state != "here":
        raise Refused(410, "file_gone", "The file was not taken, or is too old and no longer kept", field="nth")
    headers = {"Content-Disposition": _as_attachment(file.name)}
    if file.content is not None:
        return Response(file.content, media_type=file.media_type, headers=headers)
    headers["Content-Length"] = str(file.size)
    return StreamingResponse(media.pieces(context.database, large[0]), media_type=file.media_type, headers=headers)


def _as_attachment(name: str | None) -> str:
    """The header (RFC 6266) by which a browser saves it; a name of more than plain letters is percent-encoded in it."""
    if name is None or name == (encoded := quote(name, safe="")):
        return f'attachment; filename="{name}"' if name else "attachment"
    return f"attachment; filename*=UTF-8''{encoded}"
