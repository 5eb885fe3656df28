"""The folder of `./jobs up` (JOBS_DATA): how two starts keep apart, and how the other commands find the one that runs.

DIR/           0700
  up.lock      flock'd by the running `up`
  up.json      its address, process and model; no secrets
  token        0600, the web API's token, made once
  settings.env 0600, what ./jobs setup was told; read by every command (saved.py)
  joins        0600, while it runs: the variables that a worker needs to join it (database, simulator)
  processes    while it runs: how many workers somebody asked for (./jobs scale); without it as many as it was started with
  metrics/     the processes' counters, emptied at each start
  postgres/    the embedded server
"""

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.errors import CommandFailed
from cli.postgres_folder import FolderUnusable, explain, open_folder, open_private, write_private
from jobs_core import ConfigurationError

_SHORTEST_TOKEN = 16
_LOCK_TRIES, _LOCK_WAIT_S = 5, 0.05  # a command that looks whether `up` runs holds the lock for a moment


@dataclass(frozen=True, slots=True)
class Running:
    """An `up` that runs: its address, its process, and what serves the model, `simulator` or `api`."""

    url: str
    pid: int
    model: str


class Folder:
    """One such folder; nothing is made before `taken` or `make_token`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.metrics = self.path / "metrics"
        self.postgres = self.path / "postgres"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the folder for one `up`. Raises CommandFailed where another holds it, ConfigurationError where none can."""
        with _explained(self.path):
            self.path = open_folder(self.path)
            lock = open_private(self.path / "up.lock")
        try:
            if not _lock(lock):
                other = self._announced()
                who = f"process {other.pid} at {other.url}" if other else "another process, which is starting or ending"
                raise CommandFailed(f"{self.path} is in use by {who}: use that one, stop it, or give another --data")
            with _explained(self.path):
                self._unannounce()  # a killed predecessor's, which our lock would vouch for
                shutil.rmtree(self.metrics, ignore_errors=True)
                self.metrics.mkdir(mode=0o700)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def announced(self, running: Running, joins: Mapping[str, str]) -> Iterator[None]:
        """Let other commands find this `up`, inside the block."""
        self.announce(running, joins)
        try:
            yield
        finally:
            self._unannounce()

    def announce(self, running: Running, joins: Mapping[str, str]) -> None:
        """Say where this `up` is; `joins` are the variables that a worker needs to join it."""
        with _explained(self.path):
            write_private(self.path / "joins", json.dumps(dict(joins)))
            write_private(self.path / "up.json", json.dumps(asdict(running)))

    def running(self) -> Running | None:
        """The `up` that holds the folder now; None where there is none, or it is still starting."""
        with suppress(OSError):
            lock = os.open(self.path / "up.lock", os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._announced()
            finally:
                os.close(lock)
        return None

    def joins(self) -> dict[str, str]:
        """The variables with which a process joins the running `up`; empty where none runs.

        Raises PermissionError for somebody else's folder.
        """
        if not self.running():
            return {}
        with suppress(FileNotFoundError):  # it ended just now
            joins: dict[str, str] = json.loads((self.path / "joins").read_text())
            return joins
        return {}

    def scale(self, processes: int) -> Running:
        """Ask the running `up`, which is returned, for so many workers. Raises CommandFailed where none runs."""
        running = self.running()
        if running is None:
            raise CommandFailed(
                f"no ./jobs up runs in {self.path}: start one; a ./jobs worker takes signals (README, Where it runs)"
            )
        with _explained(self.path):
            write_private(self.path / "processes", str(processes))
        return running

    def processes(self) -> int | None:
        """How many workers somebody has asked the running `up` for; None: nobody has."""
        try:
            return int((self.path / "processes").read_text())
        except (OSError, ValueError):
            return None

    def token(self) -> str:
        """The web API's token. Raises CommandFailed where no start has made one yet."""
        try:
            return self._checked_token()
        except FileNotFoundError:
            raise CommandFailed(f"{self.path} has no token yet: start ./jobs up, which makes it") from None

    def make_token(self) -> str:
        """The token, made now where there is none. Raises ConfigurationError where the folder is unusable."""
        with _explained(self.path):
            self.path = open_folder(self.path)
            with suppress(FileNotFoundError):
                return self._checked_token()
            new = self.path / f"token.{secrets.token_hex(8)}"
            write_private(new, secrets.token_urlsafe(32))
            with suppress(FileExistsError):  # of two that make it at once, both use the first one's
                os.link(new, self.path / "token")
            new.unlink()
            return self._checked_token()

    def _checked_token(self) -> str:
        file = self.path / "token"
        token = file.read_text().strip()
        if len(token) < _SHORTEST_TOKEN:
            raise ConfigurationError(
                f"{file} holds fewer than {_SHORTEST_TOKEN} characters: delete it, up makes another"
            )
        return token

    def _unannounce(self) -> None:
        (self.path / "up.json").unlink(missing_ok=True)
        (self.path / "joins").unlink(missing_ok=True)
        (self.path / "processes").unlink(missing_ok=True)

    def _announced(self) -> Running | None:
        with suppress(OSError, ValueError, TypeError):
            return Running(**json.loads((self.path / "up.json").read_text()))
        return None


def _lock(lock: int) -> bool:
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_WAIT_S)
        else:
            return True
    return False


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except FolderUnusable as error:
        raise ConfigurationError(str(error)) from error
    except OSError as error:
        raise ConfigurationError(explain(error, folder)) from error
