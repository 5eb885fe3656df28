"""One Postgres server process: started, looked at, stopped. Standard library only."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cli.postgres_cluster import Cluster

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",  # off lost 327-633 acknowledged rows in each crash tried
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",  # the DETAIL of an error holds the row, and rows hold people's messages
}
_STATUS = slice(7, 8)  # the eighth line of postmaster.pid, LOCK_FILE_LINE_PM_STATUS in its miscadmin.h
_STOP_STEPS = (
    (signal.SIGINT, 20.0),
    (signal.SIGQUIT, 7.0),
    (signal.SIGKILL, 5.0),
)  # after SIGQUIT it takes 5 s at most


class Postmaster:
    """A server started as a child of this process; its output goes to our stderr."""

    def __init__(self, cluster: Cluster, port: int, settings: Mapping[str, str]) -> None:
        self._data = cluster.data
        arguments = [f"-c{name}={value}" for name, value in {**SETTINGS, **settings, "port": str(port)}.items()]
        self._process = subprocess.Popen(
            [cluster.binaries / "postgres", "-D", cluster.server.as_seen_by_it / "data", *arguments],
            stdout=sys.stderr.fileno(),
            **cluster.server.spawn_options(),
        )

    @property
    def ended(self) -> int | None:
        """Its exit code (minus the signal that killed it), or None while it runs."""
        return self._process.poll()

    def is_ready(self) -> bool:
        """Whether it says in postmaster.pid that it takes connections; the file of a former server does not count."""
        lines = _pid_file(self._data)
        return lines[:1] == [str(self._process.pid)] and [line.strip() for line in lines[_STATUS]] == ["ready"]

    def stop(self) -> None:
        """Shut it down cleanly, harder where that takes too long; at most 32 s."""
        _stop(self._process.pid, lambda: self.ended is None)


def running_server(data: Path) -> int | None:
    """The pid of a live server of this data directory, whoever started it.

    A pid alone says little: after a reboot, or as a zombie that nobody reaps, another process can have it.
    """
    lines = _pid_file(data)
    if not lines or not lines[0].isdigit():
        return None
    if sys.platform == "linux":
        try:
            process = Path("/proc", lines[0])
            same = (process / "cwd").samefile(data) and (process / "comm").read_text() == "postgres\n"
        except OSError:
            return None
        return int(lines[0]) if same else None
    listed = subprocess.run(["ps", "-p", lines[0], "-o", "command="], capture_output=True, text=True, check=False)
    return int(lines[0]) if f"-D {data} " in listed.stdout else None


def clear_the_way(data: Path) -> None:
    """Stop what an earlier keeper left running on this data directory, and remove the pid file of a dead server.

    Removing the file is safe: Postgres also looks for leftover backends by the directory's inode, and refuses.
    """
    if left_behind := running_server(data):
        _stop(left_behind, lambda: running_server(data) == left_behind)
    if running_server(data) is None:
        (data / "postmaster.pid").unlink(missing_ok=True)


def free_port(wanted: int | None = None) -> int:
    """The wanted port of 127.0.0.1 where it can be had, or else one that the system chooses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Postgres does
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _stop(pid: int, is_running: Callable[[], bool]) -> None:
    for signum, patience_s in _STOP_STEPS:
        if not is_running():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
        deadline = time.monotonic() + patience_s
        while is_running() and time.monotonic() < deadline:
            time.sleep(0.01)
