"""A PgBouncer in transaction mode before the tests' Postgres: few server connections, which all clients share."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

MISSING = "PgBouncer is not installed: apt-get install pgbouncer"
_READY_WITHIN_S = 10.0
_USER = "nobody"  # it refuses to run as root

INI = """
[databases]
* = host={host} port={port} auth_user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
server_login_retry = 1
tcp_user_timeout = 5000
logfile = {folder}/log
"""
"""What docs/pgbouncer.md tells operators to write, with few server connections; nothing is ignored in the startup packet."""


def program() -> str | None:
    """Where PgBouncer is, or None; Debian puts it where only root's PATH leads."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


@contextmanager
def pgbouncer(server_dsn: str, *, pool_size: int = 4) -> Iterator[str]:
    """The DSN of the same server through a PgBouncer with at most `pool_size` connections a database and user."""
    server = urlsplit(server_dsn)
    if not (server.username and server.password):
        raise ValueError("PgBouncer logs in with a password: DATABASE_URL needs one")
    with tempfile.TemporaryDirectory(prefix="jobs-pgbouncer-") as name:
        folder, own_port = Path(name), _free_port()
        ini = INI.format(
            host=server.hostname,
            port=server.port or 5432,
            user=server.username,
            own_port=own_port,
            folder=folder,
            pool_size=pool_size,
        )
        (folder / "ini").write_text(ini)
        (folder / "users").write_text(f'"{server.username}" "{server.password}"\n')
        with _running(folder, own_port):
            yield urlunsplit(server._replace(netloc=f"{server.username}:{server.password}@127.0.0.1:{own_port}"))


@contextmanager
def _running(folder: Path, port: int) -> Iterator[None]:
    """Until the end of the block, or of this process; it takes connections by then."""
    path = program()
    assert path, MISSING
    become = []
    if os.geteuid() == 0:
        for place in (folder, *folder.iterdir()):
            shutil.chown(place, _USER)
        become = ["--reuid", _USER, "--clear-groups"]
    command = ["setpriv", *become, "--pdeathsig", "KILL", path, folder / "ini"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + _READY_WITHIN_S
            while not _takes_connections(port):
                assert process.poll() is None, f"PgBouncer ended: {_last_words(folder)}"
                assert time.monotonic() < deadline, f"PgBouncer takes no connections: {_last_words(folder)}"
                time.sleep(0.02)
            yield
            assert process.poll() is None, f"PgBouncer ended by itself: {_last_words(folder)}"
        finally:
            process.kill()


def _last_words(folder: Path) -> str:
    return (folder / "log").read_text()[-2_000:] if (folder / "log").exists() else "it said nothing"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True
