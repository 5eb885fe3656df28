"""Where running CLIs keep their files: a folder a run, wiped when the run ends.

    <root>/empty/             the working directory of agents that have no other: the model is told this path
    <root>/process-…/lock     one folder a process; locked as long as that lives, so that nobody wipes it
                    <run>/    config, home and temporary files of one CLI; they hold the conversation, and so are 0700

A process that was killed wipes nothing; the next one that starts does it, finding its lock free.
"""

import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from jobs_core import ConfigurationError

_LOCK = "lock"
_PREFIX = "process-"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run; its parts exist."""

    path: Path

    @property
    def config(self) -> Path:
        """The CLI's configuration and its own copy of the transcript."""
        return self.path / "config"

    @property
    def home(self) -> Path:
        """The agent's home."""
        return self.path / "home"

    @property
    def temporary(self) -> Path:
        """Temporary files and sockets, of the CLI and of its tools."""
        return self.path / "tmp"


class Scratch:
    """The scratch folder of this process, from `open` to `close`."""

    def __init__(self, root: Path | None) -> None:
        self.root = (root or Path(tempfile.gettempdir()) / f"jobs-{os.getuid()}").absolute()
        self.empty = self.root / "empty"
        self._own: Path | None = None
        self._lock: IO[bytes] | None = None

    def open(self) -> None:
        """Make this process' folder, and wipe those of processes that are gone.

        Raises ConfigurationError where the folder cannot be made, is a link, or is another user's or writable to one.
        """
        try:
            self._make_root()
            self.empty.mkdir(mode=0o500, exist_ok=True)
            with (self.root / _LOCK).open("ab") as one_at_a_time:  # or a new folder, not locked yet, would be wiped
                fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
                self._wipe_abandoned()
                self._own = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self.root))
                self._hold(self._own)
        except OSError as error:
            raise ConfigurationError(
                f"Agents cannot keep files in {self.root}: {error.strerror}; set JOBS_SCRATCH_FOLDER to another folder"
            ) from error

    def close(self) -> None:
        """Wipe this process' folder and let it go."""
        if self._own:
            _wipe_process(self._own)
        if self._lock:
            self._lock.close()
        self._own = self._lock = None

    @contextmanager
    def run_folder(self, turn_id: UUID) -> Iterator[RunFolder]:
        """A fresh folder for one run, wiped at the end; runs of one turn never share one."""
        assert self._own is not None, "open() comes first"
        self._make_root()  # again: what cleans /tmp takes folders that nothing has touched for days
        self.empty.mkdir(mode=0o500, exist_ok=True)
        self._own.mkdir(mode=0o700, exist_ok=True)
        if not (self._own / _LOCK).exists():
            self._hold(self._own)
        folder = RunFolder(Path(tempfile.mkdtemp(prefix=turn_id.hex[:8], dir=self._own)))
        try:
            for part in (folder.config, folder.home, folder.temporary):
                part.mkdir(mode=0o700)
            yield folder
        finally:
            _wipe(folder.path)

    def _make_root(self) -> None:
        """Make the root, or refuse one that somebody else could swap: its name in /tmp can be guessed."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.lstat(self.root)
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigurationError(
                f"{self.root} is a link, not a folder; set JOBS_SCRATCH_FOLDER to a folder of yours"
            )
        if found.st_uid != os.getuid():
            raise ConfigurationError(f"{self.root} belongs to another user; set JOBS_SCRATCH_FOLDER to one of yours")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):  # no chmod: it may be a folder that others work in
            raise ConfigurationError(
                f"Others can write to {self.root}; chmod go-w it, or set JOBS_SCRATCH_FOLDER to another folder"
            )

    def _hold(self, own: Path) -> None:
        (own / _LOCK).touch()
        self._lock = _locked(own)

    def _wipe_abandoned(self) -> None:
        for other in self.root.glob(f"{_PREFIX}*"):
            lock = _locked(other)
            if lock is not None:
                _wipe_process(other)
                lock.close()


def _wipe_process(own: Path) -> None:
    """Delete a process's folder, its lock last: without one, what a wipe that was cut off left would be nobody's."""
    with suppress(OSError):  # something else may clean here, too
        for part in own.iterdir():
            if part.name != _LOCK:
                _wipe(part)
    _wipe(own)


def _wipe(folder: Path) -> None:
    """Delete a folder, whatever an agent made of it.

    What `rmtree` leaves goes by the system's own tools: folders without the right to write, as Go keeps its modules in, and
    ones inside each other a thousand deep, at which it breaks off.
    """
    with suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for command in (("chmod", "-R", "u+rwx"), ("rm", "-rf")):
            subprocess.run([*command, folder], check=False, stdin=subprocess.DEVNULL, capture_output=True)


def _locked(folder: Path) -> IO[bytes] | None:
    """The open lock file of a folder, held until it is closed or the process dies.

    None: another process holds it, or it has none and so is not ours to wipe; nor is what lies behind a link.
    """
    if folder.is_symlink():
        return None
    if not os.access(folder, os.R_OK | os.X_OK):  # an agent may have shut it
        with suppress(OSError):
            folder.chmod(0o700)
    try:
        lock = (folder / _LOCK).open("rb+")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
