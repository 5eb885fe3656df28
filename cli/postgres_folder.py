"""The folder of an embedded Postgres: what lies in it, and who may read that. Standard library only.

    FOLDER/           0700
      owner.lock      flock'd by the process that asked for the server, its pid inside
      keeper.lock     flock'd by the keeper, which outlives a killed owner by as long as Postgres takes to stop
      password, dsn   0600
      postgres.log    0600, the keeper's lines and the server's
      server/data/    0700, of the user that runs Postgres

`data` is made under another name and renamed, so that half a cluster never counts as one.
"""

import errno
import os
import stat
from pathlib import Path


class FolderUnusable(Exception):
    """No server can be had in this folder; the text is one line that says what to do."""


def open_folder(path: Path) -> Path:
    """Make the folder where it is missing and return its real path.

    Raises FolderUnusable for somebody else's, and for one that others may write: they could exchange what lies in it.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = path.resolve()
    found = path.stat()
    if os.geteuid() not in {0, found.st_uid}:
        raise FolderUnusable(f"{path} belongs to another user (uid {found.st_uid}): choose a folder of your own")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise FolderUnusable(f"{path} can be written by others: chmod go-w it, or choose another folder")
    return path


def open_private(path: Path, extra_flags: int = 0) -> int:
    """A file descriptor on a 0600 file that belongs to the folder's owner; not inherited by children.

    O_NOFOLLOW: root at work in a user's folder must not give away what a planted link points at.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | extra_flags, 0o600)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(fd, folder.st_uid, folder.st_gid)
    return fd


def write_private(path: Path, text: str) -> None:
    """Replace a 0600 file as a whole, so that a reader or a crash sees the old text or the new one."""
    new = path.with_name(path.name + ".new")
    with os.fdopen(open_private(new, os.O_TRUNC), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_directory(path.parent)


def explain(error: OSError, folder: Path) -> str:
    """One line for what the system refused, and what to do about it."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"no space left in {folder}: free some (a new database takes 60 MB), or choose another folder"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{error.filename or folder} cannot be written ({error.strerror}): choose another folder"
    if error.errno in {errno.EEXIST, errno.ENOTDIR}:
        return f"{error.filename or folder} is in the way: Postgres needs a folder there; choose another, or remove it"
    return f"{folder} cannot be used for Postgres: {error}"


def sync_directory(directory: Path) -> None:
    """Make the renames in a directory last through a power cut."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
