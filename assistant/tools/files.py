"""`send_file`: a file of the agent's folder goes to the person, in the chat in which they talk."""

import asyncio
import errno
import mimetypes
import os
import stat
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from assistant.content import MAX_FILES_BYTES, File, type_of
from assistant.files import send_file
from assistant.tools.context import RunContext
from jobs_core import Connection
from sessions import Tool, ToolRefused

_MOST = 20  # of one turn
_LONGEST_NAME = 200
_NOT_FOLLOWED = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class FileToSend(BaseModel):
    """A file, and a word to it."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=1000, description="the file, in your working folder")
    text: str = Field("", max_length=1000, description="what to say with it")


class _Sent(BaseModel):
    """By what a file that was sent is known again, whatever way led to it."""

    name: str
    text: str
    digest: str


def send_file_tool(context: RunContext, workspace: Path) -> Tool[FileToSend]:
    """The tool of a run whose agent works in that folder."""

    async def send(given: FileToSend) -> str:
        content = await asyncio.to_thread(_read, workspace, given.path)
        name = _name(given.path)
        file = File(type_of(content) or mimetypes.guess_type(name)[0] or "application/octet-stream", content, name)

        async def owe(conn: Connection) -> str:
            if not await send_file(conn, context.chat, file, given.text):
                raise ToolRefused("Files cannot be sent in this chat: it is on the web. Say where the file is instead")
            return f"{name} ({len(content)} bytes) is on its way."

        sent = _Sent(name=name, text=given.text, digest=sha256(content).hexdigest())
        return await context.once("send_file", sent, owe, most=_MOST)

    what = f"Send a file of your working folder to the person, in this chat: {MAX_FILES_BYTES:,} bytes at most."
    return Tool("send_file", what, FileToSend, send)


def _read(workspace: Path, said: str) -> bytes:
    """The file's bytes. Raises ToolRefused for what is no file of the folder; no link is followed on the way to it."""
    path = Path(said)
    path = path.relative_to(workspace) if path.is_relative_to(workspace) else path
    if not path.parts or ".." in path.parts or path.is_absolute():
        raise ToolRefused("The file must be in your working folder: copy it there first")
    try:
        return _read_inside(workspace, path.parts)
    except (OSError, ValueError) as error:
        loops = isinstance(error, OSError) and error.errno in {errno.ELOOP, errno.ENOTDIR}
        why = "a link" if loops else getattr(error, "strerror", None) or "no path"
        raise ToolRefused(f"There is no file to send at this path ({why})") from None


def _read_inside(workspace: Path, parts: tuple[str, ...]) -> bytes:
    here = os.open(workspace, _NOT_FOLLOWED | os.O_DIRECTORY)
    try:
        for n, part in enumerate(parts, 1):
            inside = os.open(part, _NOT_FOLLOWED | (os.O_DIRECTORY if n < len(parts) else 0), dir_fd=here)
            os.close(here)
            here = inside
        found = os.fstat(here)
        if not stat.S_ISREG(found.st_mode):
            raise ToolRefused("That is no file: make an archive of a folder first")
        if not 0 < found.st_size <= MAX_FILES_BYTES:
            raise ToolRefused(f"The file has {found.st_size:,} bytes; 1 to {MAX_FILES_BYTES:,} can be sent")
        with os.fdopen(here, "rb", closefd=False) as file:
            return file.read(MAX_FILES_BYTES)
    finally:
        os.close(here)


def _name(path: str) -> str:
    """The file's name as others may be shown it."""
    name = "".join(char if char.isprintable() else "_" for char in Path(path).name)
    return name[-_LONGEST_NAME:]
