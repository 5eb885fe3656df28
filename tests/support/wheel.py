"""The wheel of jobs_core, workers and schedules, built from a copy of this checkout and installed into a folder."""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
ROOMS = ("jobs_core", "workers", "schedules")
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
OLDEST_SETUPTOOLS = 77


def why_not() -> str | None:
    """Why no wheel can be built and installed here, or None. requirements-test.txt brings what it takes."""
    if importlib.util.find_spec("setuptools") is None:
        return "setuptools, which builds the wheel, is not installed"
    from importlib.metadata import version

    if int(version("setuptools").split(".")[0]) < OLDEST_SETUPTOOLS:
        return f"setuptools {version('setuptools')} is older than {OLDEST_SETUPTOOLS}, which pyproject.toml asks for"
    if importlib.util.find_spec("pip") is None and shutil.which("uv") is None:
        return "there is neither pip nor uv to install the wheel"
    return None


def build(into: Path) -> Path:
    """The wheel, as any frontend has it built: by the backend's hook, in a folder of its own."""
    source, out = into / "source", into / "out"
    out.mkdir()
    for package in (file.parent for file in CHECKOUT.glob("*/__init__.py")):  # all rooms: those that do not belong, too
        shutil.copytree(package, source / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(CHECKOUT / name, source)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, out], cwd=source, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.iterdir()
    return wheel


def install(wheel: Path, target: Path) -> None:
    """Unpack it as an installer does, without what it depends on, which this environment has."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index"]
    uv = ["uv", "pip", "install", "--offline", "--python", sys.executable]
    command = pip if importlib.util.find_spec("pip") else uv
    done = subprocess.run(
        [*command, "--no-deps", "--target", target, wheel], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def files(wheel: Path) -> set[str]:
    """What is in it, but for its own records."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}
