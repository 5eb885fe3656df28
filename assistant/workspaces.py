"""The folders that agents work in: one for each agent of each user, under one path on all hosts.

    <root>/        0700     JOBS_WORKSPACES
      u_3f…/       0700     a user's id
        7/         0700     an agent's id

The path is made of ids that are ours; no name, and nothing that a person or a model says, becomes a part of it. Each step is
opened without following links: an agent that put a link where its folder was gets no folder.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from jobs_core import ConfigurationError

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Workspaces:
    """The workspaces under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def folder(self, user_id: str, agent_id: int) -> Path:
        """The folder of this user's with this agent, made where it is missing; nobody else can look into it.

        Raises ConfigurationError where it cannot be made, is a link or somebody else's, or where others can write to the root.
        """
        assert user_id.replace("_", "").isalnum(), "an id of ours"
        path = self.root
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            here = os.open(path, FOLDER)
            try:
                if os.fstat(here).st_mode & _OTHERS_WRITE:
                    raise ConfigurationError(f"Others can write to {path}, where workspaces are: chmod go-w it")
                for part in (user_id, str(agent_id)):
                    path = path / part
                    here, above = inside(here, part), here
                    os.close(above)
                    os.fchmod(here, 0o700)  # again: an agent may have changed it; refused for somebody else's
            finally:
                os.close(here)
        except OSError as error:
            raise ConfigurationError(f"The workspace {path} cannot be used: {_why(error)}") from error
        return path


def inside(above: int, part: str) -> int:
    """A descriptor of the folder inside the one that is open, made now where it is missing."""
    with suppress(FileExistsError):  # opened below, if it is a folder
        os.mkdir(part, 0o700, dir_fd=above)
    return os.open(part, FOLDER, dir_fd=above)


def _why(error: OSError) -> str:
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return "it is a link, or a file; remove it, or set JOBS_WORKSPACES to another folder"
    return f"{error.strerror}; make room or set JOBS_WORKSPACES to another folder"
