"""Files up and down, in parts."""

from __future__ import annotations

from hashlib import md5
from typing import Any

from telethon import functions, types

from tests.support.telegram import show
from tests.support.telegram.call import Call, Refused, answers
from tests.support.telegram.posts import File

MAX_PART_BYTES = 512 * 1024
"""core.telegram.org/api/files"""


@answers(functions.upload.SaveFilePartRequest, functions.upload.SaveBigFilePartRequest)
def save_part(call: Call, request: Any) -> Any:
    """Keep a part until its file is sent."""
    if len(request.bytes) > MAX_PART_BYTES:
        raise Refused("FILE_PART_TOO_BIG")
    call.account.uploads.setdefault(request.file_id, {})[request.file_part] = request.bytes
    return True


@answers(functions.messages.UploadMediaRequest)
def upload_media(call: Call, request: Any) -> Any:
    """Make an uploaded file one that can be named, as an album wants it."""
    call.chat(request.peer)
    return show.media(file_of(call, request.media))


@answers(functions.upload.GetFileRequest)
def get_file(call: Call, request: Any) -> Any:
    """Give a part of a file."""
    file = _named(call, request.location)
    data = file.data[request.offset : request.offset + request.limit]
    return types.upload.File(types.storage.FileUnknown(), mtime=0, bytes=data)


def file_of(call: Call, media: Any) -> File:
    """Find or put together the file that is sent, and know it from now on."""
    if isinstance(media, types.InputMediaPhoto | types.InputMediaDocument):
        return _named(call, media.id)
    data = _assemble(call, media.file)
    file = File(call.world.draw(), data, media.file.name)
    if isinstance(media, types.InputMediaUploadedDocument):
        file.mime_type, file.attributes = media.mime_type, media.attributes
    else:
        file.is_photo = True
    call.world.files[file.id] = file
    return file


def _assemble(call: Call, upload: Any) -> bytes:
    parts = call.account.uploads.get(upload.id, {})
    for number in range(upload.parts):
        if number not in parts:
            raise Refused(f"FILE_PART_{number}_MISSING")
    data = b"".join(parts[number] for number in range(upload.parts))
    if isinstance(upload, types.InputFile) and upload.md5_checksum != md5(data).hexdigest():
        raise Refused("MD5_CHECKSUM_INVALID")
    return data


def _named(call: Call, named: Any) -> File:
    file = call.world.files.get(named.id)
    if file is None or named.access_hash != file.id:
        raise Refused("LOCATION_INVALID")
    return file
