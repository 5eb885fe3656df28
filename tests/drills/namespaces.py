"""A drill that mounts does so where nobody else sees it, and where nothing of it is left when it ends, however it ends."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.drills.report import CannotRun

_INSIDE = "JOBS_DRILL_INSIDE"


def enter_own_mounts(drill: str, arguments: Sequence[str]) -> None:
    """Become the same drill in a mount namespace of its own; returns there. Raises CannotRun where there can be none."""
    if os.environ.get(_INSIDE):
        return
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        raise CannotRun("a small file system is mounted for it: run it as root, with util-linux' unshare")
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        raise CannotRun("this system lets root make no mount namespace (a container without CAP_SYS_ADMIN, perhaps)")
    command = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        sys.executable,
        "-m",
        "tests.drills",
        drill,
        *arguments,
    ]
    os.execvpe(command[0], command, os.environ | {_INSIDE: "1"})


@contextmanager
def small_disk(folder: Path, max_mb: int) -> Iterator[Path]:
    """A file system of that size, mounted in that folder until the end of the block. Raises CannotRun."""
    disk = folder / "disk"
    disk.mkdir()
    options = f"size={max_mb}m,mode=0700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        raise CannotRun(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
