"""The inbox of a workspace: the folder in which an agent finds the files that people sent.

    <workspace>/inbox/7-9f3a61c2.csv      a file's own name, ours

An agent may have put anything into its folder: no link is followed, and no name comes from a person or a model. A file appears
whole or not at all, and one that is there is left as it is: the agent may have worked on it.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from assistant.workspaces import FOLDER, inside
from jobs_core import ConfigurationError

INBOX = "inbox"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


async def save(workspace: Path, name: str, pieces: AsyncIterator[bytes]) -> str:
    """Save a file under this name of ours; returns its path inside the workspace.

    Raises ConfigurationError where it cannot be written: make room, or take away what stands in the inbox's place.
    """
    assert "/" not in name, "a name of ours"
    try:
        await _save(workspace, name, pieces)
    except OSError as error:
        raise ConfigurationError(
            f"{workspace / INBOX} takes no file: {error.strerror}; make room, or mend it"
        ) from error
    return f"{INBOX}/{name}"


async def _save(workspace: Path, name: str, pieces: AsyncIterator[bytes]) -> None:
    root = os.open(workspace, FOLDER)
    try:
        folder = inside(root, INBOX)
    finally:
        os.close(root)
    unfinished = f".{name}.{secrets.token_hex(4)}"
    try:
        if _is_there(folder, name):
            return
        with os.fdopen(os.open(unfinished, _NEW, 0o600, dir_fd=folder), "wb") as file:
            async for piece in pieces:
                await asyncio.to_thread(file.write, piece)
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished, dir_fd=folder)
        os.close(folder)


def _is_there(folder: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        return True
    return False
