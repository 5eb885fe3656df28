"""Container images built and run without a daemon or a registry: buildah and podman over runc, on a Debian of our own.

Everything lies in one folder, and goes with it. Needs root, and of Debian: buildah, podman, runc, debootstrap.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.drills.report import CannotRun

PROGRAMS = ("buildah", "podman", "runc", "debootstrap")
_NEEDED = ("python3", "python3-venv", "ca-certificates")
_CLOSED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges")
_WORKSPACES = "--volume=/var/lib/jobs/workspaces"
"""As docker-compose.yml runs them; the volume is the container's own."""
_WITHIN_S = 900


class Images:
    """The images in a folder. Raises CannotRun where they cannot be built here, and CalledProcessError where that fails."""

    def __init__(self, folder: Path) -> None:
        if lacking := [name for name in PROGRAMS if not shutil.which(name)]:
            raise CannotRun(f"no {', '.join(lacking)} here: apt install {' '.join(PROGRAMS)}")
        if os.geteuid():
            raise CannotRun("a Debian is made as root only: run it as root")
        self._folder = folder
        store = (f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}", "--storage-driver=overlay")
        self._buildah = ["buildah", *store]
        self._podman = ["podman", *store, "--cgroup-manager=cgroupfs", "--runtime=runc"]

    def debian(self, name: str, mirror: str) -> None:
        """Make a base image: the smallest bookworm, with Python and its venv module."""
        root = self._folder / "debian"
        _run(
            [
                "debootstrap",
                "--variant=minbase",
                f"--include={','.join(_NEEDED)}",
                "bookworm",
                str(root),
                *mirror.split(),
            ]
        )
        container = _run([*self._buildah, "from", "scratch"]).strip()
        _run([*self._buildah, "add", "-q", container, str(root), "/"])
        _run([*self._buildah, "commit", "-q", container, name])
        shutil.rmtree(root)

    def build(self, checkout: Path, target: str, base: str, more: Sequence[str]) -> str:
        """Build a target of the Dockerfile; returns the image's name. more: options of buildah's own."""
        name = f"jobs-{target}"
        command = ["bud", "--isolation=chroot", "--network=host", "--format=docker", f"--build-arg=BASE={base}"]
        _run([*self._buildah, *command, "--layers", f"--target={target}", *more, "-t", name, str(checkout)])
        return name

    def size_mb(self, image: str) -> int:
        """What it takes, its base included."""
        return int(_run([*self._podman, "inspect", "--format={{.Size}}", image])) // 1_000_000

    def once(self, image: str, command: Sequence[str], environ: Mapping[str, str]) -> str:
        """Run the program in it to its end; returns what it said."""
        return _run([*self._podman, "run", "--rm", *_options(environ), *_CLOSED, image, *command])

    def inside(self, image: str, script: str) -> str:
        """What a shell in it says, with the image's own file system, which may be written to as far as it allows."""
        return _run([*self._podman, "run", "--rm", *_options({}), "--entrypoint=sh", image, "-c", script])

    @contextmanager
    def running(
        self, name: str, image: str, command: Sequence[str], environ: Mapping[str, str]
    ) -> Iterator["Container"]:
        """A container of it, removed after the block."""
        _run(
            [
                *self._podman,
                "run",
                "--detach",
                f"--name={name}",
                *_options(environ),
                *_CLOSED,
                _WORKSPACES,
                image,
                *command,
            ]
        )
        try:
            yield Container(name, self._podman)
        finally:
            _run([*self._podman, "rm", "--force", "--volumes", "--time=0", name])


class Container:
    """One that runs."""

    def __init__(self, name: str, podman: Sequence[str]) -> None:
        self._name = name
        self._podman = podman

    def tried(self, *command: str) -> tuple[int, str]:
        """Exit status and words of a command run beside it, in its container."""
        ran = subprocess.run([*self._podman, "exec", self._name, *command], capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout + ran.stderr

    def stopped(self, within_s: int) -> int:
        """Send SIGTERM and wait; its exit status, 137 where it had to be killed."""
        _run([*self._podman, "stop", f"--time={within_s}", self._name])
        return int(_run([*self._podman, "wait", self._name]))

    def log(self) -> str:
        """What it wrote."""
        ran = subprocess.run([*self._podman, "logs", self._name], capture_output=True, text=True, check=False)
        return ran.stdout + ran.stderr


def _options(environ: Mapping[str, str]) -> list[str]:
    # The limits are what any system grants; podman's own are more than a container in a container may have.
    limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096")
    return ["--network=host", *limits, *(f"--env={name}={value}" for name, value in environ.items())]


def _run(command: Sequence[str]) -> str:
    ran = subprocess.run(list(command), capture_output=True, text=True, check=False, timeout=_WITHIN_S)
    if ran.returncode:
        raise RuntimeError(f"{command[0]} failed ({ran.returncode}): {(ran.stdout + ran.stderr)[-2000:]}")
    return ran.stdout
