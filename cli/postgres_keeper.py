"""The process between us and Postgres: it serves one folder for as long as its owner lives. Standard library only.

    python -m cli.postgres_keeper FOLDER PACKAGE [name=value ...]

    lock ─▶ stop leftovers ─▶ initdb where needed ─▶ start ─▶ report to the owner ─▶ wait ─┬─▶ log too big: cut it
                                                       ▲                              ▲     │
                                                       └──── again, until it is up ── postmaster ended
    owner's pipe closed, SIGTERM, SIGINT, SIGHUP: anywhere above ─▶ stop Postgres, exit

It stands in a session of its own, so that the terminal's Ctrl-C does not reach it. Its stdin is a pipe whose other end
only the owner holds: however the owner dies, the pipe closes. It reports once, one line of JSON on stdout, either
`{"dsn": …}` or `{"failed": …}`; its stderr is the folder's postgres.log.
"""

import fcntl
import json
import os
import re
import select
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from cli.postgres_cluster import Cluster, cause, prepare
from cli.postgres_folder import FolderUnusable, explain, open_private, write_private
from cli.postmaster import Postmaster, clear_the_way, free_port

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FORMER_KEEPER_S = 40.0  # longer than a postmaster takes to stop at worst
_IN_THE_WAY_S = 10.0  # backends of a killed postmaster end by themselves within this
_READY_S = 120.0  # recovery after a crash replays max_wal_size (1 GB) at most
_LONGEST_RETRY_S = 2.0
_LOG_LOOK_S = 10.0
_MAX_LOG_BYTES = 10_000_000
_PASSING = re.compile(
    r"pre-existing shared memory block|lock file .* already exists"  # an old server is still there
    r"|could not create any TCP/IP sockets"  # the port is taken
)


class StopRequested(Exception):
    """The owner is gone, or a signal asks the keeper to end."""


class PostmasterEnded(Exception):
    """The server ended before it was ready; the text is its last word, `passing` whether the same may go well soon."""

    def __init__(self, output: str) -> None:
        super().__init__(cause(output))
        # anywhere in it: backends of a former server write to the same log, and may have its last line
        self.passing = _PASSING.search(output) is not None


class Keeper:
    """Keeps one server running in one folder."""

    def __init__(self, folder: Path, package: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._package = package
        self._settings = settings
        self._postmaster: Postmaster | None = None
        self._port = 0
        self._wakes, wake = os.pipe()
        os.set_blocking(self._wakes, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        for signum in (*_STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(signum, lambda *_: None)  # the pipe tells

    def run(self) -> None:
        """Serve until asked to stop. Raises FolderUnusable and OSError only before the server was ready once."""
        try:
            self._lock()
            clear_the_way(self._folder / "server" / "data")
            cluster = prepare(self._folder, self._package)
            self._start_first(cluster)
            dsn = cluster.dsn(self._port)
            write_private(self._folder / "dsn", dsn + "\n")
            _report(dsn=dsn)
            while True:
                self.run_once(cluster)
        except StopRequested:
            pass
        finally:
            if self._postmaster:
                self._postmaster.stop()

    def run_once(self, cluster: Cluster) -> None:
        """Wait for the next thing that happens, at most 10 s, and see to it."""
        self._pause(_LOG_LOOK_S)
        _cut_log(self._folder / "postgres.log")
        if self._postmaster and self._postmaster.ended is not None:
            _log("postmaster.ended", code=self._postmaster.ended)
            self._start_again(cluster)

    def _lock(self) -> None:
        lock = open_private(self._folder / "keeper.lock")  # closed by our end, never before
        deadline = time.monotonic() + _FORMER_KEEPER_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise FolderUnusable(f"a former server of {self._folder} is still stopping: try again") from None
                self._pause(0.05)
            else:
                return

    def _start_first(self, cluster: Cluster) -> None:
        self._port = free_port(_port_before(self._folder / "dsn"))
        deadline = time.monotonic() + _IN_THE_WAY_S
        while True:
            try:
                return self._start(cluster)
            except PostmasterEnded as ended:
                if not ended.passing or time.monotonic() > deadline:
                    raise FolderUnusable(f"Postgres does not start in {self._folder}: {ended}") from ended
            self._port = free_port(self._port)
            self._pause(0.1)

    def _start_again(self, cluster: Cluster) -> None:
        # For as long as it takes, on the same port: clients hold the DSN, and a disk that was full may have room again.
        wait_s = 0.1
        while True:
            try:
                self._start(cluster)
            except (PostmasterEnded, FolderUnusable, OSError) as error:
                _log("postmaster.start_failed", retry_in_s=wait_s, cause=str(error))
                self._pause(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_RETRY_S)
            else:
                return _log("postmaster.restarted")

    def _start(self, cluster: Cluster) -> None:
        clear_the_way(cluster.data)
        log_start = os.fstat(2).st_size
        self._postmaster = Postmaster(cluster, self._port, self._settings)
        deadline = time.monotonic() + _READY_S
        while not self._postmaster.is_ready():
            if self._postmaster.ended is not None:
                raise PostmasterEnded(os.pread(2, 100_000, log_start).decode(errors="replace"))
            if time.monotonic() > deadline:
                self._postmaster.stop()
                raise FolderUnusable(f"Postgres was not ready after {_READY_S:.0f} s: see {self._folder}/postgres.log")
            self._pause(0.01)

    def _pause(self, timeout_s: float) -> None:
        """Sleep until a child ends, at most so long. Raises StopRequested."""
        readable, _, _ = select.select([0, self._wakes], [], [], timeout_s)
        if 0 in readable and not os.read(0, 1024):
            raise StopRequested
        if self._wakes in readable and set(os.read(self._wakes, 1024)) & set(_STOP_SIGNALS):
            raise StopRequested


def main() -> int:
    """Serve the folder named on the command line; exit code 1 where no server could be had."""
    folder, package, *settings = sys.argv[1:]
    os.umask(0o077)
    try:
        Keeper(Path(folder), Path(package), dict(setting.split("=", 1) for setting in settings)).run()
    except (FolderUnusable, OSError) as error:
        failed = explain(error, Path(folder)) if isinstance(error, OSError) else str(error)
        _log("keeper.failed", cause=failed)
        _report(failed=failed)
        return 1
    return 0


def _report(**outcome: str) -> None:
    try:
        os.write(1, json.dumps(outcome).encode() + b"\n")
    except BrokenPipeError:
        raise StopRequested from None


def _port_before(dsn: Path) -> int | None:
    try:
        found = re.search(r":(\d+)/", dsn.read_text())
    except OSError:
        return None
    return int(found[1]) if found else None


def _log(event: str, **facts: object) -> None:
    line = " ".join([time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()), "keeper", event])
    try:
        print(line, *(f"{name}={value}" for name, value in facts.items()), file=sys.stderr, flush=True)
    except OSError:
        return  # a full disk must not cost the server its keeper


def _cut_log(log: Path) -> None:
    """Keep postgres.log and one older part, each about 10 MB; the server goes on writing to the same open file."""
    if os.fstat(2).st_size < _MAX_LOG_BYTES:
        return
    try:
        shutil.copyfile(log, log.with_suffix(".log.1"))
    except OSError as error:
        _log("log.copy_failed", cause=str(error))
    os.ftruncate(2, 0)


if __name__ == "__main__":
    sys.exit(main())
