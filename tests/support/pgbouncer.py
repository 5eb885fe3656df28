"""A PgBouncer in transaction mode before the tests' Postgres: few server connections, which all clients share.

Its ini is the one of docs/pgbouncer.md, but for names, addresses and sizes.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

MISSING = "PgBouncer is not installed: apt-get install pgbouncer"
_READY_WITHIN_S = 10.0
_USER = "nobody"  # it refuses to run as root

_PAGE = Path(__file__).parents[2] / "docs" / "pgbouncer.md"


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
        ini = _ini_of_the_page()
        ini["databases"] = {"*": f"host={server.hostname} port={server.port or 5432} auth_user={server.username}"}
        ini["pgbouncer"].update(
            listen_addr="127.0.0.1",
            listen_port=str(own_port),
            unix_socket_dir="",
            auth_file=str(folder / "users"),
            default_pool_size=str(pool_size),
            logfile=str(folder / "log"),
        )
        with (folder / "ini").open("w") as file:
            ini.write(file)
        (folder / "users").write_text(f'"{server.username}" "{server.password}"\n')
        with _running(folder, own_port):
            yield urlunsplit(server._replace(netloc=f"{server.username}:{server.password}@127.0.0.1:{own_port}"))


def _ini_of_the_page() -> ConfigParser:
    """What docs/pgbouncer.md tells operators to write."""
    _, _, rest = _PAGE.read_text(encoding="utf-8").partition("```ini\n")
    ini = ConfigParser(interpolation=None)
    ini.read_string(rest.partition("```")[0])
    return ini


@contextmanager
def _running(folder: Path, port: int) -> Iterator[None]:
    """Until the end of the block, or of this process; it takes connections by then."""
    path = program()
    assert path, MISSING
    become = list[str]()
    if os.geteuid() == 0:
        for place in (folder, *folder.iterdir()):
            shutil.chown(place, _USER)
        become = ["--reuid", _USER, "--clear-groups"]
    command = ["setpriv", *become, "--pdeathsig", "KILL", path, str(folder / "ini")]
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
